import { sha256 } from '@noble/hashes/sha2.js';

import { evaluateNumbers } from './discovery/evaluation.ts';
import { requireE164 } from './discovery/numbers.ts';
import type { NumberSecrets } from './discovery/numbers.ts';
import type { SignalEngine } from './engine.ts';
import { sameBytes } from './bytes.ts';
import { CannotDo, RelayRefused } from './errors.ts';
import type { Invite } from './links.ts';
import { checkedName } from './people/names.ts';
import type { Clock, Random, Statement } from './ports.ts';
import { withInvite } from './relay_api.ts';
import type { IdentifiedApi, SignedPublicKeyPart } from './relay_api.ts';
import type { DiscoveryStore } from './storage/discovery_store.ts';
import type { Account } from './storage/account.ts';
import type { StoredPreKey } from './storage/keys.ts';
import type { Store } from './storage/store.ts';

export type RegistrationStep = 'keys' | 'number' | 'request' | 'registered';

export interface RegistrationDeps {
  readonly store: Store;
  readonly discovery: DiscoveryStore;
  readonly engine: SignalEngine;
  readonly random: Random;
  readonly clock: Clock;
  readonly api: (relayUrl: string) => IdentifiedApi;
  /** Tells each step as it begins. */
  readonly onStep?: (step: RegistrationStep) => void;
  /** One-time keys of each kind, at most 100. */
  readonly preKeys?: number;
}

/**
 * Makes an account, or goes on with one that was begun: everything secret is in the database before the first request
 * leaves, so a lost answer (or a killed process) is answered by the same request again, which the relay replays.
 * With a number, the relay evaluates it blinded under the invite's authorization; what comes of that is on disk before it is used.
 * @throws CannotDo `already_joined`, `bad_invite`, `bad_number`, `no_discovery`, `number_taken` (another call may come with another
 * number, or none), NotTrusted `foreign_oprf_key`, RelayRefused, RelayUnreachable (then: the same call again)
 */
export async function register(deps: RegistrationDeps, invite: Invite, name: string, number: string | null = null): Promise<Account> {
  const { store, onStep } = deps;
  const wantedNumber = number === null ? null : requireE164(number);
  if (wantedNumber !== null && !invite.discovery) {
    throw new CannotDo('no_discovery', 'this invite carries no keys for phone numbers: join without a number, or ask the operator for a new invite');
  }
  let account = await store.account.get();
  if (account?.accountId) throw new CannotDo('already_joined', 'this data directory belongs to an account already: choose another one for a new account');
  if (account === null) {
    onStep?.('keys');
    await store.write([...(await newAccount(deps, invite, name)), ...(await numberRows(deps, invite, wantedNumber))]);
  } else {
    const invited = store.account.useInvite(invite.relayUrl, invite.trustRoot, invite.code, checkedName(name));
    await store.write([invited, ...(await numberRows(deps, invite, wantedNumber))]);
  }
  account = await stored(store);
  const api = deps.api(account.relayUrl);
  const secrets = await ownNumber(deps, api, invite);
  onStep?.('request');
  const accountId = await submit(api, account, store, secrets);
  await store.write([store.account.registered(accountId)]);
  onStep?.('registered');
  return stored(store);
}

async function stored(store: Store): Promise<Account> {
  const account = await store.account.get();
  if (!account) throw new CannotDo('not_joined', 'there is no account here yet: join with an invite first');
  return account;
}

/** What was evaluated with other keys is worth nothing. */
async function numberRows({ discovery }: RegistrationDeps, invite: Invite, number: string | null): Promise<readonly Statement[]> {
  const before = await discovery.keys();
  const same = before !== null && invite.discovery !== null && sameBytes(before.voprfPublicKey, invite.discovery.voprfPublicKey) && sameBytes(before.appSalt, invite.discovery.appSalt);
  return [...discovery.saveKeys(invite.discovery), ...discovery.saveOwnNumber(number, !same)];
}

/** Token and access key of the own number, evaluated now unless they are on disk; null without a number. */
async function ownNumber({ discovery, random, clock, onStep }: RegistrationDeps, api: IdentifiedApi, invite: Invite): Promise<NumberSecrets | null> {
  const own = await discovery.ownNumber();
  if (!own || own.secrets || !invite.discovery) return own?.secrets ?? null;
  onStep?.('number');
  const [secrets] = await evaluateNumbers({ api, random, clock, keys: invite.discovery, authorization: withInvite(invite.code) }, [own.number]).catch(explainInvite);
  if (!secrets) throw new Error('one number, one answer');
  await discovery.write([discovery.ownNumberEvaluated(secrets)]);
  return secrets;
}

export type KeyDeps = Pick<RegistrationDeps, 'engine' | 'random' | 'clock' | 'preKeys'>;

/** Identity and prekeys of a new account, or of one that is recovered. Ids: 1 signed, 1 last resort, then the one-time keys, from one counter. */
export async function generateKeys({ engine, random, clock, preKeys: count = 100 }: KeyDeps) {
  const now = clock.now();
  const { identity, publicKey: identityKey } = await engine.generateIdentity();
  const signed = await engine.generateSignedPreKey(identity, 1, now);
  const [lastResort] = await engine.generateKyberPreKeys(identity, 1, 1, now);
  if (!lastResort) throw new Error('the engine made no key');
  const ec = await engine.generatePreKeys(2, count);
  const kyber = await engine.generateKyberPreKeys(identity, 2, count, now);
  const [high = 0, low = 0] = random.bytes(2);
  const preKeys: readonly StoredPreKey[] = [
    { ...signed, kind: 'signed' },
    { ...lastResort, kind: 'kyber_last_resort' },
    ...ec.map((key) => ({ ...key, kind: 'ec' as const, signature: null })),
    ...kyber.map((key) => ({ ...key, kind: 'kyber' as const })),
  ];
  return { identity, identityKey, registrationId: 1 + (((high << 8) | low) % 0x3fff), nextKeyId: 2 + count, preKeys };
}

/** All of it in one transaction. */
async function newAccount(deps: RegistrationDeps, invite: Invite, name: string): Promise<readonly Statement[]> {
  const { store, random, clock } = deps;
  const checked = checkedName(name);
  const { preKeys, ...keys } = await generateKeys(deps);
  const since = Math.floor(clock.now() / 1000);
  return [
    store.account.create({
      relayUrl: invite.relayUrl,
      trustRoot: invite.trustRoot,
      inviteCode: invite.code,
      name: checked,
      secret: random.bytes(32),
      recoveryCode: random.bytes(32),
      contactAccessKey: random.bytes(16),
      ...keys,
    }),
    ...preKeys.map((key) => store.keys.addPreKey(key, 'current', since)),
  ];
}

export function signedPart(key: StoredPreKey | undefined): SignedPublicKeyPart {
  if (!key?.signature) throw new Error('a stored key has no signature');
  return { id: key.id, publicKey: key.publicKey, signature: key.signature };
}

async function submit(api: IdentifiedApi, account: Account, store: Store, number: NumberSecrets | null): Promise<string> {
  const [signed] = await store.keys.preKeys('signed');
  const [lastResort] = await store.keys.preKeys('kyber_last_resort');
  try {
    return await api.register(account.inviteCode, {
      tokenHash: sha256(account.secret),
      recoveryHash: sha256(account.recoveryCode),
      identityKey: account.identityKey,
      registrationId: account.registrationId,
      signedPreKey: signedPart(signed),
      lastResortKyberPreKey: signedPart(lastResort),
      preKeys: await store.keys.preKeys('ec'),
      kyberPreKeys: (await store.keys.preKeys('kyber')).map(signedPart),
      contactAccessHash: sha256(account.contactAccessKey),
      numberAccessHash: number && sha256(number.accessKey),
      phoneToken: number && number.phoneToken,
    });
  } catch (error) {
    if (error instanceof RelayRefused && error.code === 'number_taken') {
      throw new CannotDo(
        'number_taken',
        'another account has this number. If it is yours, recover it with its recovery code. Else join without a number, and ask the operator to free the number: the invite is still good',
      );
    }
    return explainInvite(error);
  }
}

export function explainInvite(error: unknown): never {
  if (error instanceof RelayRefused && error.code === 'bad_invite') {
    throw new CannotDo('bad_invite', 'the relay does not take this invite: it was used, has expired, or is mistyped. Ask the operator for a new one and join again with it');
  }
  throw error;
}
