import { sha256 } from '@noble/hashes/sha2.js';

import { concat, sameBytes, u32be } from './bytes.ts';
import type { SignalEngine } from './engine.ts';
import { NotTrusted } from './errors.ts';
import type { Clock } from './ports.ts';
import { bearer } from './relay_api.ts';
import type { IdentifiedApi, KeyCounts } from './relay_api.ts';
import { signedPart } from './registration.ts';
import type { Account } from './storage/account.ts';
import type { Store } from './storage/store.ts';

export interface PreKeyDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly api: IdentifiedApi;
}

/** What the relay should hold of each kind, and the most one call may bring. */
export const WANTED = 100;

/**
 * Tops the relay up to 100 one-time keys of each kind. New keys are in the database before they leave. Keys whose upload was
 * not answered are kept but never sent again: the relay may have handed one out since, and would hand it out a second time.
 * @throws NotTrusted `foreign_keys` when the relay's digest is not that of our own signed and last-resort keys
 */
export async function refillPreKeys(deps: PreKeyDeps, wanted = WANTED): Promise<KeyCounts> {
  const { store, engine, clock, api } = deps;
  const account = await store.account.get();
  if (!account?.accountId) throw new NotTrusted('not_joined', 'no account yet');
  const authorization = bearer(account.accountId, account.secret);
  const held = await api.keyCounts(authorization);
  await checkDigest(store, account, held);
  const ec = Math.max(0, wanted - held.prekeys);
  const kyber = Math.max(0, wanted - held.kyberPrekeys);
  if (ec + kyber === 0) return held;
  const first = account.nextKeyId;
  const now = Math.floor(clock.now() / 1000);
  const preKeys = await engine.generatePreKeys(first, ec);
  const kyberPreKeys = await engine.generateKyberPreKeys(account.identity, first + ec, kyber, clock.now());
  await store.write([
    store.account.takeKeyIds(first + ec + kyber),
    ...preKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'ec', signature: null }, 'current', now)),
    ...kyberPreKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'kyber' }, 'current', now)),
  ]);
  const after = await api.addKeys(authorization, preKeys, kyberPreKeys);
  await checkDigest(store, account, after);
  return after;
}

/** `identity_key || u32be(signed prekey id) || its public key || u32be(last-resort id) || its public key`, SHA-256. */
async function checkDigest(store: Store, account: Account, counts: KeyCounts): Promise<void> {
  const signed = signedPart((await store.keys.preKeys('signed', 'current')).at(-1));
  const lastResort = signedPart((await store.keys.preKeys('kyber_last_resort', 'current')).at(-1));
  const own = sha256(concat(account.identityKey, u32be(signed.id), signed.publicKey, u32be(lastResort.id), lastResort.publicKey));
  if (!sameBytes(own, counts.digest)) {
    throw new NotTrusted('foreign_keys', 'the relay gives out other keys than the ones this app made: do not trust new conversations through it');
  }
}
