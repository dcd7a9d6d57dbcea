/**
 * Back into an account whose phone, or whose keys, are gone: by the recovery code, with new keys for everything. What the account will be is
 * on disk before the relay is asked, apart from the account there is, and takes its place only when the relay has said yes. So a lost answer or a
 * killed process is answered by the same request again, and a wrong code changes nothing.
 */
import { sha256 } from '@noble/hashes/sha2.js';

import { sameBytes } from './bytes.ts';
import { evaluateNumbers } from './discovery/evaluation.ts';
import { requireE164 } from './discovery/numbers.ts';
import { CannotDo, RelayRefused } from './errors.ts';
import type { Invite } from './links.ts';
import { checkedName } from './people/names.ts';
import { explainInvite, generateKeys, signedPart } from './registration.ts';
import type { KeyDeps } from './registration.ts';
import { withInvite } from './relay_api.ts';
import type { IdentifiedApi } from './relay_api.ts';
import type { Account } from './storage/account.ts';
import type { PlannedRecovery, RecoveryStore } from './storage/recovery_store.ts';
import type { Store } from './storage/store.ts';

export type RecoveryStep = 'keys' | 'number' | 'request' | 'recovered';

export interface RecoveryDeps extends KeyDeps {
  readonly store: Store;
  readonly recoveries: RecoveryStore;
  readonly api: (relayUrl: string) => IdentifiedApi;
  readonly onStep?: (step: RecoveryStep) => void;
}

export interface RecoveryClaim {
  readonly name: string;
  /** The account id, if it is known; else the number names the account. */
  readonly account: string | null;
  /** E.164. With an account id as well, it is what lets people find and reach the account by number again. */
  readonly number: string | null;
  /** 32 bytes. */
  readonly recoveryCode: Uint8Array;
}

/**
 * `invite` is any link of that relay; a number is evaluated under it, which spends none of its registrations.
 * @throws CannotDo `bad_claim`, `already_joined` (another account lives here), `bad_number`, `no_discovery`, `bad_recovery`, `bad_invite`;
 * NotTrusted `foreign_oprf_key`; RelayRefused (429: too many tries under this name), RelayUnreachable: then the same call again
 */
export async function recover(deps: RecoveryDeps, invite: Invite, claim: RecoveryClaim): Promise<Account> {
  const { store, recoveries, clock, onStep } = deps;
  const number = claim.number === null ? null : requireE164(claim.number);
  if (claim.account === null && number === null) throw new CannotDo('bad_claim', 'name the account by its id or by its number');
  if (number !== null && !invite.discovery) throw new CannotDo('no_discovery', 'this invite carries no keys for phone numbers: name the account by its id, or ask the operator for a new invite');
  const here = (await store.account.get())?.accountId ?? null;
  if (here !== null && claim.account !== null && here !== claim.account) {
    throw new CannotDo('already_joined', 'another account lives in this data directory: choose another one');
  }
  const wanted = { name: checkedName(claim.name), claimedAccount: claim.account ?? here, number, usedCode: claim.recoveryCode };
  const before = await recoveries.planned();
  if (before && isSame(before, invite, wanted)) {
    await recoveries.write([{ sql: 'UPDATE recovery SET invite_code = :code, name = :name', params: { code: invite.code, name: wanted.name } }]);
  } else {
    onStep?.('keys');
    await planAnew(deps, invite, wanted);
  }
  const planned = await evaluated(deps, invite, await required(recoveries));
  onStep?.('request');
  const account = await submit(deps.api(planned.relayUrl), recoveries, planned);
  await recoveries.write(recoveries.carriedOut(account, Math.floor(clock.now() / 1000)));
  onStep?.('recovered');
  const recovered = await store.account.get();
  if (!recovered) throw new Error('the account was just written');
  return recovered;
}

type Wanted = Pick<PlannedRecovery, 'name' | 'claimedAccount' | 'number' | 'usedCode'>;

/** The same claim at the same relay goes on with the keys that were made: the relay may have taken them already. */
function isSame(before: PlannedRecovery, invite: Invite, wanted: Wanted): boolean {
  return (
    before.relayUrl === invite.relayUrl &&
    before.claimedAccount === wanted.claimedAccount &&
    before.number === wanted.number &&
    sameBytes(before.usedCode, wanted.usedCode) &&
    sameBytes(before.trustRoot, invite.trustRoot)
  );
}

async function planAnew(deps: RecoveryDeps, invite: Invite, wanted: Wanted): Promise<void> {
  const { recoveries, random } = deps;
  const { preKeys, ...keys } = await generateKeys(deps);
  await recoveries.write(
    recoveries.plan(
      {
        ...wanted,
        ...keys,
        relayUrl: invite.relayUrl,
        trustRoot: invite.trustRoot,
        discovery: invite.discovery,
        inviteCode: invite.code,
        secret: random.bytes(32),
        recoveryCode: random.bytes(32),
        contactAccessKey: random.bytes(16),
      },
      preKeys,
    ),
  );
}

async function evaluated({ recoveries, random, clock, api, onStep }: RecoveryDeps, invite: Invite, planned: PlannedRecovery): Promise<PlannedRecovery> {
  if (planned.number === null || planned.numberSecrets || !planned.discovery) return planned;
  onStep?.('number');
  const deps = { api: api(planned.relayUrl), random, clock, keys: planned.discovery, authorization: withInvite(invite.code) };
  const [secrets] = await evaluateNumbers(deps, [planned.number]).catch(explainInvite);
  if (!secrets) throw new Error('one number, one answer');
  await recoveries.write([recoveries.evaluated(secrets)]);
  return required(recoveries);
}

async function required(recoveries: RecoveryStore): Promise<PlannedRecovery> {
  const planned = await recoveries.planned();
  if (!planned) throw new Error('the plan was just written');
  return planned;
}

async function submit(api: IdentifiedApi, recoveries: RecoveryStore, planned: PlannedRecovery): Promise<string> {
  const { numberSecrets } = planned;
  const [signed] = await recoveries.preKeys('signed');
  const [lastResort] = await recoveries.preKeys('kyber_last_resort');
  try {
    return await api.recover({
      account: planned.claimedAccount,
      recoveryCode: planned.usedCode,
      tokenHash: sha256(planned.secret),
      recoveryHash: sha256(planned.recoveryCode),
      identityKey: planned.identityKey,
      registrationId: planned.registrationId,
      signedPreKey: signedPart(signed),
      lastResortKyberPreKey: signedPart(lastResort),
      preKeys: await recoveries.preKeys('ec'),
      kyberPreKeys: (await recoveries.preKeys('kyber')).map(signedPart),
      contactAccessHash: sha256(planned.contactAccessKey),
      numberAccessHash: numberSecrets && sha256(numberSecrets.accessKey),
      phoneToken: planned.claimedAccount === null ? (numberSecrets?.phoneToken ?? null) : null,
    });
  } catch (error) {
    if (error instanceof RelayRefused && error.code === 'bad_recovery') {
      await recoveries.write(recoveries.forget());
      throw new CannotDo('bad_recovery', 'there is no such account, or the recovery code is another one. Look at it again: there are ten tries an hour');
    }
    throw error;
  }
}
