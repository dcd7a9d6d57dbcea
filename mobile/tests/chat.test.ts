/** What comes due: receipts, disappearing messages, unread counts; and what is said only for a moment: typing. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Machine } from '../src/core/client.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, until } from './support/clients.ts';
import { SkippingClock } from './support/scripted.ts';

let relay: FakeRelay;
let clock: SkippingClock;
let ada: TestApp;
let bob: TestApp;
let [adaId, bobId] = ['', ''];

beforeEach(async () => {
  relay = await FakeRelay.start();
  clock = new SkippingClock();
  const machine: Partial<Machine> = { clock };
  ada = await TestApp.join(relay.invite(), 'Ada', undefined, machine);
  bob = await TestApp.join(relay.invite(), 'Bob', undefined, machine);
  [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), false);
  await bob.app.addByCard(await ada.app.card(), false);
  await ada.app.start();
  await bob.app.start();
});

afterEach(async () => {
  for (const one of [ada, bob]) {
    await one.close();
    removeDirectory(one.directory);
  }
  await relay.stop();
});

/** Both clocks: the phones' and the relay's. */
function skip(seconds: number): void {
  relay.clockAheadS += seconds;
  clock.skip(seconds * 1000);
}

const page = async (one: TestApp, peer: string) => (await one.app.messages(peer, { before: null, limit: 200 })).messages;

async function arrives(text: string, from = ada, to = bob): Promise<string> {
  const [fromId, toId] = [await from.id(), await to.id()];
  const id = await from.app.send(toId, { text, quotes: null });
  await until(`${text} arrives`, async () => (await page(to, fromId)).some((message) => message.id === id));
  return id;
}

const statusOf = async (id: string) => (await page(ada, bobId)).find((message) => message.id === id)?.status;
const receiptsPosted = () => relay.log.posts.filter(({ to }) => to === adaId).length;

describe('receipts', () => {
  test('delivered after a random while, read after it was seen, batched; the state never goes back', async () => {
    const ids = [await arrives('one'), await arrives('two'), await arrives('three')];
    await until('sent', async () => (await statusOf(ids[2] ?? '')) === 'sent');
    expect(receiptsPosted()).toBe(0); // not at once: that would pair the two ends
    skip(61);
    await until('delivered', async () => (await statusOf(ids[2] ?? '')) === 'delivered');
    expect(receiptsPosted()).toBe(1);
    await bob.app.markRead(adaId, (await page(bob, adaId)).at(-1)?.row ?? 0);
    skip(61);
    for (const id of ids) await until('read', async () => (await statusOf(id)) === 'read');
    expect(receiptsPosted()).toBe(2);
    expect((await ada.app.connection()).deliveredAt).not.toBeNull();
  });

  test('what is owed survives a restart', async () => {
    const id = await arrives('one');
    await bob.close();
    skip(61);
    bob = await TestApp.open(bob.directory, { clock });
    expect(receiptsPosted()).toBe(0);
    await bob.app.start();
    await until('delivered', async () => (await statusOf(id)) === 'delivered');
  });

  test('each switch is off for itself, also for what was owed already', async () => {
    await bob.app.changeSettings({ deliveryReceipts: false });
    const id = await arrives('one');
    await bob.app.markRead(adaId, (await page(bob, adaId)).at(-1)?.row ?? 0);
    skip(61);
    await until('read', async () => (await statusOf(id)) === 'read');
    const another = await arrives('two');
    await bob.app.markRead(adaId, (await page(bob, adaId)).at(-1)?.row ?? 0);
    await bob.app.changeSettings({ readReceipts: false });
    skip(61);
    await until('nothing is owed', async () => (await bob.app.client.store.conversations.nextReceipt()) === null);
    skip(61);
    expect(await statusOf(another)).toBe('sent');
  });

  test('a stranger gets none before they are accepted', async () => {
    const eve = await TestApp.join(relay.invite(), 'Eve', undefined, { clock });
    await eve.app.addByCard(await bob.app.card(), false);
    await eve.app.start();
    const id = await eve.app.send(bobId, { text: 'you do not know me', quotes: null });
    const eveId = await eve.id();
    await until('it arrives', async () => (await page(bob, eveId)).length === 1);
    expect(await bob.app.conversation(eveId)).toMatchObject({ request: true, unread: 1, name: 'Eve' });
    await bob.app.markRead(eveId, (await page(bob, eveId)).at(-1)?.row ?? 0);
    skip(61);
    expect(await bob.app.client.store.conversations.nextReceipt()).toBeNull();
    expect((await page(eve, bobId)).find((message) => message.id === id)?.status).toBe('sent');
    await bob.app.send(eveId, { text: 'now I do', quotes: null }); // an answer accepts
    expect((await bob.app.conversation(eveId)).request).toBe(false);
    await eve.close();
    removeDirectory(eve.directory);
  });
});

describe('disappearing messages', () => {
  test('the timer is told, and time runs from reading at the one end and from sending at the other; a restart forgets nothing', async () => {
    await ada.app.setTimer(bobId, 3_600);
    await until('Bob knows', async () => (await bob.app.conversation(adaId)).timerS === 3_600);
    const id = await arrives('soon gone');
    await arrives('an answer', bob, ada);
    await until('Ada sent it', async () => (await statusOf(id)) === 'sent');
    expect((await page(ada, bobId)).find((message) => message.id === id)).toMatchObject({ timerS: 3_600, expiresAt: expect.any(Number) as unknown });
    expect((await page(bob, adaId)).find((message) => message.id === id)?.expiresAt).toBeNull(); // not read yet
    await bob.app.send(adaId, { text: 'quoting', quotes: id });
    skip(3_700);
    await until("gone at Ada's", async () => (await statusOf(id)) === undefined);
    expect((await page(bob, adaId)).some((message) => message.id === id)).toBe(true);
    await bob.app.markRead(adaId, (await page(bob, adaId)).at(-1)?.row ?? 0);
    await bob.close();
    skip(3_700);
    bob = await TestApp.open(bob.directory, { clock });
    await bob.app.start();
    await until("gone at Bob's", async () => !(await page(bob, adaId)).some((message) => message.id === id));
    expect(JSON.stringify(await page(bob, adaId))).not.toContain('soon gone');
    expect(await bob.app.search('soon gone', { peer: null, limit: 5 })).toEqual([]);
  });

  test('both set it at once: the later word counts on both sides', async () => {
    await Promise.all([ada.app.setTimer(bobId, 60), bob.app.setTimer(adaId, 3_600)]);
    const said = async (one: TestApp, peer: string): Promise<number> => (await page(one, peer)).filter(({ kind }) => kind === 'timer').length;
    await until('both know of both', async () => (await said(ada, bobId)) === 2 && (await said(bob, adaId)) === 2);
    expect([(await ada.app.conversation(bobId)).timerS, (await bob.app.conversation(adaId)).timerS]).toEqual([3_600, 3_600]);
    await ada.app.setTimer(bobId, 0); // in the same second, perhaps: it is the later word all the same
    await until('agreed', async () => (await bob.app.conversation(adaId)).timerS === 0 && (await ada.app.conversation(bobId)).timerS === 0);
    await expect(ada.app.setTimer(bobId, -1)).rejects.toMatchObject({ code: 'bad_timer' });
  });
});

describe('unread', () => {
  test('counts what is there and unread, through reading, deleting and taking back', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 6; i += 1) ids.push(await arrives(`m${i}`));
    const unread = async (): Promise<number> => (await bob.app.conversation(adaId)).unread;
    expect(await unread()).toBe(6);
    await bob.app.markRead(adaId, (await page(bob, adaId))[1]?.row ?? 0);
    expect(await unread()).toBe(4);
    await bob.app.deleteForMe(adaId, [ids[2] ?? '']);
    expect(await unread()).toBe(3);
    await ada.app.deleteForEveryone(bobId, ids[3] ?? '');
    await until('taken back', async () => (await unread()) === 2);
    await bob.app.markRead(adaId, Number.MAX_SAFE_INTEGER);
    expect(await unread()).toBe(0);
    await bob.app.markRead(adaId, 0);
    expect(await unread()).toBe(0);
    await arrives('one more');
    expect(await unread()).toBe(1);
  });
});

describe('typing', () => {
  test('shown until a message, a word that it ended, or silence; a switch for both ends', async () => {
    await arrives('hello');
    await arrives('hello yourself', bob, ada); // now both have a session
    const typing = async (): Promise<boolean> => (await bob.app.conversation(adaId)).typing;
    await ada.app.setTyping(bobId, true);
    await until('typing', typing);
    await arrives('written');
    expect(await typing()).toBe(false);
    await ada.app.setTyping(bobId, true);
    await until('typing again', typing);
    await ada.app.setTyping(bobId, false);
    await until('stopped', async () => !(await typing()));
    await ada.app.setTyping(bobId, true);
    await until('typing again', typing);
    skip(13);
    expect(await typing()).toBe(false);
    await ada.app.changeSettings({ typing: false });
    const before = bob.events.length;
    await ada.app.setTyping(bobId, true);
    await arrives('another');
    expect(bob.events.slice(before).some(({ kind }) => kind === 'typing')).toBe(false);
    expect(relay.log.posts.every(({ body }) => body.length > 0)).toBe(true);
    expect(await bob.app.client.store.messages.counts()).toMatchObject({ undecryptable: 0 }); // signals and mail share a ratchet
  });
});

describe('edits', () => {
  test('for a day by the relay, at both ends', async () => {
    const id = await arrives('first words');
    skip(23 * 3_600);
    await ada.app.edit(bobId, id, 'second words');
    await until('edited', async () => (await page(bob, adaId))[0]?.text === 'second words');
    skip(2 * 3_600);
    await expect(ada.app.edit(bobId, id, 'too late')).rejects.toMatchObject({ code: 'too_late' });
    // An app that does not hold to it is not believed.
    const { sender } = await ada.app.client.running();
    skip(3_600);
    await sender.queue(bobId, sender.content({ kind: 'edit', target: id, text: 'much too late' }));
    await arrives('after it');
    expect((await page(bob, adaId))[0]?.text).toBe('second words');
  });
});
