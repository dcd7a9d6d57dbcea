import { afterEach, beforeEach, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { beyondOneTimeKeys, converse, withTwoMembers } from './relay/conversation.ts';
import { removeDirectory, TestClient, until } from './support/clients.ts';
import type { RelayUnderTest } from './relay/contract.ts';

let relay: FakeRelay;
let asUnderTest: RelayUnderTest;

beforeEach(async () => {
  relay = await FakeRelay.start();
  asUnderTest = { url: relay.url, invite: async () => relay.invite() };
});

afterEach(() => relay.stop());

const mailboxes = (): number => relay.accounts().reduce((sum, { mailbox }) => sum + mailbox.length, 0);

test('two members talk after one contact link; the first message tells the other how to answer', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await converse(ada, bob);
    await until('everything is acknowledged', () => mailboxes() === 0);
  }));

test('more people than one-time keys begin a conversation with one member', () => beyondOneTimeKeys(asUnderTest));

test('both write first, at once', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    await bob.client.addContact(await ada.client.card());
    await Promise.all([ada.client.send('Bob', 'a0'), bob.client.send('Ada', 'b0')]);
    await until('both have left', () => mailboxes() === 2);
    await Promise.all([ada.client.start({ receive: true }), bob.client.start({ receive: true })]);
    await until('both have read', async () => (await ada.texts()).length === 1 && (await bob.texts()).length === 1);
    for (let i = 1; i < 4; i += 1) {
      await ada.client.send('Bob', `a${i}`);
      await bob.client.send('Ada', `b${i}`);
    }
    await until('all', async () => (await ada.texts()).length === 4 && (await bob.texts()).length === 4);
    expect(await bob.texts()).toEqual(['a0', 'a1', 'a2', 'a3']);
    expect((await bob.client.store.messages.counts()).undecryptable).toBe(0);
    expect((await ada.client.store.messages.counts()).undecryptable).toBe(0);
  }));

test('a post whose answer is lost goes again under the same id with the same bytes, and is read once', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    relay.faults.loseNextPosts = 1;
    await bob.client.start({ receive: true });
    await ada.client.send('Bob', 'once');
    await until('the second try is answered', async () => (await ada.client.store.messages.counts()).sent === 1);
    expect(relay.log.posts).toHaveLength(2);
    const [one, two] = relay.log.posts;
    expect({ ...two, session: 0 }).toEqual({ ...one, session: 0 });
    await until('Bob has acknowledged', () => mailboxes() === 0 && relay.log.acked.length > 0);
    expect(await bob.texts()).toEqual(['once']);
  }));

test('an envelope whose ack was lost is acknowledged again and not shown again', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    await ada.client.send('Bob', 'once');
    const { accountId } = await bob.client.account();
    await until('it waits', () => mailboxes() === 1);
    const [kept] = relay.account(accountId).mailbox;
    await bob.client.start({ receive: true });
    await until('it is acknowledged', () => mailboxes() === 0);
    if (kept) relay.account(accountId).mailbox.push(kept); // as if the delete had not reached the disk
    relay.endMailbox(accountId, 1012);
    await until('it is acknowledged again', () => mailboxes() === 0 && relay.log.acked.length === 2);
    expect(await bob.texts()).toEqual(['once']);
  }));

test.each([
  ['conflict', 2],
  ['clock_skew', 2],
])('%s: sealed again under a new id, read once', (code, posts) =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    await bob.client.start({ receive: true });
    relay.faults.refuse.push({ code });
    await ada.client.send('Bob', 'once');
    await until('Bob reads it', async () => (await bob.texts()).length === 1);
    expect(relay.log.posts).toHaveLength(posts);
    expect(new Set(relay.log.posts.map(({ id }) => id)).size).toBe(posts);
    expect(await bob.texts()).toEqual(['once']);
  }),
);

test('a relay whose clock is days off: the app takes its time from the relay', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    relay.clockAheadS = 5 * 86_400;
    await ada.client.addContact(await bob.client.card());
    await bob.client.start({ receive: true });
    await ada.client.send('Bob', 'on time');
    await until('Bob reads it', async () => (await bob.texts()).length === 1);
    expect(await bob.texts()).toEqual(['on time']);
  }));

test('mailbox_full and unavailable: the same envelope again after the wait, later messages do not overtake', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    await bob.client.start({ receive: true });
    relay.faults.refuse.push({ code: 'mailbox_full', retryAfterS: 1 }, { code: 'unavailable' });
    await ada.client.send('Bob', 'one');
    await until('refused once', () => relay.log.posts.length === 1);
    await ada.client.send('Bob', 'two');
    await until('Bob reads both', async () => (await bob.texts()).length === 2);
    expect(await bob.texts()).toEqual(['one', 'two']);
    const [first] = relay.log.posts;
    expect(relay.log.posts.filter(({ id }) => id === first?.id)).toHaveLength(3);
  }));

test('no_access is shown, and a new contact link lets the message go', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    const card = await bob.client.card();
    const wrong = card.replace(/&k=[^&]*/, `&k=${Buffer.alloc(16).toString('base64url')}`);
    await ada.client.addContact(wrong);
    await ada.client.send('Bob', 'at last');
    await until('it is blocked', async () => (await ada.client.store.messages.all())[0]?.state === 'blocked');
    expect((await ada.client.store.messages.all())[0]).toMatchObject({ state: 'blocked', reason: 'no_access' });
    await ada.client.addContact(card);
    await until('it is sent', async () => (await ada.client.store.messages.all())[0]?.state === 'sent');
    await bob.client.start({ receive: true });
    await until('Bob reads it', async () => (await bob.texts()).length === 1);
  }));

test('a relay that gives out another identity key than the contact link is not written to', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    const eve = await TestClient.join(relay.invite(), 'Eve');
    const [bobs, eves] = [relay.account((await bob.client.account()).accountId), relay.account((await eve.client.account()).accountId)];
    Object.assign(bobs, { identityKey: eves.identityKey, signed: eves.signed, prekeys: eves.prekeys, kyber: eves.kyber });
    await ada.client.send('Bob', 'secret');
    await until('it is blocked', async () => (await ada.client.store.messages.all())[0]?.state === 'blocked');
    expect((await ada.client.store.messages.all()).map(({ kind, reason }) => [kind, reason])).toEqual([
      ['text', 'identity_unconfirmed'],
      ['identity_changed', null],
    ]);
    expect(relay.log.posts).toHaveLength(0);
    await eve.close();
    removeDirectory(eve.directory);
  }));

test('a message that cannot be decrypted becomes a visible row, is acknowledged, and the next one is read', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await converse(ada, bob, 1);
    const { accountId } = await bob.client.account();
    await until('all is acknowledged', () => mailboxes() === 0);
    await bob.client.stop();
    await ada.client.send('Bob', 'will be damaged');
    await until('it waits', () => mailboxes() === 1);
    const [waiting] = relay.account(accountId).mailbox;
    if (waiting) waiting.body = `${waiting.body.slice(0, 400)}${waiting.body[400] === 'A' ? 'B' : 'A'}${waiting.body.slice(401)}`;
    await bob.client.start({ receive: true });
    await until('a row shows it', async () => (await bob.client.store.messages.counts()).undecryptable === 1);
    await ada.client.send('Bob', 'fine');
    await until('the next is read', async () => (await bob.texts()).at(-1) === 'fine');
    await until('both are acknowledged', () => mailboxes() === 0);
    const rows = await bob.client.store.messages.all();
    expect(rows.filter(({ kind }) => kind === 'undecryptable')).toMatchObject([{ peer: null, text: null, reason: 'not_for_me' }]);
  }));

test('a certificate of another root, or one that had expired when the envelope arrived, is not believed', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    await converse(ada, bob, 1);
    const { accountId } = await bob.client.account();
    await until('all is acknowledged', () => mailboxes() === 0);
    await bob.client.stop();
    await ada.client.send('Bob', 'from the past');
    await ada.client.send('Bob', 'from now');
    await until('they wait', () => mailboxes() === 2);
    const [late] = relay.account(accountId).mailbox;
    if (late) late.at += 2 * 86_400;
    await bob.client.start({ receive: true });
    await until('the second is read', async () => (await bob.texts()).at(-1) === 'from now');
    expect((await bob.client.store.messages.all()).filter(({ kind }) => kind === 'undecryptable')).toMatchObject([{ peer: null, reason: 'bad_certificate' }]);
  }));

test('the two lanes use different connections, and each recipient a post session of its own', () =>
  withTwoMembers(asUnderTest, async (ada, bob) => {
    const carol = await TestClient.join(relay.invite(), 'Carol');
    for (const card of [await bob.client.card(), await carol.client.card()]) await ada.client.addContact(card);
    for (let i = 0; i < 3; i += 1) for (const to of ['Bob', 'Carol']) await ada.client.send(to, `${i}`);
    await until('all have left', async () => (await ada.client.store.messages.counts()).sent === 6);
    const recipients = new Map<number, Set<string>>();
    for (const { session, to } of relay.log.posts) recipients.set(session, (recipients.get(session) ?? new Set()).add(to));
    expect([...recipients.values()].every((set) => set.size === 1)).toBe(true);
    expect(recipients.size).toBe(2);
    const { ports } = relay.log;
    const shared = [...ports.identified].filter((port) => ports.anonymous.has(port));
    expect(ports.identified.size).toBeGreaterThan(0);
    expect(ports.anonymous.size).toBeGreaterThan(0);
    expect(shared).toEqual([]);
    await carol.close();
    removeDirectory(carol.directory);
  }));

test('a newer session stops the older one, which does not reconnect', () =>
  withTwoMembers(asUnderTest, async (_ada, bob) => {
    await bob.client.start({ receive: true });
    await until('connected', () => bob.drained() === 1);
    relay.endMailbox((await bob.client.account()).accountId, 4409);
    await until('stopped', () => bob.events.some((event) => event.kind === 'connection' && event.connection.kind === 'stopped'));
    expect(bob.events.at(-1)).toEqual({ kind: 'connection', connection: { kind: 'stopped', reason: 'superseded' } });
  }));

test('a closed client goes on where it was: what was queued without a network leaves at the next start', async () => {
  await withTwoMembers(asUnderTest, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    relay.faults.refuse.push({ code: 'unavailable' }, { code: 'unavailable' });
    await ada.client.send('Bob', 'later');
    await ada.close();
    const again = await TestClient.open(ada.directory);
    await again.client.start({ receive: false });
    await bob.client.start({ receive: true });
    await until('Bob reads it', async () => (await bob.texts()).length === 1);
    await again.close();
  });
});
