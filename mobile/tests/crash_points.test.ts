/**
 * Killed at every step: each return of a port, one after the other, while receiving, sending, changing keys and joining. Whatever
 * was told as done is there once afterwards, nothing is there twice, and what was begun is finished or was never begun.
 * (crash.test.ts kills real processes at some of these steps.)
 */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { sameBytes } from '../src/core/bytes.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, temporaryDirectory, until } from './support/clients.ts';
import { DyingApp } from './support/dying_app.ts';

let relay: FakeRelay;
let directories: string[];

beforeEach(async () => {
  relay = await FakeRelay.start();
  directories = [];
});

afterEach(async () => {
  await relay.stop();
  for (const directory of directories) removeDirectory(directory);
});

async function member(name: string): Promise<TestApp> {
  const made = await TestApp.join(relay.invite(), name);
  directories.push(made.directory);
  return made;
}

const rows = (one: TestApp, peer: string) => one.app.client.store.messages.all(peer);
const textsOf = async (one: TestApp, peer: string, direction: 'in' | 'out') => (await rows(one, peer)).filter((message) => message.direction === direction).map(({ text }) => text);

/** Lives one life after the other in a directory, each dying one step later, until one lives to the end. Answers how many died. */
async function everyStep(directory: string, life: (test: TestApp, n: number, mortal: DyingApp) => Promise<void>, after: (n: number) => Promise<void>): Promise<number> {
  for (let n = 1; n < 400; n += 1) {
    const mortal = new DyingApp(n);
    const { test, bury } = await Promise.race([mortal.open(directory), mortal.death.then(() => ({ test: null, bury: async () => undefined }))]);
    if (test) await Promise.race([life(test, n, mortal), mortal.death]);
    await bury();
    await after(n);
    if (!mortal.dead) return n - 1;
  }
  throw new Error('it dies and dies');
}

test('receiving: a stranger, a text, an edit and a reaction; killed at every step, all is there once', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  const [bobsCard, adasCard] = [await bob.app.card(), await ada.app.card()];
  await ada.app.addByCard(bobsCard, false);
  await bob.app.addByCard(adasCard, false);
  await bob.close();
  const sent: string[] = [];
  const strangers: string[] = [];

  const write = async (n: number): Promise<void> => {
    if (relay.account(bobId).mailbox.length > 0) return; // the one before has not read them yet
    const eve = await member(`Eve ${n}`);
    strangers.push(await eve.id());
    await eve.app.addByCard(bobsCard, false);
    await eve.app.send(bobId, { text: 'a stranger', quotes: null });
    const id = await ada.app.send(bobId, { text: `m${n}`, quotes: null });
    await ada.app.edit(bobId, id, `m${n}, edited`);
    await ada.app.react(bobId, id, '👍');
    sent.push(`m${n}, edited`);
    for (const one of [eve, ada]) await until('all has left', async () => (await one.app.client.store.outbox.peers()).length === 0);
    await eve.close();
  };

  await write(1);
  const died = await everyStep(
    bob.directory,
    async (test) => {
      await test.app.start();
      await until('all is acknowledged', () => relay.account(bobId).mailbox.length === 0);
    },
    (n) => write(n + 1),
  );
  expect(died).toBeGreaterThan(30);
  const again = await TestApp.open(bob.directory);
  await again.app.start();
  await until('all is acknowledged', () => relay.account(bobId).mailbox.length === 0);
  expect(await textsOf(again, adaId, 'in')).toEqual(sent);
  const ids = (await rows(again, adaId)).map(({ contentId }) => contentId);
  expect(await again.app.client.store.conversations.reactions(adaId, ids)).toHaveLength(sent.length);
  for (const stranger of strangers) expect(await textsOf(again, stranger, 'in')).toEqual(['a stranger']);
  expect(await again.app.client.store.messages.counts()).toMatchObject({ undecryptable: 0 });
  await Promise.all([again.close(), ada.close()]);
}, 180_000);

test('sending: killed at every step, what was taken arrives once and in order', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), false);
  await bob.app.start();
  await ada.close();
  const taken: string[] = [];
  const died = await everyStep(
    ada.directory,
    async (test, n) => {
      await test.app.start();
      for (const text of [`a${n}`, `b${n}`]) {
        await test.app.send(bobId, { text, quotes: null });
        taken.push(text);
      }
      await until('all has left', async () => (await test.app.client.store.outbox.peers()).length === 0);
    },
    async () => undefined,
  );
  expect(died).toBeGreaterThan(20);
  const again = await TestApp.open(ada.directory);
  await again.app.start();
  await until('all has left', async () => (await again.app.client.store.outbox.peers()).length === 0);
  const own = await textsOf(again, bobId, 'out');
  await until('all has arrived', async () => (await rows(bob, adaId)).length >= own.length);
  const arrived = await textsOf(bob, adaId, 'in');
  expect(arrived).toEqual(own); // what Ada sees as hers, Bob has: once, in her order
  expect(arrived.filter((text) => taken.includes(text ?? ''))).toEqual(taken); // also what was written and not answered may be there
  expect(new Set(arrived).size).toBe(arrived.length);
  expect(await bob.app.client.store.messages.counts()).toMatchObject({ undecryptable: 0 });
  await Promise.all([again.close(), bob.close()]);
}, 180_000);

test('changing keys: killed at every step, it goes on with the same keys, and whoever took any of them is read', async () => {
  const bob = await member('Bob');
  const bobId = await bob.id();
  const card = await bob.app.card();
  await bob.close();
  const held = relay.account(bobId);
  const strangers: string[] = [];
  /** Somebody takes a bundle of whatever the relay has now, and writes. */
  const stranger = async (): Promise<void> => {
    held.prekeys.splice(1); // never many, so that none is uploaded anew
    const eve = await member(`Eve ${strangers.length}`);
    strangers.push(await eve.id());
    await eve.app.addByCard(card, false);
    await eve.app.send(bobId, { text: 'hello', quotes: null });
    await until('it has left', async () => (await eve.app.client.store.outbox.peers()).length === 0);
    await eve.close();
  };
  const ids = new Set<number>([held.signed.id]);
  const died = await everyStep(
    bob.directory,
    async (test) => {
      const { store } = test.app.client;
      if ((await store.keys.preKeys('signed', 'pending')).length === 0) {
        await store.write([{ sql: `UPDATE prekey SET since = since - 200000 WHERE kind IN ('signed', 'kyber_last_resort') AND state = 'current'` }]);
      }
      const before = (await store.keys.preKeys('signed', 'current')).at(-1)?.id;
      const { keys } = await test.app.client.running();
      keys.start();
      await until('changed', async () => (await store.keys.preKeys('signed', 'current')).at(-1)?.id !== before && (await store.keys.preKeys('signed', 'pending')).length === 0);
    },
    async () => {
      ids.add(held.signed.id);
      await stranger();
    },
  );
  expect(died).toBeGreaterThan(10);
  expect(ids.size).toBeGreaterThan(2);
  const again = await TestApp.open(bob.directory);
  await again.app.start();
  await until('all is read', () => held.mailbox.length === 0);
  const { store } = again.app.client;
  await until('nothing is under way', async () => (await store.keys.preKeys('signed', 'pending')).length === 0);
  for (const kind of ['signed', 'kyber_last_resort'] as const) expect(await store.keys.preKeys(kind, 'current')).toHaveLength(1);
  const [current] = await store.keys.preKeys('signed', 'current');
  expect(held.signed.id).toBe(current?.id);
  expect(sameBytes(new Uint8Array(Buffer.from(held.signed.public_key, 'base64url')), current?.publicKey ?? new Uint8Array())).toBe(true);
  for (const one of strangers) expect(await textsOf(again, one, 'in')).toEqual(['hello']);
  await again.close();
}, 180_000);

test('joining: killed at every step, the same invite makes one account in the end', async () => {
  const directory = temporaryDirectory();
  directories.push(directory);
  const invite = relay.invite();
  const died = await everyStep(
    directory,
    async (test) => {
      if (!(await test.app.account())) await test.app.join({ invite, name: 'Ada', number: null });
    },
    async () => undefined,
  );
  expect(died).toBeGreaterThan(5);
  expect(relay.accounts()).toHaveLength(1);
  const again = await TestApp.open(directory);
  expect(relay.accounts()[0]?.id).toBe(await again.id());
  await again.close();
});
