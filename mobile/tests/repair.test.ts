/** What cannot be read is shown, asked for again, and comes back in its place; and it is no way to get at what was for somebody else. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Machine } from '../src/core/client.ts';
import { repairStatements } from '../src/core/repair.ts';
import { parseContent } from '../src/core/wire/content.ts';
import { systemRandom } from '../src/node/machine.ts';
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
  // Receipts leave at a random moment, and would be unreadable too: the tests say themselves what is.
  for (const one of [ada, bob]) await one.app.changeSettings({ deliveryReceipts: false, readReceipts: false });
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

const page = async (one: TestApp, peer: string) => (await one.app.messages(peer, { before: null, limit: 200 })).messages;
const lines = async (one: TestApp, peer: string) => (await page(one, peer)).map(({ kind, text, mine }) => `${mine ? '>' : '<'} ${text ?? kind}`);
const loseSession = (of: TestApp, peer: string) => of.app.client.store.write([of.app.client.store.keys.dropSession(peer)]);

async function arrives(text: string, from = ada, to = bob): Promise<string> {
  const [fromId, toId] = [await from.id(), await to.id()];
  const id = await from.app.send(toId, { text, quotes: null });
  await until(`${text} arrives`, async () => (await page(to, fromId)).some((message) => message.id === id));
  return id;
}

/** Both have read each other, so what follows are ordinary messages. */
async function acquaint(): Promise<void> {
  await arrives('hello');
  await arrives('hello yourself', bob, ada);
  await arrives('well met');
}

test('a session that is gone: a new one is begun and said so on both sides, and what was lost comes back into its place', async () => {
  await acquaint();
  await loseSession(bob, adaId);
  const id = await ada.app.send(bobId, { text: 'lost at first', quotes: null });
  await until('it comes again', async () => (await page(bob, adaId)).some((message) => message.id === id));
  await arrives('after it');
  expect(await lines(bob, adaId)).toEqual(['< hello', '> hello yourself', '< well met', '< lost at first', '> session_reset', '< after it']);
  expect(await lines(ada, bobId)).toEqual(['> hello', '< hello yourself', '> well met', '> lost at first', '< session_reset', '> after it']);
  expect((await bob.app.conversation(adaId)).unread).toBe(4);
  await arrives('and back', bob, ada);
});

test('several lost at once are asked for together, edits and reactions among them; what was taken back stays gone', async () => {
  await acquaint();
  const first = (await page(ada, bobId))[0]?.id ?? '';
  await bob.app.stop();
  const gone = await ada.app.send(bobId, { text: 'better not said', quotes: null });
  const kept = await ada.app.send(bobId, { text: 'said', quotes: null });
  await ada.app.edit(bobId, first, 'hello there');
  await ada.app.react(bobId, (await page(ada, bobId))[1]?.id ?? '', '🎉');
  await until('all have left', async () => (await ada.app.client.store.outbox.peers()).length === 0);
  await loseSession(bob, adaId);
  await ada.app.deleteForMe(bobId, [gone]);
  await bob.app.start();
  await until('it comes again', async () => (await page(bob, adaId)).some((message) => message.id === kept));
  await until('the edit too', async () => (await page(bob, adaId))[0]?.text === 'hello there');
  await until('and the reaction', async () => (await page(bob, adaId))[1]?.reactions.length === 1);
  expect((await page(bob, adaId)).filter(({ kind }) => kind === 'session_reset')).toHaveLength(1);
  // Of the deleted one a line stays that says that something could not be read; of the edit and the reaction none does.
  await until('no other line stays', async () => (await page(bob, adaId)).filter(({ kind }) => kind === 'undecryptable').length === 1);
  expect(JSON.stringify(await page(bob, adaId))).not.toContain('better not said');
});

test('what was scrolled past while unreadable comes back as a new message', async () => {
  await acquaint();
  await ada.app.stop();
  const { sender } = await ada.app.client.running();
  await sender.stop();
  await ada.close();
  ada = await TestApp.open(ada.directory, { clock });
  await loseSession(bob, adaId);
  relay.faults.refuse.push(...Array.from({ length: 2 }, () => ({ code: 'unavailable', retryAfterS: 1 })));
  const id = await ada.app.send(bobId, { text: 'late', quotes: null });
  await until('it could not be read', async () => (await page(bob, adaId)).some(({ kind }) => kind === 'undecryptable'));
  await bob.app.markRead(adaId, Number.MAX_SAFE_INTEGER);
  await ada.app.start();
  await until('it comes again', async () => (await page(bob, adaId)).some((message) => message.id === id));
  // Not in the same breath: a receipt that was due meanwhile could not be read either, and comes again after it.
  await until('no line stays', async () => !(await page(bob, adaId)).some(({ kind }) => kind === 'undecryptable'));
  expect((await page(bob, adaId)).filter(({ kind }) => kind === 'text').at(-1)?.id).toBe(id);
  expect((await bob.app.conversation(adaId)).unread).toBe(1);
});

test('two apps that cannot agree get patient: the times between repairs grow', async () => {
  await acquaint();
  const { store } = bob.app.client;
  const contact = await store.people.get(adaId);
  const at: number[] = [];
  let now = 2_000_000_000;
  for (let i = 0; i < 8; i += 1) {
    await store.write(await repairStatements(store, systemRandom, contact, 'undecryptable', crypto.randomUUID(), now));
    const waiting = await store.outbox.urgent(adaId, 'session_reset');
    at.push(waiting?.notBefore ?? 0);
    now = Math.max(now, waiting?.notBefore ?? 0) + 1;
    await store.write([{ sql: `DELETE FROM outbox WHERE kind = 'session_reset'` }]); // it has left
  }
  expect(at.map((time, i) => time - (at[i - 1] ?? 2_000_000_000))).toEqual([3, 60, 600, 3_600, 21_600, 86_400, 86_400, 86_400]);
  await store.write(await repairStatements(store, systemRandom, contact, 'undecryptable', crypto.randomUUID(), now + 4 * 86_400));
  expect((await store.outbox.urgent(adaId, 'session_reset'))?.notBefore).toBe(now + 4 * 86_400 + 3); // forgiven
});

test('while a repair waits for its time, more is added to it and nothing else is held up', async () => {
  await acquaint();
  const { store } = bob.app.client;
  const { time } = await bob.app.client.running();
  await store.write([store.keys.repairing(adaId, 3, time.nowS())]);
  const contact = await store.people.get(adaId);
  const lost = [crypto.randomUUID(), crypto.randomUUID()];
  for (const envelope of [...lost, lost[0] ?? '']) await store.write(await repairStatements(store, systemRandom, contact, 'undecryptable', envelope, time.nowS()));
  const waiting = await store.outbox.urgent(adaId, 'session_reset');
  expect(parseContent(waiting?.content ?? new Uint8Array())).toMatchObject({ lost });
  await arrives('not held up', bob, ada);
  skipBoth(3_700);
  await until('it has left', async () => (await store.outbox.urgent(adaId, 'session_reset')) === null);
});

function skipBoth(seconds: number): void {
  relay.clockAheadS += seconds;
  clock.skip(seconds * 1000);
}

test('a stranger, and whoever is blocked, get no repair out of us', async () => {
  await acquaint();
  const { store } = bob.app.client;
  const contact = await store.people.get(adaId);
  if (!contact) throw new Error('no contact');
  const repair = (change: object, reason = 'undecryptable') => repairStatements(store, systemRandom, { ...contact, ...change }, reason, crypto.randomUUID(), 1);
  expect(await repair({})).not.toEqual([]);
  expect(await repair({ blocked: true })).toEqual([]);
  expect(await repair({ request: true })).toEqual([]);
  expect(await repair({ accessKey: null })).toEqual([]);
  expect(await repair({}, 'bad_content')).toEqual([]); // the session works: a new one would not help
});

test('somebody under another key, who asks for old envelopes, gets nothing of them', async () => {
  await acquaint();
  const envelopes = relay.log.posts.filter(({ to }) => to === bobId).map(({ id }) => id);
  expect(envelopes.length).toBeGreaterThan(1);
  // The relay cheats: it puts Eve in Bob's place, certificates and keys and all. Ada had Bob's key from the relay only.
  await ada.app.client.store.write([{ sql: 'UPDATE contact SET pinned = 0' }]);
  const eve = await TestApp.join(relay.invite(), 'Eve', undefined, { clock });
  await eve.app.addByCard(await ada.app.card(), false);
  const [bobs, eves] = [relay.account(bobId), relay.account(await eve.id())];
  const asBob = { id: bobs.id, tokenHash: bobs.tokenHash };
  Object.assign(bobs, { identityKey: eves.identityKey });
  await eve.app.client.store.write([{ sql: 'UPDATE account SET account_id = :id', params: { id: bobId } }]);
  await bob.app.stop();
  Object.assign(bobs, { tokenHash: eves.tokenHash });
  const posted = relay.log.posts.length;
  const { sender } = await eve.app.client.running();
  await sender.queue(adaId, sender.content({ kind: 'session_reset', reason: 'undecryptable', lost: envelopes }));
  await until('Ada sees another key', async () => (await page(ada, bobId)).some(({ kind }) => kind === 'identity_changed'));
  await until('Ada sees the reset', async () => (await page(ada, bobId)).some(({ kind }) => kind === 'session_reset'));
  await sender.queue(adaId, sender.content({ kind: 'session_reset', reason: 'undecryptable', lost: envelopes })); // and once more, now known
  await until('Ada sees it again', async () => (await page(ada, bobId)).filter(({ kind }) => kind === 'session_reset').length === 2);
  expect(relay.log.posts.slice(posted).filter(({ to }) => to === bobId)).toEqual([]);
  Object.assign(bobs, asBob);
  await eve.close();
  removeDirectory(eve.directory);
});

test('another key of somebody pinned: shown on both ways, and nothing is sent before it is confirmed', async () => {
  await acquaint();
  const { store } = ada.app.client;
  const { identityKey } = (await bob.app.client.account()) as { identityKey: Uint8Array };
  const other = Uint8Array.from(identityKey);
  other[5] = (other[5] ?? 0) ^ 1;
  await store.write([{ sql: 'UPDATE contact SET identity_key = :other', params: { other } }]); // as if Bob had another one before
  await loseSession(bob, adaId); // a new phone begins a new session
  await arrives('from my new phone', bob, ada);
  expect(await ada.app.conversation(bobId)).toMatchObject({ identity: 'unconfirmed', verified: false });
  expect((await page(ada, bobId)).map(({ kind }) => kind)).toContain('identity_changed');
  await expect(ada.app.send(bobId, { text: 'x', quotes: null })).rejects.toMatchObject({ code: 'identity_unconfirmed' });
  await store.write([store.people.confirmIdentity(bobId)]);
  await arrives('confirmed');
});
