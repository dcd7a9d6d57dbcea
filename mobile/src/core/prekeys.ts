import { sha256 } from '@noble/hashes/sha2.js';

import { concat, sameBytes, u32be } from './bytes.ts';
import type { SignalEngine } from './engine.ts';
import { NotTrusted } from './errors.ts';
import type { Clock, Statement } from './ports.ts';
import { bearer } from './relay_api.ts';
import type { IdentifiedApi, KeyCounts } from './relay_api.ts';
import { signedPart } from './registration.ts';
import type { Account } from './storage/account.ts';
import type { KeyState } from './storage/keys.ts';
import type { Store } from './storage/store.ts';

export interface PreKeyDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly api: IdentifiedApi;
}

/** What the relay should hold of each kind, and the most one call may bring. */
export const WANTED = 100;
/** Signed and last-resort keys are made anew so often, seconds. */
export const ROTATE_AFTER_S = 2 * 86_400;
/** Mail waits 30 days at most, so what was encrypted to an older key than this can no longer come; seconds. */
export const FORGET_AFTER_S = 35 * 86_400;

/**
 * Tops the relay up to 100 one-time keys of each kind. New keys are in the database before they leave. Keys whose upload was
 * not answered are kept but never sent again: the relay may have handed one out since, and would hand it out a second time.
 * @throws NotTrusted `foreign_keys` when the relay's digest is not that of our own signed and last-resort keys
 */
export async function refillPreKeys(deps: PreKeyDeps, wanted = WANTED): Promise<KeyCounts> {
  const { store, engine, clock, api } = deps;
  const account = await joined(store);
  const authorization = bearer(account.accountId, account.secret);
  const held = await api.keyCounts(authorization);
  await checkDigest(store, account, held);
  const ec = Math.max(0, wanted - held.prekeys);
  const kyber = Math.max(0, wanted - held.kyberPrekeys);
  if (ec + kyber === 0) return held;
  const first = account.nextKeyId;
  const preKeys = await engine.generatePreKeys(first, ec);
  const kyberPreKeys = await engine.generateKyberPreKeys(account.identity, first + ec, kyber, clock.now());
  const since = nowS(clock);
  await store.write([
    store.account.takeKeyIds(first + ec + kyber),
    ...preKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'ec', signature: null }, 'current', since)),
    ...kyberPreKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'kyber' }, 'current', since)),
  ]);
  const after = await api.addKeys(authorization, preKeys, kyberPreKeys);
  await checkDigest(store, account, after);
  return after;
}

/**
 * Makes the signed prekey and the last-resort key anew when they are two days old, or goes on with a change that was begun: the
 * new private halves are on disk as `pending` before they leave, the same ones are sent until the relay has answered, and only
 * then they are the current ones. Whoever took the old ones, or the new ones before we knew, can be read in every case.
 * @throws NotTrusted `foreign_keys`, RelayUnreachable, RelayRefused: then nothing is lost, the next call goes on
 */
export async function rotateSignedKeys(deps: PreKeyDeps): Promise<'rotated' | 'not_due'> {
  const { store, clock, api } = deps;
  const account = await joined(store);
  if ((await store.keys.preKeys('signed', 'pending')).length === 0) {
    const current = (await store.keys.preKeys('signed', 'current')).at(-1);
    const age = nowS(clock) - (current?.since ?? 0);
    if (age > -ROTATE_AFTER_S && age < ROTATE_AFTER_S) return 'not_due'; // a clock that was set back by much makes it due too
    await store.write(await pendingKeys(deps, account));
  }
  const [signed] = await store.keys.preKeys('signed', 'pending');
  const [lastResort] = await store.keys.preKeys('kyber_last_resort', 'pending');
  const counts = await api.replaceSignedKeys(bearer(account.accountId, account.secret), signedPart(signed), signedPart(lastResort));
  await checkDigest(store, account, counts, 'pending');
  const since = nowS(clock);
  await store.write([
    ...store.keys.promotePreKeys('signed', since),
    ...store.keys.promotePreKeys('kyber_last_resort', since),
    ...store.keys.forgetOldPreKeys(since - FORGET_AFTER_S),
  ]);
  return 'rotated';
}

async function pendingKeys({ engine, clock, store }: PreKeyDeps, account: Account): Promise<readonly Statement[]> {
  const now = clock.now();
  const signed = await engine.generateSignedPreKey(account.identity, account.nextKeyId, now);
  const [lastResort] = await engine.generateKyberPreKeys(account.identity, account.nextKeyId + 1, 1, now);
  if (!lastResort) throw new Error('the engine made no key');
  return [
    store.account.takeKeyIds(account.nextKeyId + 2),
    store.keys.addPreKey({ ...signed, kind: 'signed' }, 'pending', nowS(clock)),
    store.keys.addPreKey({ ...lastResort, kind: 'kyber_last_resort' }, 'pending', nowS(clock)),
  ];
}

async function joined(store: Store): Promise<Account & { readonly accountId: string }> {
  const account = await store.account.get();
  const accountId = account?.accountId;
  if (!account || !accountId) throw new NotTrusted('not_joined', 'no account yet');
  return { ...account, accountId };
}

/** `identity_key || u32be(signed prekey id) || its public key || u32be(last-resort id) || its public key`, SHA-256. */
async function checkDigest(store: Store, account: Account, counts: KeyCounts, state: KeyState = 'current'): Promise<void> {
  const signed = signedPart((await store.keys.preKeys('signed', state)).at(-1));
  const lastResort = signedPart((await store.keys.preKeys('kyber_last_resort', state)).at(-1));
  const own = sha256(concat(account.identityKey, u32be(signed.id), signed.publicKey, u32be(lastResort.id), lastResort.publicKey));
  if (!sameBytes(own, counts.digest)) {
    throw new NotTrusted('foreign_keys', 'the relay gives out other keys than the ones this app made: do not trust new conversations through it');
  }
}

function nowS(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}
