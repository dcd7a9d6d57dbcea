/**
 * Records what the self-test on the phone opens again: a conversation that the Node engine wrote, sealed, with the recipient's keys and state.
 * `node --import tsx tests/support/make_self_test_vectors.ts > src/phone/vectors.json`; the keys are good for nothing else.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { toBase64url, toUtf8 } from '../../src/core/bytes.ts';
import type { DecryptionKeys, PeerState } from '../../src/core/engine.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { makeAuthority } from './authority.ts';

const AT_MS = Date.UTC(2026, 10, 22);
const EXPIRES_AT_MS = AT_MS + 86_400_000;
const [ADA, BOB] = ['8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01', '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02'] as const;

const engine = new NodeSignalEngine();
const authority = makeAuthority();
const [ada, bob] = [await engine.generateIdentity(), await engine.generateIdentity()];
const signedPreKey = await engine.generateSignedPreKey(bob.identity, 7, AT_MS);
const [preKey] = await engine.generatePreKeys(100, 1);
const [kyberPreKey] = await engine.generateKyberPreKeys(bob.identity, 200, 1, AT_MS);
if (!preKey || !kyberPreKey) throw new Error('no keys');

const state = (me: string, identity: Uint8Array, them: string): PeerState => ({ localAccount: me, identity, registrationId: 4711, peerAccount: them, session: null, peerIdentity: null });
const bundle = { identityKey: bob.publicKey, registrationId: 4711, signedPreKey, preKey, kyberPreKey };
let adas = state(ADA, ada.identity, BOB);
adas = { ...adas, ...(await engine.processBundle(adas, bundle, AT_MS)) };
let bobs = state(BOB, bob.identity, ADA);
const keys: DecryptionKeys = { preKey: preKey.record, signedPreKey: signedPreKey.record, kyberPreKey: kyberPreKey.record };
const certificate = authority.certificate(ADA, ada.publicKey, EXPIRES_AT_MS);

const messages = [];
for (const text of ['the first', 'the second, ğüş 你好', 'after an answer', '']) {
  if (text === 'after an answer') {
    const { session, ...answer } = await engine.encrypt(bobs, toUtf8('an answer'), AT_MS);
    bobs = { ...bobs, session };
    const read = await engine.decrypt(adas, answer, {});
    adas = { ...adas, session: read.session };
  }
  const { session, ...message } = await engine.encrypt(adas, toUtf8(text), AT_MS);
  adas = { ...adas, session };
  const sealed = await engine.sealedWrap(adas, bob.publicKey, certificate, message);
  const state = bobs.session && toBase64url(bobs.session);
  messages.push({ type: message.type, text, sealed: toBase64url(sealed), session: state, at_ms: AT_MS });
  const read = await engine.decrypt(bobs, message, message.type === 3 ? keys : {});
  bobs = { ...bobs, session: read.session, peerIdentity: read.peerIdentity };
}

const { made_with, fingerprints } = JSON.parse(readFileSync(path.join(import.meta.dirname, '../vectors/fingerprints.json'), 'utf8')) as { made_with: string; fingerprints: unknown };
process.stdout.write(
  `${JSON.stringify(
    {
      made_with,
      conversation: {
        trust_root: toBase64url(authority.trustRoot),
        expires_at_ms: EXPIRES_AT_MS,
        ada: { account: ADA, identity_key: toBase64url(ada.publicKey) },
        bob: {
          account: BOB,
          registration_id: 4711,
          identity: toBase64url(bob.identity),
          pre_key: toBase64url(preKey.record),
          signed_pre_key: toBase64url(signedPreKey.record),
          kyber_pre_key: toBase64url(kyberPreKey.record),
        },
        messages,
      },
      fingerprints,
    },
    null,
    1,
  )}\n`,
);
