/**
 * Changing who may write to this member. A unit of work that survives a kill at every step: the new key is on disk before the
 * relay is asked, counts only once the relay has answered, and a change that was begun is finished by the next call or start.
 */
import { sha256 } from '@noble/hashes/sha2.js';

import { CannotDo } from './errors.ts';
import type { Random, Statement } from './ports.ts';
import { bearer } from './relay_api.ts';
import type { IdentifiedApi } from './relay_api.ts';
import type { DiscoveryStore } from './storage/discovery_store.ts';
import type { Store } from './storage/store.ts';

export interface AccessKeyDeps {
  readonly store: Store;
  readonly discovery: DiscoveryStore;
  readonly random: Random;
  readonly api: IdentifiedApi;
  /** Written in the transaction in which the change begins to count: whoever is to be told. `contactKey` null: it stayed. */
  readonly also?: (contactKey: Uint8Array | null) => Promise<readonly Statement[]>;
}

export interface AccessChange {
  /** A new contact access key, 16 bytes: whoever holds only the old one can write no more, until told the new one. */
  readonly newContactKey?: boolean;
  /** Whether somebody who knows only this member's number may write. Absent: as it is. */
  readonly strangers?: boolean;
}

/**
 * Plans the change, durably, and carries it out. Answers the contact access key that counts from now on.
 * @throws CannotDo `no_number` for `strangers: true` without a number, `not_joined`; RelayUnreachable, RelayRefused: it is
 * planned, and `finishAccessChange` (or the same call) goes on
 */
export async function changeAccess(deps: AccessKeyDeps, change: AccessChange): Promise<Uint8Array> {
  const { discovery, random } = deps;
  if (change.strangers === true && !(await discovery.ownNumber())?.secrets) {
    throw new CannotDo('no_number', 'this account was made without a number, so nobody can know it by one');
  }
  await discovery.write([discovery.planAccessChange({ contactKey: change.newContactKey === true ? random.bytes(16) : null, strangers: change.strangers ?? null })]);
  return finishAccessChange(deps);
}

/** Carries out what is planned; without a plan it asks nobody. Answers the contact access key that counts. */
export async function finishAccessChange({ store, discovery, api, also }: AccessKeyDeps): Promise<Uint8Array> {
  const account = await store.account.get();
  if (!account?.accountId) throw new CannotDo('not_joined', 'there is no account here yet: join with an invite first');
  const planned = await discovery.accessChange();
  if (!planned) return account.contactAccessKey;
  const { contactKey, strangers } = planned;
  const own = strangers === true ? await discovery.ownNumber() : null;
  await api.changeAccess(bearer(account.accountId, account.secret), {
    ...(contactKey && { contactHash: sha256(contactKey) }),
    ...(strangers !== null && { numberHash: own?.secrets ? sha256(own.secrets.accessKey) : null }),
  });
  await discovery.write([...discovery.accessChanged(planned), ...((await also?.(contactKey)) ?? [])]);
  return contactKey ?? account.contactAccessKey;
}
