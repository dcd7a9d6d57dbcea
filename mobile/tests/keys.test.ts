/** What runs out at the relay is made anew in time; and whether anything arrives at all is known. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { FORGET_AFTER_S, rotateSignedKeys } from '../src/core/prekeys.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, until } from './support/clients.ts';
import { SkippingClock } from './support/scripted.ts';

let relay: FakeRelay;
let clock: SkippingClock;
let bob: TestApp;
let bobId: string;

beforeEach(async () => {
  relay = await FakeRelay.start();
  clock = new SkippingClock();
  bob = await TestApp.join(relay.invite(), 'Bob', undefined, { clock, preKeys: 30 });
  bobId = await bob.id();
});

afterEach(async () => {
  await bob.close();
  removeDirectory(bob.directory);
  await relay.stop();
});

const DAY = 86_400;

function skip(seconds: number): void {
  relay.clockAheadS += seconds;
  clock.skip(seconds * 1000);
}

const keysOf = async (kind: 'signed' | 'kyber_last_resort') => (await bob.app.client.store.keys.preKeys(kind)).map(({ id, state }) => `${id} ${state}`);

describe('keys', () => {
  test('signed and last-resort keys change every two days while the app runs; old ones are kept for 35 days', async () => {
    await bob.app.start();
    await until('online', async () => (await bob.app.connection()).caughtUp);
    const first = relay.account(bobId).signed.id;
    skip(DAY);
    await bob.app.client.running().then(({ keys }) => keys.look());
    expect(relay.account(bobId).signed.id).toBe(first);
    skip(DAY + 60);
    await until('changed', () => relay.account(bobId).signed.id !== first);
    const second = relay.account(bobId).signed.id;
    await until('known', async () => (await keysOf('signed')).includes(`${second} current`));
    expect(await keysOf('signed')).toEqual([`${first} old`, `${second} current`]);
    expect((await keysOf('kyber_last_resort')).map((key) => key.split(' ')[1])).toEqual(['old', 'current']);
    skip(FORGET_AFTER_S + DAY);
    await bob.app.client.running().then(({ keys }) => keys.look());
    await until('changed again', () => relay.account(bobId).signed.id !== second);
    await until('the oldest is forgotten', async () => !(await keysOf('signed')).includes(`${first} old`));
    expect(await keysOf('signed')).toContain(`${second} old`); // just replaced
  });

  test('a relay that answers a change with the digest of other keys is not believed, and the keys stay pending', async () => {
    const { api } = await bob.app.client.running();
    const { store, machine } = bob.app.client;
    skip(3 * DAY);
    const lying = Object.assign(Object.create(api) as typeof api, { replaceSignedKeys: async () => ({ prekeys: 30, kyberPrekeys: 30, digest: new Uint8Array(32) }) });
    await expect(rotateSignedKeys({ store, engine: machine.engine, clock, api: lying })).rejects.toMatchObject({ code: 'foreign_keys' });
    expect((await keysOf('signed')).map((key) => key.split(' ')[1])).toEqual(['current', 'pending']);
    expect(await rotateSignedKeys({ store, engine: machine.engine, clock, api })).toBe('rotated');
    expect((await keysOf('signed')).map((key) => key.split(' ')[1])).toEqual(['old', 'current']);
  });

  test('a clock that was set back by years does not put it off for years', async () => {
    await bob.app.client.store.write([{ sql: 'UPDATE prekey SET since = since + 100000000' }]);
    const { api } = await bob.app.client.running();
    const { store, machine } = bob.app.client;
    expect(await rotateSignedKeys({ store, engine: machine.engine, clock, api })).toBe('rotated');
    expect(await rotateSignedKeys({ store, engine: machine.engine, clock, api })).toBe('not_due');
  });

  test('one-time keys are topped up when the relay says so, also after the first try failed', async () => {
    const held = relay.account(bobId);
    held.prekeys.splice(0, 25);
    relay.faults.loseAnswerOf.push('/v1/keys');
    await bob.app.start();
    await until('the first try fails', () => bob.events.some((event) => event.kind === 'trouble'));
    clock.skip(30_000);
    await until('topped up', () => held.prekeys.length >= 30);
  });

  test('the certificate is renewed hours before it ends, by the clock and not by a message', async () => {
    await bob.app.start();
    const until_ = async (): Promise<number> => (await bob.app.client.account()).certificateExpiresAt ?? 0;
    await until('fetched', async () => (await until_()) > 0);
    const first = await until_();
    for (let hours = 0; hours < 20; hours += 4) skip(4 * 3_600);
    await until('renewed', async () => (await until_()) > first);
    expect(relay.log.posts.every(({ to }) => to === bobId)).toBe(true); // probes of its own, if any
  });
});

describe('delivery health', () => {
  test('a probe goes the whole way and comes back, on a session of its own, and leaves nothing behind', async () => {
    await expect(bob.app.probe()).rejects.toMatchObject({ code: 'offline' });
    await bob.app.start();
    await until('online', async () => (await bob.app.connection()).caughtUp);
    const before = relay.account(bobId).prekeys.length;
    const health = await bob.app.probe();
    expect(health).toMatchObject({ probeFailed: false, deliveredAt: expect.any(Number) as unknown, probedAt: expect.any(Number) as unknown });
    expect(relay.log.posts).toHaveLength(1);
    expect(relay.account(bobId).prekeys.length).toBe(before - 1);
    const { store } = bob.app.client;
    expect(await store.keys.session(bobId)).toBeNull();
    expect(await store.people.get(bobId)).toBeNull();
    expect(await store.messages.all()).toEqual([]);
    await until('acknowledged', () => relay.account(bobId).mailbox.length === 0);
    await bob.app.probe();
    expect(new Set(relay.log.posts.map(({ session }) => session)).size).toBe(2);
  });

  test('a relay that takes it and does not deliver, or does not take it, is told from one that works', async () => {
    await bob.app.start();
    await until('online', async () => (await bob.app.connection()).caughtUp);
    relay.faults.refuse.push({ code: 'unavailable' });
    await expect(bob.app.probe()).rejects.toMatchObject({ code: 'probe_refused' });
    expect(await bob.app.connection()).toMatchObject({ probeFailed: true, deliveredAt: null });
    const account = relay.account(bobId);
    const { push } = account.mailbox;
    account.mailbox.push = () => 0; // swallowed
    const lost = bob.app.probe().catch((error: unknown) => error);
    await until('posted', () => relay.log.posts.length === 2);
    clock.skip(61_000);
    expect(await lost).toMatchObject({ code: 'probe_lost' });
    account.mailbox.push = push;
    await until('online again', async () => (await bob.app.connection()).caughtUp); // time was skipped, so it took the relay for silent
    expect((await bob.app.probe()).probeFailed).toBe(false);
  });

  test('twice a day by itself', async () => {
    await bob.app.start();
    await until('online', async () => (await bob.app.connection()).caughtUp);
    skip(15 * 3_600 + 60);
    await until('probed', async () => (await bob.app.connection()).probedAt !== null);
  });

  test('a probe of somebody else means nothing', async () => {
    const ada = await TestApp.join(relay.invite(), 'Ada', undefined, { clock });
    await ada.app.addByCard(await bob.app.card(), false);
    await bob.app.start();
    const { sender } = await ada.app.client.running();
    await sender.queue(bobId, sender.content({ kind: 'probe' }));
    await ada.app.send(bobId, { text: 'after it', quotes: null });
    await until('read', () => bob.events.some(({ kind }) => kind === 'message'));
    expect(bob.events.filter(({ kind }) => kind === 'probe')).toEqual([]);
    expect((await bob.app.connection()).deliveredAt).toBeNull();
    await ada.close();
    removeDirectory(ada.directory);
  });
});

describe('being connected', () => {
  const state = async (): Promise<string> => (await bob.app.connection()).state;

  test('off, connecting, online, elsewhere, and back when asked', async () => {
    expect(await state()).toBe('off');
    await bob.app.start();
    await until('online', async () => (await state()) === 'online');
    relay.endMailbox(bobId, 4409);
    await until('elsewhere', async () => (await state()) === 'elsewhere');
    clock.skip(3_600_000);
    expect(await state()).toBe('elsewhere'); // not by itself: two phones would push each other out for ever
    await bob.app.reconnect();
    await until('online again', async () => (await state()) === 'online');
    await bob.app.stop();
    expect(await state()).toBe('off');
    await bob.app.start();
    await until('online once more', async () => (await state()) === 'online');
  });

  test('coming to the foreground connects at once; in the background it waits longer', async () => {
    await bob.app.start();
    await until('online', async () => (await state()) === 'online');
    await bob.app.setForeground(false);
    relay.endMailbox(bobId, 4429);
    await until('waiting', async () => (await state()) === 'waiting');
    const wait = bob.events.findLast((event) => event.kind === 'connection' && event.connection.kind === 'reconnecting');
    expect(wait?.kind === 'connection' && wait.connection.kind === 'reconnecting' && wait.connection.inMs).toBeGreaterThanOrEqual(120_000);
    await bob.app.setForeground(true);
    await until('online again', async () => (await state()) === 'online');
  });
});
