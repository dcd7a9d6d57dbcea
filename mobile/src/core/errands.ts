/** What a client asks its relay apart from messages, on whatever machine it runs: joining, coming back, finding people. */
import type { Client, Joined, Machine } from './client.ts';
import { discover } from './discovery/discovery.ts';
import type { BookEntry, DiscoveryProgress, DiscoveryResult, DiscoverySettings } from './discovery/discovery.ts';
import { CannotDo } from './errors.ts';
import { parseInvite } from './links.ts';
import { recover } from './recovery.ts';
import type { RecoveryClaim, RecoveryStep } from './recovery.ts';
import { register } from './registration.ts';
import type { RegistrationStep } from './registration.ts';
import { AnonymousApi, bearer, IdentifiedApi } from './relay_api.ts';
import type { Account } from './storage/account.ts';
import { RecoveryStore } from './storage/recovery_store.ts';

export interface DiscoverOptions {
  readonly settings?: Partial<DiscoverySettings>;
  readonly onProgress?: (progress: DiscoveryProgress) => void;
  readonly stopped?: () => boolean;
}

type Of = Pick<Client, 'machine' | 'store' | 'discovery'>;

const keyMaking = ({ engine, clock, random, preKeys, identified }: Machine) => ({
  engine,
  clock,
  random,
  api: (relayUrl: string) => new IdentifiedApi(identified.http, relayUrl),
  ...(preKeys !== undefined && { preKeys }),
});

export function join({ machine, store, discovery }: Of, inviteLink: string, name: string, onStep?: (step: RegistrationStep) => void, number: string | null = null): Promise<Account> {
  return register({ ...keyMaking(machine), store, discovery, ...(onStep && { onStep }) }, parseInvite(inviteLink), name, number);
}

export function comeBack({ machine, store }: Of, inviteLink: string, claim: RecoveryClaim, onStep?: (step: RecoveryStep) => void): Promise<Account> {
  return recover({ ...keyMaking(machine), store, recoveries: new RecoveryStore(machine.database), ...(onStep && { onStep }) }, parseInvite(inviteLink), claim);
}

/** @throws CannotDo `no_discovery`, and what `discover` throws */
export async function findPeople({ machine, discovery }: Of, account: Joined, book: readonly BookEntry[], options: DiscoverOptions): Promise<DiscoveryResult> {
  const { random, clock, identified, anonymous } = machine;
  const keys = await discovery.keys();
  if (!keys) throw new CannotDo('no_discovery', 'the invite that made this account carried no keys for phone numbers: ask the operator');
  return discover(
    {
      store: discovery,
      identified: new IdentifiedApi(identified.http, account.relayUrl),
      anonymous: new AnonymousApi(anonymous.http, account.relayUrl),
      random,
      clock,
      keys,
      authorization: bearer(account.accountId, account.secret),
      account: account.accountId,
      nowS: () => Math.floor(clock.now() / 1000),
      ...options,
      settings: { ...machine.discovery, ...options.settings },
    },
    book,
  );
}
