/**
 * What the phone can show of itself: the engine against vectors that libsignal made elsewhere, a conversation with itself, and a round through
 * the Keystore's key and the database. Everything runs on throw-away keys; nothing of the account is touched.
 */
import { fromBase64url, fromUtf8, sameBytes, toBase64url, toUtf8 } from '../core/bytes.ts';
import { EngineError } from '../core/engine.ts';
import type { PeerState, SignalEngine } from '../core/engine.ts';
import type { Clock, Database, Random } from '../core/ports.ts';
import recorded from './vectors.json';

export interface SelfTestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly milliseconds: number;
}

export interface SelfTestMachine {
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  /** A database of its own, thrown away afterwards. */
  readonly withDatabase: (work: (database: Database) => Promise<void>) => Promise<void>;
}

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

async function refuses(code: string, work: Promise<unknown>): Promise<void> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  must(error instanceof EngineError && error.code === code, `expected ${code}`);
}

const same = (bytes: Uint8Array, text: string): boolean => sameBytes(bytes, fromBase64url(text));

/** Ada's messages, sealed by another engine, are opened with Bob's recorded keys, in order. */
async function recordedConversation({ engine }: SelfTestMachine): Promise<void> {
  const { bob, trust_root: root, messages } = recorded.conversation;
  let peerIdentity: Uint8Array | null = null;
  for (const { sealed, text, type, session: state, at_ms: atMs } of messages) {
    // As the other engine kept it before this message: what one wrote, the other must be able to go on with.
    const session = state === null ? null : fromBase64url(state);
    const identity = fromBase64url(bob.identity);
    const unwrapped = await engine.sealedUnwrap(identity, fromBase64url(sealed));
    must(unwrapped.type === type, 'type');
    const sender = await engine.checkCertificate(unwrapped.certificate, fromBase64url(root), atMs);
    const peer: PeerState = { localAccount: bob.account, identity, registrationId: bob.registration_id, peerAccount: sender.account, session, peerIdentity };
    const keys = { preKey: fromBase64url(bob.pre_key), signedPreKey: fromBase64url(bob.signed_pre_key), kyberPreKey: fromBase64url(bob.kyber_pre_key) };
    const read = await engine.decrypt(peer, unwrapped, type === 3 ? keys : {});
    must(fromUtf8(read.plaintext) === text, 'text');
    must(sameBytes(read.peerIdentity, sender.identityKey), 'identity');
    await refuses('duplicate', engine.decrypt({ ...peer, session: read.session, peerIdentity: read.peerIdentity }, unwrapped, {}));
    peerIdentity = read.peerIdentity;
  }
}

async function recordedRefusals({ engine }: SelfTestMachine): Promise<void> {
  const { bob, trust_root: root, messages } = recorded.conversation;
  const [first] = messages;
  must(first !== undefined, 'vectors');
  const sealed = fromBase64url(first.sealed);
  const tampered = sealed.slice();
  tampered[sealed.length - 1] = (tampered[sealed.length - 1] ?? 0) ^ 1;
  await refuses('not_for_me', engine.sealedUnwrap(fromBase64url(bob.identity), tampered));
  const { certificate } = await engine.sealedUnwrap(fromBase64url(bob.identity), sealed);
  await refuses('bad_certificate', engine.checkCertificate(certificate, fromBase64url(root), recorded.conversation.expires_at_ms + 1));
  const { publicKey } = await engine.generateIdentity();
  await refuses('bad_certificate', engine.checkCertificate(certificate, publicKey, first.at_ms));
}

async function safetyNumbers({ engine }: SelfTestMachine): Promise<void> {
  for (const vector of recorded.fingerprints) {
    const party = (side: { identifier: string; identity_key: string }) => ({ identifier: fromBase64url(side.identifier), identityKey: fromBase64url(side.identity_key) });
    const ours = await engine.fingerprint(party(vector.local), party(vector.remote));
    must(ours.digits === vector.digits && same(ours.scannable, vector.scannable), 'fingerprint');
    must(await engine.compareFingerprints(ours.scannable, fromBase64url(vector.scannable_of_remote)), 'comparison');
  }
}

/** PQXDH and both directions, with keys made here and now. */
async function freshConversation({ engine, clock }: SelfTestMachine): Promise<void> {
  const now = clock.now();
  const [ada, bob] = [await engine.generateIdentity(), await engine.generateIdentity()];
  const signedPreKey = await engine.generateSignedPreKey(bob.identity, 1, now);
  const [preKey] = await engine.generatePreKeys(2, 1);
  const [kyberPreKey] = await engine.generateKyberPreKeys(bob.identity, 3, 1, now);
  must(preKey !== undefined && kyberPreKey !== undefined, 'keys');
  const state = (me: string, identity: Uint8Array, them: string): PeerState => ({ localAccount: me, identity, registrationId: 1, peerAccount: them, session: null, peerIdentity: null });
  const bundle = { identityKey: bob.publicKey, registrationId: 1, signedPreKey, preKey, kyberPreKey };
  let adas: PeerState = { ...state('ada', ada.identity, 'bob'), ...(await engine.processBundle(state('ada', ada.identity, 'bob'), bundle, now)) };
  let bobs = state('bob', bob.identity, 'ada');
  const keys = { preKey: preKey.record, signedPreKey: signedPreKey.record, kyberPreKey: kyberPreKey.record };
  for (let turn = 0; turn < 6; turn += 1) {
    const forth = turn % 2 === 0;
    const { session, ...message } = await engine.encrypt(forth ? adas : bobs, toUtf8(`turn ${turn}`), now);
    const read = await engine.decrypt(forth ? bobs : adas, message, message.type === 3 ? keys : {});
    must(fromUtf8(read.plaintext) === `turn ${turn}`, 'text');
    const kept = { session: read.session, peerIdentity: read.peerIdentity };
    if (forth) [adas, bobs] = [{ ...adas, session }, { ...bobs, ...kept }];
    else [adas, bobs] = [{ ...adas, ...kept }, { ...bobs, session }];
  }
}

async function database({ withDatabase, random }: SelfTestMachine): Promise<void> {
  const bytes = random.bytes(64);
  await withDatabase(async (made) => {
    await made.write([{ sql: 'CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB) STRICT' }, { sql: 'INSERT INTO t VALUES (1, :b)', params: { b: bytes } }]);
    const failed = await made.write([{ sql: 'INSERT INTO t VALUES (2, NULL)' }, { sql: 'INSERT INTO t VALUES (1, NULL)' }]).then(
      () => false,
      () => true,
    );
    must(failed, 'a key that is there twice');
    const rows = await made.read({ sql: 'SELECT b FROM t' });
    must(rows.length === 1 && rows[0]?.['b'] instanceof Uint8Array && sameBytes(rows[0]['b'], bytes), 'one row');
  });
}

async function randomness({ random }: SelfTestMachine): Promise<void> {
  const drawn = new Set(Array.from({ length: 64 }, () => toBase64url(random.bytes(32))));
  must(drawn.size === 64, 'the same bytes twice');
}

const TESTS: readonly (readonly [string, (machine: SelfTestMachine) => Promise<void>])[] = [
  ['recorded_conversation', recordedConversation],
  ['recorded_refusals', recordedRefusals],
  ['safety_numbers', safetyNumbers],
  ['fresh_conversation', freshConversation],
  ['database', database],
  ['randomness', randomness],
];

/** All of them, whatever the first says. Names are for the table of words. */
export async function selfTest(machine: SelfTestMachine): Promise<readonly SelfTestResult[]> {
  const results: SelfTestResult[] = [];
  for (const [name, run] of TESTS) {
    const began = machine.clock.now();
    const passed = await run(machine).then(
      () => true,
      () => false,
    );
    results.push({ name, passed, milliseconds: machine.clock.now() - began });
  }
  return results;
}
