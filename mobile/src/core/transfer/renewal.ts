/** What a phone does that has taken an account over: prekeys of its own at the relay, and new sessions with everybody. */
import type { SignalEngine } from '../engine.ts';
import { isTold, notice, SPREAD_S, spread } from '../people/notices.ts';
import type { Clock, Random, Statement } from '../ports.ts';
import { signedPart } from '../registration.ts';
import { bearer } from '../relay_api.ts';
import type { IdentifiedApi, SignedPublicKeyPart } from '../relay_api.ts';
import type { Account } from '../storage/account.ts';
import type { Store } from '../storage/store.ts';

export interface RenewalDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  readonly api: IdentifiedApi;
  readonly account: Account & { readonly accountId: string };
  /** One-time keys of each kind. */
  readonly preKeys?: number;
  readonly spreadS?: number;
}

/**
 * The private halves are on disk before the relay has the public ones. Killed in between, or without an answer, the next call sends
 * the signed keys again, with other one-time keys. `also` is written with the end of it.
 * @throws RelayUnreachable, RelayRefused
 */
export async function renewKeys(deps: RenewalDeps, also: readonly Statement[]): Promise<void> {
  const { store, engine, clock, api, account, preKeys: count = 100 } = deps;
  const nowMs = clock.now();
  const now = Math.floor(nowMs / 1000);
  const [signed, lastResort] = await pendingKeys(deps);
  // One-time keys are sent once only: of an upload without an answer some may have been handed out.
  const first = (await store.account.get())?.nextKeyId ?? account.nextKeyId;
  const preKeys = await engine.generatePreKeys(first, count);
  const kyberPreKeys = await engine.generateKyberPreKeys(account.identity, first, count, nowMs);
  await store.write([
    store.account.takeKeyIds(first + count),
    ...preKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'ec', signature: null }, 'current', now)),
    ...kyberPreKeys.map((key) => store.keys.addPreKey({ ...key, kind: 'kyber' }, 'current', now)),
  ]);
  await api.replaceKeys(bearer(account.accountId, account.secret), { signedPreKey: signed, lastResortKyberPreKey: lastResort, preKeys, kyberPreKeys });
  await store.write([...store.keys.promotePreKeys('signed', now), ...store.keys.promotePreKeys('kyber_last_resort', now), ...(await resets(deps, now)), ...also]);
}

/** The same two until the relay has answered. */
async function pendingKeys({ store, engine, clock, account }: RenewalDeps): Promise<readonly [SignedPublicKeyPart, SignedPublicKeyPart]> {
  if ((await store.keys.preKeys('signed', 'pending')).length === 0) {
    const nowMs = clock.now();
    const id = (await store.account.get())?.nextKeyId ?? account.nextKeyId;
    const signed = await engine.generateSignedPreKey(account.identity, id, nowMs);
    const [lastResort] = await engine.generateKyberPreKeys(account.identity, id, 1, nowMs);
    if (!lastResort) throw new Error('the engine made no key');
    const since = Math.floor(nowMs / 1000);
    await store.write([
      store.account.takeKeyIds(id + 1),
      store.keys.addPreKey({ ...signed, kind: 'signed' }, 'pending', since),
      store.keys.addPreKey({ ...lastResort, kind: 'kyber_last_resort' }, 'pending', since),
    ]);
  }
  const [signed] = await store.keys.preKeys('signed', 'pending');
  const [lastResort] = await store.keys.preKeys('kyber_last_resort', 'pending');
  return [signedPart(signed), signedPart(lastResort)];
}

/** Everybody's session is with the old phone. Each is renewed before something is lost, not all in one minute. */
async function resets({ store, random, spreadS = SPREAD_S }: RenewalDeps, now: number): Promise<readonly Statement[]> {
  const told = (await store.people.all()).filter(isTold);
  return told.map(({ account }) => notice(store, random, account, { kind: 'session_reset', reason: 'new_phone', lost: [] }, now, now + spread(random, spreadS)));
}
