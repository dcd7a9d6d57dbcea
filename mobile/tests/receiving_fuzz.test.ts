/**
 * Whatever somebody with a session may send, whole, damaged or made up, and whatever a relay may deliver: it is settled or nothing
 * has happened. Nothing crashes, nothing is half there.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { fromUtf8, toUtf8 } from '../src/core/bytes.ts';
import { parseContactLink, parseInvite } from '../src/core/links.ts';
import { CannotDo, Malformed } from '../src/core/errors.ts';
import { pad, unpad } from '../src/core/padding.ts';
import { preKeyIds } from '../src/core/prekey_message.ts';
import { envelopeId, uuid4 } from '../src/core/uuid.ts';
import { CALL_TYPES } from '../src/core/wire/call.ts';
import { encodeContent, KINDS } from '../src/core/wire/content.ts';
import type { Content } from '../src/core/wire/content.ts';
import { parseMailboxFrame, parsePostFrame } from '../src/core/wire/frames.ts';
import { systemRandom } from '../src/node/machine.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, until } from './support/clients.ts';

let relay: FakeRelay;
let ada: TestApp;
let bob: TestApp;
let [adaId, bobId] = ['', ''];
let failWrites = false;

beforeAll(async () => {
  relay = await FakeRelay.start();
  ada = await TestApp.join(relay.invite(), 'Ada');
  bob = await TestApp.join(relay.invite(), 'Bob', undefined, {}, (database) => ({
    ...database,
    write: (statements) => (failWrites ? Promise.reject(new Error('disk full')) : database.write(statements)),
  }));
  [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), false);
  await bob.app.addByCard(await ada.app.card(), false);
  // A session that both hold.
  await ada.app.send(bobId, { text: 'hello', quotes: null });
  await bob.app.start();
  await until('read', async () => (await bob.app.client.store.messages.all(adaId)).length === 1);
  await ada.app.start();
  await bob.app.send(adaId, { text: 'hello yourself', quotes: null });
  await until('read', async () => (await ada.app.client.store.messages.all(bobId)).length === 2);
  await ada.app.stop();
  await bob.app.stop();
});

afterAll(async () => {
  for (const one of [ada, bob]) {
    await one.close();
    removeDirectory(one.directory);
  }
  await relay.stop();
});

/** Ada's app encrypts any bytes at all. */
async function seal(plaintext: Uint8Array): Promise<Uint8Array> {
  const { client } = ada.app;
  const { engine } = client.machine;
  const { encryptor, account } = await client.running();
  const peerIdentity = (await client.store.people.get(bobId))?.identityKey ?? new Uint8Array();
  const peer = { localAccount: adaId, identity: account.identity, registrationId: account.registrationId, peerAccount: bobId, session: await client.store.keys.session(bobId), peerIdentity };
  const message = await engine.encrypt(peer, plaintext, Date.now());
  await client.store.write([client.store.keys.saveSession(bobId, message.session)]);
  return (await encryptor.seal(bobId, { messageType: message.type, ciphertext: message.body, peerIdentity })).body;
}

const now = (): number => Math.floor(Date.now() / 1000);
const receive = async (body: Uint8Array, lane: 'mail' | 'signal' = 'mail', id = envelopeId(systemRandom, Date.now())) =>
  (await bob.app.client.running()).receiver.receive(body, { lane, id, at: now() });

/** All there is, but for the ratchet. */
async function everything(): Promise<string> {
  const { database } = bob.app.client.machine;
  const tables = ['message', 'reaction', 'contact', 'conversation', 'receipt_due', 'outbox', 'sent_log', 'seen_envelope', 'prekey', 'session', 'session_repair'];
  const parts: unknown[] = [];
  for (const table of tables) parts.push(await database.read({ sql: `SELECT * FROM ${table}` }));
  return JSON.stringify(parts);
}

/** What must hold after anything. */
async function whole(): Promise<void> {
  const { store, machine } = bob.app.client;
  const count = async (sql: string): Promise<unknown> => (await machine.database.read({ sql }))[0]?.['n'];
  expect(await count('SELECT count(*) AS n FROM reaction r WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.peer = r.peer AND m.content_id = r.content_id)')).toBe(0);
  expect(await count(`SELECT count(*) AS n FROM message WHERE kind <> 'text' AND text IS NOT NULL`)).toBe(0);
  expect(await count(`SELECT count(*) AS n FROM message WHERE direction = 'out' AND kind = 'text' AND text <> 'hello yourself'`)).toBe(0); // nobody writes in our name
  await machine.database.write([{ sql: `INSERT INTO message_text (message_text, rank) VALUES ('integrity-check', 1)` }]);
  expect((await bob.app.conversation(adaId)).unread).toBe(await store.conversations.unread(adaId));
  const { messages } = await bob.app.messages(adaId, { before: null, limit: 50 });
  JSON.stringify(messages);
}

const ids = Array.from({ length: 4 }, () => uuid4(systemRandom));
const anId = fc.constantFrom(...ids);
const body = (kind: Content['kind']): fc.Arbitrary<object> => {
  const target = anId;
  switch (kind) {
    case 'text':
      return fc.record({ text: fc.string(), quote: fc.option(fc.record({ id: anId, author: fc.constantFrom('sender', 'recipient'), text: fc.string({ maxLength: 300 }) })), timerS: fc.nat(1_000) });
    case 'edit':
      return fc.record({ target, text: fc.string() });
    case 'delete':
      return fc.record({ target });
    case 'reaction':
      return fc.record({ target, emoji: fc.option(fc.string({ minLength: 1, maxLength: 8 })) });
    case 'receipt':
      return fc.record({ status: fc.constantFrom('delivered', 'read'), ids: fc.array(anId, { maxLength: 3 }) });
    case 'typing':
      return fc.record({ typing: fc.boolean() });
    case 'timer':
      return fc.record({ seconds: fc.nat(1_000) });
    case 'call':
      return fc.record({ call: fc.record({ type: fc.constantFrom(...CALL_TYPES), call: anId, data: fc.constant({}) }) });
    case 'session_reset':
      return fc.record({ reason: fc.constant('undecryptable'), lost: fc.array(fc.uuid(), { maxLength: 3 }) });
    case 'verified':
      return fc.record({ verified: fc.boolean() });
    default:
      return fc.constant({});
  }
};
const profile = { name: 'Ada', contactAccessKey: new Uint8Array(16).fill(3) };
const valid = fc.constantFrom(...KINDS).chain((kind) =>
  fc.tuple(body(kind), anId, fc.nat(), fc.option(anId)).map(([fields, id, sentAt, resent]) => encodeContent({ ...fields, kind, id, sentAt, resent, profile: kind === 'profile' ? profile : null } as Content)),
);
const damaged = fc.tuple(valid, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => bytes.map((one, i) => (i === at % bytes.length ? byte : one)));
const swapped = fc.tuple(valid, fc.nat(), fc.jsonValue({ maxDepth: 1 })).map(([bytes, at, value]) => {
  const fields = JSON.parse(fromUtf8(bytes)) as Record<string, unknown>;
  const names = Object.keys(fields);
  return toUtf8(JSON.stringify({ ...fields, [names[at % names.length] ?? 'kind']: value }));
});
const plaintext = fc.oneof({ weight: 5, arbitrary: valid }, damaged, swapped, fc.uint8Array({ maxLength: 60 }));

test('any content from somebody with a session is settled once; when the disk fails, nothing at all has changed', async () => {
  await fc.assert(
    fc.asyncProperty(plaintext, fc.constantFrom('mail', 'mail', 'signal'), fc.boolean(), async (bytes, lane, disk) => {
      const sealed = await seal(new Uint8Array(bytes));
      const id = envelopeId(systemRandom, Date.now());
      if (disk) {
        const before = await everything();
        failWrites = true;
        await expect(receive(sealed, lane, id)).rejects.toThrow('disk full');
        failWrites = false;
        expect(await everything()).toBe(before);
      }
      await receive(sealed, lane, id);
      const after = await everything();
      expect(await bob.app.client.store.keys.envelopeSeen(id)).toBe(true);
      expect(await receive(sealed, lane, id)).toEqual({ events: [], wake: null }); // again, as after a lost ack
      expect(await everything()).toBe(after);
      await whole();
    }),
    { numRuns: 80 },
  );
  // After all of that the session still works.
  await receive(await seal(encodeContent({ id: uuid4(systemRandom), sentAt: 1, profile: null, resent: null, kind: 'text', text: 'still here', quote: null, timerS: 0 })));
  expect((await bob.app.client.store.messages.all(adaId)).at(-1)?.text).toBe('still here');
}, 120_000);

test('an envelope damaged anywhere is settled, and what it says cannot be changed', async () => {
  const session = async () => (await bob.app.client.store.keys.session(adaId)) ?? new Uint8Array();
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const sealed = await seal(encodeContent({ id: uuid4(systemRandom), sentAt: 1, profile: null, resent: null, kind: 'text', text: 'x', quote: null, timerS: 0 }));
      const length = unpad(sealed).length;
      const bad = sealed.map((byte, i) => (i === 4 + (at % length) ? byte ^ change : byte));
      const before = Buffer.from(await session());
      const { events } = await receive(bad);
      const [event] = events;
      // A few bits of the outermost frame mean nothing (half of its version byte): with another value it is the same message.
      if (event?.kind === 'message') expect(event.message.text).toBe('x');
      else {
        expect(events.map(({ kind }) => kind)).toEqual(['undecryptable']);
        expect(Buffer.from(await session())).toEqual(before);
      }
      await whole();
    }),
    { numRuns: 40 },
  );
}, 60_000);

test('every reader of bytes or text from outside raises what it says, and nothing else', () => {
  const only = (work: () => unknown, ...types: readonly (new (...args: never[]) => Error)[]): void => {
    try {
      work();
    } catch (error) {
      if (!types.some((type) => error instanceof type)) throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => only(() => unpad(bytes), Malformed)));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => only(() => unpad(pad(bytes)), Malformed)));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => only(() => preKeyIds(bytes), Malformed)), { numRuns: 500 });
  for (const parse of [parseMailboxFrame, parsePostFrame]) {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => only(() => parse(text), Malformed)));
    const types = ['hello', 'deliver', 'drained', 'signal', 'prekeys_low', 'mailbox_was_full', 'ping', 'posted', 'refused'];
    const fields = fc.dictionary(fc.constantFrom('envelopes', 'id', 'ids', 'at', 'body', 'ttl_s', 'n', 'now', 'code', 'protocol', 'ping_every_s'), fc.jsonValue({ maxDepth: 2 }));
    fc.assert(fc.property(fc.constantFrom(...types), fields, (type, rest) => only(() => parse(JSON.stringify({ ...rest, type })), Malformed)), { numRuns: 400 });
  }
  const link = fc.oneof(fc.string(), fc.string().map((text) => `sottovoce:contact#${text}`), fc.string().map((text) => `https://relay.example/join#${text}`), fc.webUrl({ withFragments: true }));
  for (const parse of [parseContactLink, parseInvite]) fc.assert(fc.property(link, (text) => only(() => parse(text), CannotDo)), { numRuns: 400 });
});
