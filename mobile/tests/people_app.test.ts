/** People behind the interface of screens: adding, verifying, requests, blocking, names. Real engine, real SQLCipher, a fake relay. */
import { createHash } from 'node:crypto';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { appLivesUntil } from './support/mortal_app.ts';
import { removeDirectory, until } from './support/clients.ts';

let relay: FakeRelay;
const open: TestApp[] = [];

beforeAll(async () => {
  relay = await FakeRelay.start();
});

afterAll(() => relay.stop());

afterEach(async () => {
  for (const one of open.splice(0)) {
    await one.close();
    removeDirectory(one.directory);
  }
});

async function join(name: string, spreadS = 0): Promise<TestApp> {
  const person = await TestApp.join(relay.invite(), name, undefined, { spreadS });
  open.push(person);
  return person;
}

const texts = async (person: TestApp, peer: string): Promise<readonly (string | null)[]> =>
  (await person.app.messages(peer, { before: null, limit: 100 })).messages.filter(({ mine, kind }) => !mine && kind === 'text').map(({ text }) => text);

const says = (from: TestApp, to: string, text: string): Promise<string> => from.app.send(to, { text, quotes: null });

const accessHash = (account: string): string => relay.account(account).accessHash;

/** They know each other, both ways, and are online. */
async function friends(...people: readonly TestApp[]): Promise<readonly string[]> {
  const ids = await Promise.all(people.map((person) => person.id()));
  for (const person of people) await person.app.start();
  for (const [at, from] of people.entries()) {
    for (const to of people.slice(at + 1)) {
      await from.app.addByCard(await to.app.card(), false);
      await says(from, await to.id(), 'hello');
      const peer = await from.id();
      await until('the first message is read', async () => (await to.app.contacts()).some((contact) => contact.peer === peer) && (await texts(to, peer)).length === 1);
      await says(to, peer, 'hello too');
      await until('the answer is read', async () => (await texts(from, await to.id())).length === 1);
    }
  }
  return ids;
}

test('a scanned card adds and verifies in one step; a link alone does not verify', async () => {
  const [ada, bob] = [await join('Ada'), await join('Bob')];
  expect(await ada.app.addByCard(await bob.app.card(), true)).toMatchObject({ name: 'Bob', verified: true, request: false, identity: 'same', reachable: true });
  expect(await bob.app.addByCard(await ada.app.card(), false)).toMatchObject({ name: 'Ada', verified: false });
  expect(ada.changes).toContainEqual({ topic: 'contacts' });
  await expect(ada.app.addByCard(await ada.app.card(), false)).rejects.toMatchObject({ code: 'own_card' });
  await expect(ada.app.addByCard('sottovoce:contact#a=1', false)).rejects.toMatchObject({ code: 'bad_link' });
  const foreign = (await bob.app.card()).replace(/&i=[^&]*/, `&i=${/&i=([^&]*)/.exec(await ada.app.card())?.[1]}`);
  await expect(ada.app.addByCard(foreign, true)).rejects.toMatchObject({ code: 'identity_changed' });
  expect(await ada.app.contact(await bob.id())).toMatchObject({ verified: true });
});

test('the name shown is the own choice, else what they call themselves; they are told of a new name', async () => {
  const [ada, bob] = [await join('Ada'), await join('Bob')];
  const [adaId, bobId] = (await friends(ada, bob)) as [string, string];
  await ada.app.setName('  Ada Lovelace ');
  await expect(ada.app.setName(' ')).rejects.toMatchObject({ code: 'bad_name' });
  await until('Bob is told', async () => (await bob.app.contact(adaId)).name === 'Ada Lovelace');
  await bob.app.setContactName(adaId, 'my Ada');
  expect(await bob.app.contact(adaId)).toMatchObject({ name: 'my Ada', profileName: 'Ada Lovelace' });
  expect((await bob.app.conversation(adaId)).name).toBe('my Ada');
  await bob.app.setContactName(adaId, null);
  expect((await bob.app.contact(adaId)).name).toBe('Ada Lovelace');
  expect((await ada.app.account())?.name).toBe('Ada Lovelace');
  expect((await ada.app.contact(bobId)).name).toBe('Bob');
});

test('safety numbers are the same at both ends, and scanning one verifies', async () => {
  const [ada, bob, eve] = [await join('Ada'), await join('Bob'), await join('Eve')];
  const [adaId, bobId] = (await friends(ada, bob)) as [string, string];
  const [atAda, atBob] = [await ada.app.safetyNumber(bobId), await bob.app.safetyNumber(adaId)];
  expect(atAda.groups).toEqual(atBob.groups);
  await friends(ada, eve);
  const wrong = await eve.app.safetyNumber(adaId);
  expect(await ada.app.compareSafetyCode(bobId, wrong.code)).toBe(false);
  expect((await ada.app.contact(bobId)).verified).toBe(false);
  await expect(ada.app.compareSafetyCode(bobId, 'hello')).rejects.toMatchObject({ code: 'bad_code' });
  expect(await ada.app.compareSafetyCode(bobId, atBob.code)).toBe(true);
  expect((await ada.app.conversation(bobId)).verified).toBe(true);
  await ada.app.setVerified(bobId, false);
  expect((await ada.app.contact(bobId)).verified).toBe(false);
  await expect(ada.app.safetyNumber('8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01')).rejects.toMatchObject({ code: 'no_contact' });
});

test('a stranger is a request: no receipts until accepted, then they are told who accepted', async () => {
  const [ada, bob] = [await join('Ada'), await join('Bob')];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), false);
  await says(ada, bobId, 'do you know me?');
  await bob.app.start();
  await until('it is a request', async () => (await bob.app.conversations({ archived: false })).some(({ request }) => request));
  const [message] = (await bob.app.messages(adaId, { before: null, limit: 1 })).messages;
  await bob.app.markRead(adaId, message?.row ?? 0);
  const { conversations, outbox } = bob.app.client.store;
  expect(await conversations.nextReceipt()).toBeNull();
  expect(await outbox.peers()).toEqual([]);
  await bob.app.setTyping(adaId, true);

  await ada.app.start();
  await bob.app.acceptRequest(adaId);
  expect(await bob.app.contact(adaId)).toMatchObject({ request: false });
  await until('Bob answered with his profile', async () => (await outbox.peers()).length === 0 && relay.account(adaId).mailbox.length === 0);
  expect((await ada.app.contact(bobId)).profileName).toBe('Bob');
  expect(relay.log.posts.filter(({ to }) => to === adaId)).toHaveLength(1);
  await says(ada, bobId, 'and now?');
  await until('a receipt is owed', async () => (await conversations.nextReceipt()) !== null);
});

test('blocked: what they send is dropped, their key opens nothing, the others are told the new one and notice nothing', async () => {
  const [ada, bob, eve] = [await join('Ada'), await join('Bob'), await join('Eve')];
  const [adaId, bobId, eveId] = (await friends(ada, bob, eve)) as [string, string, string];
  const before = accessHash(adaId);
  const oldKey = (await ada.app.client.account()).contactAccessKey;
  await ada.app.block(eveId);
  await ada.app.block(eveId); // again is nothing new
  await until('the relay has another key', () => accessHash(adaId) !== before);
  const key = (await ada.app.client.account()).contactAccessKey;
  await until('Bob has it', async () => Buffer.from((await bob.app.client.contact(adaId)).accessKey ?? []).equals(Buffer.from(key)));
  expect((await eve.app.client.contact(adaId)).accessKey).toEqual(oldKey);

  await says(eve, adaId, 'let me in');
  await until('it cannot go', async () => (await eve.app.messages(adaId, { before: null, limit: 1 })).messages[0]?.status === 'failed');
  expect((await eve.app.messages(adaId, { before: null, limit: 1 })).messages[0]).toMatchObject({ status: 'failed', reason: 'no_access' });
  await says(bob, adaId, 'still friends');
  await until('Bob is heard', async () => (await texts(ada, bobId)).includes('still friends'));
  expect(await texts(ada, eveId)).toEqual(['hello too']);
  await expect(ada.app.send(eveId, { text: 'x', quotes: null })).rejects.toMatchObject({ code: 'blocked' });
  expect((await ada.app.conversation(eveId)).blocked).toBe(true);

  await ada.app.unblock(eveId);
  await until('Eve is told, and what waited goes', async () => (await texts(ada, eveId)).includes('let me in'));
  await says(ada, eveId, 'all right');
  await until('Eve is written to', async () => (await texts(eve, adaId)).includes('all right'));
});

test('what a blocked person sent under a key that still opened is dropped without a trace, and the conversation goes on later', async () => {
  const [ada, bob] = [await join('Ada'), await join('Bob')];
  const [adaId, bobId] = (await friends(ada, bob)) as [string, string];
  await ada.app.stop();
  await says(bob, adaId, 'on its way');
  await until('it waits', () => relay.account(adaId).mailbox.length === 1);
  await ada.app.block(bobId);
  await ada.app.start();
  await until('it is gone', () => relay.account(adaId).mailbox.length === 0);
  expect(await texts(ada, bobId)).toEqual(['hello too']);
  await ada.app.unblock(bobId);
  await says(ada, bobId, 'again');
  await until('Bob reads it', async () => (await texts(bob, adaId)).includes('again'));
  await until('Bob may write', async () => (await bob.app.client.contact(adaId)).accessKey?.join() === (await ada.app.client.account()).contactAccessKey.join());
  await says(bob, adaId, 'fine');
  await until('Ada reads it', async () => (await texts(ada, bobId)).includes('fine'));
});

test('blocking without a network is planned, and carried out at the next connection, also by another process', async () => {
  const [ada, bob, eve] = [await join('Ada'), await join('Bob'), await join('Eve')];
  const [adaId, , eveId] = (await friends(ada, bob, eve)) as [string, string, string];
  const before = accessHash(adaId);
  await ada.close();
  open.splice(open.indexOf(ada), 1);
  const away = await TestApp.open(ada.directory, { spreadS: 0, identified: { http: { request: () => Promise.reject(new Error('no network')) }, sockets: { open: () => ({ send: () => undefined, close: () => undefined }) } } });
  await away.app.block(eveId);
  await away.close();
  expect(accessHash(adaId)).toBe(before);
  const back = await TestApp.open(ada.directory, { spreadS: 0 });
  open.push(back);
  await back.app.start();
  await until('the relay has another key', () => accessHash(adaId) !== before);
  await until('Bob has it', async () => (await bob.app.client.contact(adaId)).accessKey?.join() === (await back.app.client.account()).contactAccessKey.join());
});

test('blocking is killed at any step and gone on with: the relay has the key that counts here, and the others are told it', async () => {
  let steps = 0;
  let begun = 0;
  for (let through = false; !through; ) {
    steps += 1;
    const [ada, bob, eve] = [await join('Ada'), await join('Bob'), await join('Eve')];
    const [adaId, , eveId] = (await friends(ada, bob, eve)) as [string, string, string];
    const before = accessHash(adaId);
    await ada.close();
    open.splice(open.indexOf(ada), 1);
    through = await appLivesUntil(ada.directory, steps, { spreadS: 0 }, async (app) => {
      await app.block(eveId);
      await app.stop(); // with what is under way
    });
    const back = await TestApp.open(ada.directory, { spreadS: 0 });
    open.push(back);
    await back.app.start();
    if ((await back.app.contact(eveId)).blocked) begun += 1;
    else await back.app.block(eveId);
    await until('nothing is planned any more', async () => (await back.app.client.discovery.accessChange()) === null);
    const { contactAccessKey } = await back.app.client.account();
    expect(accessHash(adaId), `killed at ${steps}`).toBe(createHash('sha256').update(contactAccessKey).digest('base64url'));
    expect(accessHash(adaId)).not.toBe(before);
    await until('Bob has it', async () => (await bob.app.client.contact(adaId)).accessKey?.join() === contactAccessKey.join());
    for (const one of [back, bob, eve]) {
      open.splice(open.indexOf(one), 1);
      await one.close();
      removeDirectory(one.directory);
    }
  }
  expect(begun).toBeGreaterThan(3);
}, 120_000);

test('a relay that is busy at the moment of blocking is asked again, also while the connection stays up', async () => {
  const [ada, eve] = [await join('Ada'), await join('Eve')];
  const [adaId, eveId] = (await friends(ada, eve)) as [string, string];
  const before = accessHash(adaId);
  const { http } = ada.app.client.machine.identified as unknown as { http: { request: (request: { url: string }) => Promise<unknown> } };
  const { request } = http;
  let refusals = 1;
  http.request = (asked) => {
    if (!asked.url.endsWith('/v1/account/access') || refusals === 0) return request(asked);
    refusals -= 1;
    return Promise.resolve({ status: 503, body: '{"code":"unavailable"}', retryAfterS: 1 });
  };
  await ada.app.block(eveId);
  await until('the relay has another key', () => accessHash(adaId) !== before);
  expect(refusals).toBe(0);
  expect((await ada.app.connection()).state).toBe('online');
}, 60_000);

test('on no_access the own mailbox is read first: the new key may be waiting there', async () => {
  const [ada, bob, eve] = [await join('Ada'), await join('Bob'), await join('Eve')];
  const [adaId, bobId, eveId] = (await friends(ada, bob, eve)) as [string, string, string];
  await bob.app.stop();
  await ada.app.block(eveId);
  await until('word for Bob waits', () => relay.account(bobId).mailbox.length === 1);
  // Bob comes back: his message leaves at once under the old key, and is let in under the new one.
  await says(bob, adaId, 'with the new key');
  await bob.app.start();
  await until('Ada reads it', async () => (await texts(ada, bobId)).includes('with the new key'), 60_000);
  expect((await bob.app.messages(adaId, { before: null, limit: 1 })).messages[0]?.reason).toBeNull();
}, 90_000);

test('names and keys are told at times of their own within the span, one notice a person', async () => {
  const [ada, bob, eve] = [await join('Ada', 600), await join('Bob'), await join('Eve')];
  await friends(ada, bob, eve);
  const stranger = await join('Stranger');
  await stranger.app.addByCard(await ada.app.card(), false);
  await says(stranger, await ada.id(), 'who are you?');
  await until('it is a request', async () => (await ada.app.contacts()).some(({ request }) => request));
  await ada.app.setName('A');
  await ada.app.setName('B');
  const rows = await ada.app.client.machine.database.read({ sql: `SELECT peer, not_before FROM outbox WHERE kind = 'profile'` });
  expect(rows.map(({ peer }) => peer).sort()).toEqual([await bob.id(), await eve.id()].sort());
  const now = Date.now() / 1000;
  for (const { not_before: at } of rows) {
    expect(Number(at)).toBeGreaterThan(now - 60);
    expect(Number(at)).toBeLessThanOrEqual(now + 600);
  }
  await says(ada, await bob.id(), 'not held up by it');
  await until('Bob reads it', async () => (await texts(bob, await ada.id())).includes('not held up by it'));
});

test('muted until, and ended', async () => {
  const [ada, bob] = [await join('Ada'), await join('Bob')];
  await ada.app.addByCard(await bob.app.card(), false);
  await ada.app.mute(await bob.id(), 2_000_000_000);
  expect(await ada.app.contact(await bob.id())).toMatchObject({ mutedUntil: 2_000_000_000 });
  await ada.app.mute(await bob.id(), null);
  expect(await ada.app.contact(await bob.id())).toMatchObject({ mutedUntil: null });
  await expect(ada.app.mute(await ada.id(), null)).rejects.toMatchObject({ code: 'no_contact' });
});

test('the recovery code is shown in groups, and confirmed however it is written', async () => {
  const ada = await join('Ada');
  const code = await ada.app.recoveryCode();
  expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){13}[0-9A-HJKMNP-TV-Z]{4}$/);
  expect((await ada.app.account())?.recoveryConfirmed).toBe(false);
  const bob = await join('Bob');
  expect(await ada.app.confirmRecoveryCode(await bob.app.recoveryCode())).toBe(false);
  await expect(ada.app.confirmRecoveryCode(`${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`)).rejects.toMatchObject({ code: 'mistyped_code' });
  expect(await ada.app.confirmRecoveryCode(code.toLowerCase().replaceAll('-', ' '))).toBe(true);
  expect((await ada.app.account())?.recoveryConfirmed).toBe(true);
});
