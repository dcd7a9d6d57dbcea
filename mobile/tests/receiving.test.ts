/** What the receiver accepts and refuses, with envelopes made by hand by somebody who may be an enemy. */
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { toUtf8 } from '../src/core/bytes.ts';
import type { PeerState, SessionCiphertext } from '../src/core/engine.ts';
import { pad } from '../src/core/padding.ts';
import type { Database, Statement } from '../src/core/ports.ts';
import { KeyedQueue } from '../src/core/queue.ts';
import { Receiver } from '../src/core/receiving.ts';
import { RelayTime } from '../src/core/relay_time.ts';
import { openSchema } from '../src/core/storage/schema.ts';
import { Store } from '../src/core/storage/store.ts';
import { encodeContent } from '../src/core/wire/content.ts';
import type { Profile } from '../src/core/wire/content.ts';
import { openDatabase } from '../src/node/database.ts';
import { systemClock, systemRandom } from '../src/node/machine.ts';
import { NodeSignalEngine } from '../src/node/signal_engine.ts';
import { envelopeId, uuid4 } from '../src/core/uuid.ts';
import { makeAuthority } from './support/authority.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY } from './support/clients.ts';

const engine = new NodeSignalEngine();
const authority = makeAuthority();
const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';
const AT = Math.floor(Date.UTC(2026, 10, 22) / 1000);
const profile = { name: 'Ada', contactAccessKey: new Uint8Array(16).fill(9) };

let directory: string;
let database: Database;
let store: Store;
let receiver: Receiver;
let failWrites: boolean;
let bundle: Parameters<NodeSignalEngine['processBundle']>[1];
let bobKey: Uint8Array;

beforeEach(async () => {
  directory = temporaryDirectory();
  failWrites = false;
  const real = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  database = {
    ...real,
    write: (statements: readonly Statement[]) => (failWrites ? Promise.reject(new Error('disk full')) : real.write(statements)),
  };
  await openSchema(database);
  store = new Store(database);
  const { identity, publicKey } = await engine.generateIdentity();
  bobKey = publicKey;
  const signed = await engine.generateSignedPreKey(identity, 1, AT * 1000);
  const [lastResort, kyber] = await engine.generateKyberPreKeys(identity, 1, 2, AT * 1000);
  const [ec] = await engine.generatePreKeys(2, 1);
  if (!lastResort || !kyber || !ec) throw new Error('no keys');
  await store.write([
    store.account.create({
      relayUrl: 'https://relay.example',
      trustRoot: authority.trustRoot,
      inviteCode: 'x',
      name: 'Bob',
      secret: new Uint8Array(32),
      recoveryCode: new Uint8Array(32),
      identity,
      identityKey: publicKey,
      registrationId: 7,
      contactAccessKey: new Uint8Array(16),
      nextKeyId: 3,
    }),
    store.account.registered(BOB),
    store.keys.addPreKey({ ...signed, kind: 'signed' }, 'current', AT),
    store.keys.addPreKey({ ...lastResort, kind: 'kyber_last_resort' }, 'current', AT),
    store.keys.addPreKey({ ...kyber, kind: 'kyber' }, 'current', AT),
    store.keys.addPreKey({ ...ec, kind: 'ec', signature: null }, 'current', AT),
  ]);
  bundle = { identityKey: publicKey, registrationId: 7, signedPreKey: signed, preKey: ec, kyberPreKey: kyber };
  const account = await store.account.get();
  if (!account) throw new Error('no account');
  receiver = new Receiver({ store, engine, queue: new KeyedQueue(), time: new RelayTime(systemClock), random: systemRandom, account: { ...account, accountId: BOB } });
  Object.assign(bundle, { lastResort });
});

afterEach(async () => {
  await database.close();
  removeDirectory(directory);
});

const encodeText = (id: string, sentAt: number, words: string, own: Profile | null): Uint8Array =>
  encodeContent({ id, sentAt, profile: own, resent: null, kind: 'text', text: words, quote: null, timerS: 0 });

/** Receives, and says in a word what became of it. */
async function receive({ id, at, body }: { id: string; at: number; body: Uint8Array }) {
  const { events } = await receiver.receive(body, { lane: 'mail', id, at });
  return events.find(({ kind }) => kind === 'message' || kind === 'undecryptable') ?? { kind: 'nothing' as const };
}

/** Somebody with an account of the relay. */
class Correspondent {
  readonly account = uuid4(systemRandom);
  state!: PeerState;
  publicKey!: Uint8Array;

  static async make(): Promise<Correspondent> {
    const made = new Correspondent();
    const { identity, publicKey } = await engine.generateIdentity();
    made.publicKey = publicKey;
    made.state = { localAccount: made.account, identity, registrationId: 8, peerAccount: BOB, session: null, peerIdentity: null };
    return made;
  }

  async begin(with_ = bundle): Promise<this> {
    this.state = { ...this.state, ...(await engine.processBundle(this.state, with_, AT * 1000)) };
    return this;
  }

  async encrypt(plaintext: Uint8Array): Promise<SessionCiphertext> {
    const { session, ...message } = await engine.encrypt(this.state, plaintext, AT * 1000);
    this.state = { ...this.state, session };
    return message;
  }

  async seal(message: SessionCiphertext, claims: { account?: string; expiresAt?: number } = {}) {
    const certificate = authority.certificate(claims.account ?? this.account, this.publicKey, (claims.expiresAt ?? AT + 3_600) * 1000);
    const sealed = await engine.sealedWrap(this.state, bobKey, certificate, message);
    return { id: envelopeId(systemRandom, AT * 1000), at: AT, body: pad(sealed) };
  }

  async write(text: string, contentId = uuid4(systemRandom)) {
    return this.seal(await this.encrypt(encodeText(contentId, AT, text, profile)));
  }
}

const lastResortBundle = () => ({ ...bundle, preKey: null, kyberPreKey: (bundle as unknown as { lastResort: typeof bundle.kyberPreKey }).lastResort });
const rows = async () => (await store.messages.all()).map(({ kind, text, peer, reason }) => ({ kind, text, peer, reason }));
const text = (peer: string, words: string) => ({ kind: 'text', text: words, peer, reason: null });
const unreadable = (peer: string | null, reason: string) => ({ kind: 'undecryptable', text: null, peer, reason });

test('a first message uses up its one-time keys and makes the sender somebody who can be answered', async () => {
  const ada = await (await Correspondent.make()).begin();
  expect(await receive(await ada.write('hello'))).toMatchObject({ kind: 'message', name: 'Ada', peer: ada.account });
  expect(await store.keys.preKeys('ec')).toEqual([]);
  expect(await store.keys.preKeys('kyber')).toEqual([]);
  expect(await store.keys.preKeys('kyber_last_resort')).toHaveLength(1);
  expect(await store.people.get(ada.account)).toMatchObject({
    account: ada.account,
    name: null,
    profileName: 'Ada',
    identityKey: ada.publicKey,
    accessKey: profile.contactAccessKey,
    answered: false, // they began: nothing says that they hold our profile
    request: true,
  });
});

test('the same envelope again is a duplicate; so are the same ciphertext and the same content under new ids', async () => {
  const ada = await (await Correspondent.make()).begin();
  const contentId = uuid4(systemRandom);
  const plaintext = encodeText(contentId, AT, 'once', profile);
  const message = await ada.encrypt(plaintext);
  const envelope = await ada.seal(message);
  expect((await receive(envelope)).kind).toBe('message');
  expect(await receive(envelope)).toEqual({ kind: 'nothing' });
  const resealed = await ada.seal(message);
  expect(await receive(resealed)).toEqual({ kind: 'nothing' });
  expect(await receive(await ada.seal(await ada.encrypt(plaintext)))).toEqual({ kind: 'nothing' });
  expect(await store.keys.envelopeSeen(resealed.id)).toBe(true);
  expect(await rows()).toEqual([text(ada.account, 'once')]);
});

test('a first message that used the last-resort key does not begin a session twice', async () => {
  const ada = await (await Correspondent.make()).begin(lastResortBundle());
  const message = await ada.encrypt(encodeText(uuid4(systemRandom), AT, 'once', profile));
  expect((await receive(await ada.seal(message))).kind).toBe('message');
  await store.write([{ sql: 'DELETE FROM session' }, { sql: 'DELETE FROM message' }]); // an old session forgotten
  expect(await receive(await ada.seal(message))).toMatchObject({ kind: 'undecryptable', peer: ada.account });
  expect(await store.keys.session(ada.account)).toBeNull();
});

test('the certificate and the session must name one identity', async () => {
  const [ada, eve] = [await (await Correspondent.make()).begin(), await Correspondent.make()];
  const message = await ada.encrypt(encodeText(uuid4(systemRandom), AT, 'stolen', null));
  // Eve got hold of Ada's session ciphertext and seals it as her own.
  expect(await receive(await eve.seal(message))).toMatchObject({ kind: 'undecryptable', peer: eve.account });
  expect(await store.keys.session(eve.account)).toBeNull();
  expect((await receive(await ada.seal(message))).kind).toBe('message'); // no key was used up by her
});

test('another identity than the known one: read, said so, and nothing is sent to somebody pinned until it is confirmed', async () => {
  const [ada, eve] = [await (await Correspondent.make()).begin(), await (await Correspondent.make()).begin()];
  await store.write([store.people.save({ account: ada.account, identityKey: ada.publicKey, pinned: true })]);
  const message = await eve.encrypt(encodeText(uuid4(systemRandom), AT, 'I am Ada', profile));
  expect(await receive(await eve.seal(message, { account: ada.account }))).toMatchObject({ kind: 'message', peer: ada.account });
  expect(await store.people.get(ada.account)).toMatchObject({ identityKey: eve.publicKey, identityState: 'unconfirmed', pinned: false, verified: false });
  expect((await rows()).map(({ kind }) => kind)).toEqual(['identity_changed', 'text']);
});

test('a certificate is judged by the time of arrival: an old one is good, one expired by then is not', async () => {
  const ada = await (await Correspondent.make()).begin();
  expect((await receive(await ada.write('a month ago, by our clock'))).kind).toBe('message');
  const late = await ada.seal(await ada.encrypt(encodeText(uuid4(systemRandom), AT, 'late', null)), { expiresAt: AT - 1 });
  expect(await receive(late)).toEqual({ kind: 'undecryptable', peer: null, reason: 'bad_certificate' });
});

test('our own account as the sender is not believed', async () => {
  const eve = await (await Correspondent.make()).begin();
  const message = await eve.encrypt(encodeText(uuid4(systemRandom), AT, 'from yourself', null));
  expect(await receive(await eve.seal(message, { account: BOB }))).toEqual({ kind: 'undecryptable', peer: null, reason: 'bad_certificate' });
});

test('noise, bad padding, a missing prekey and a content that is none become rows, each settled for good', async () => {
  const ada = await (await Correspondent.make()).begin();
  const noise = { id: envelopeId(systemRandom, 0), at: AT, body: pad(systemRandom.bytes(500)) };
  const badPadding = { id: envelopeId(systemRandom, 0), at: AT, body: new Uint8Array(1024).fill(255) };
  const badSize = { id: envelopeId(systemRandom, 0), at: AT, body: new Uint8Array(7) };
  const none = await ada.seal(await ada.encrypt(toUtf8('{"v":1}')));
  const eve = await (await Correspondent.make()).begin({ ...bundle, preKey: { id: 999, publicKey: bundle.preKey?.publicKey ?? new Uint8Array() } });
  const missing = await eve.write('with a key that never was');
  for (const envelope of [noise, badPadding, badSize, none, missing]) {
    expect((await receive(envelope)).kind).toBe('undecryptable');
    expect(await receive(envelope)).toEqual({ kind: 'nothing' });
  }
  expect(await rows()).toEqual([
    unreadable(null, 'not_for_me'),
    unreadable(null, 'malformed'),
    unreadable(null, 'malformed'),
    unreadable(ada.account, 'bad_content'),
    unreadable(eve.account, 'missing_prekey'),
  ]);
  expect((await receive(await ada.write('and on we go'))).kind).toBe('message');
});

test('a kind that is not known yet moves the session on, shows nothing, and is settled', async () => {
  const ada = await (await Correspondent.make()).begin();
  const dance = await ada.seal(await ada.encrypt(toUtf8(JSON.stringify({ v: 1, id: uuid4(systemRandom), sent_at: AT, kind: 'dance' }))));
  expect(await receive(dance)).toEqual({ kind: 'nothing' });
  expect(await receive(dance)).toEqual({ kind: 'nothing' });
  expect((await receive(await ada.write('text'))).kind).toBe('message');
  expect(await rows()).toEqual([text(ada.account, 'text')]);
});

test('when the disk fails nothing is settled, and the same envelope is read later', async () => {
  const ada = await (await Correspondent.make()).begin();
  const envelope = await ada.write('kept by the relay');
  failWrites = true;
  await expect(receive(envelope)).rejects.toThrow('disk full');
  failWrites = false;
  expect(await store.keys.session(ada.account)).toBeNull();
  expect(await store.keys.preKeys('ec')).toHaveLength(1);
  expect((await receive(envelope)).kind).toBe('message');
});

test('a name that the member chose stays', async () => {
  const ada = await (await Correspondent.make()).begin();
  await store.write([store.people.save({ account: ada.account, name: 'Ada from work', identityKey: ada.publicKey })]);
  await receive(await ada.write('hello'));
  expect((await store.people.get(ada.account))?.name).toBe('Ada from work');
});
