/** What an app brings to register or to recover, as the fake relay reads it. */
import { b64, BadFrame, ecKey, integer, listOf, shape, signedKey, uuid } from './fake_checks.ts';
import type { Json } from './fake_checks.ts';

export interface SignedKey {
  id: number;
  public_key: string;
  signature?: string;
}

/** All of an account that comes from its app. */
export interface Brought {
  tokenHash: string;
  recoveryHash: string;
  identityKey: string;
  registrationId: number;
  signed: SignedKey;
  lastResort: SignedKey;
  prekeys: SignedKey[];
  kyber: SignedKey[];
  accessHash: string;
  numberHash: string | null;
  phoneToken: string | null;
}

const FIELDS = {
  token_hash: b64(32),
  recovery_hash: b64(32),
  phone_token: b64(32),
  identity_key: b64(33),
  registration_id: integer(1, 0x3fff),
  signed_prekey: signedKey(33),
  last_resort_kyber_prekey: signedKey(1569),
  prekeys: listOf(ecKey, 0, 100),
  kyber_prekeys: listOf(signedKey(1569), 0, 100),
  access: (field: unknown) => Boolean(shape(field, { contact: b64(32), number: b64(32) }, ['number'])),
};

export function readRegistration(value: unknown, more: Record<string, (field: unknown) => boolean> = {}): Brought {
  const body = shape(value, { ...FIELDS, ...more }, ['phone_token', ...Object.keys(more)]);
  const [prekeys, kyber] = [body['prekeys'] as SignedKey[], body['kyber_prekeys'] as SignedKey[]];
  for (const list of [prekeys, kyber]) if (new Set(list.map((key) => key.id)).size !== list.length) throw new BadFrame('an id twice');
  const access = body['access'] as { contact: string; number?: string };
  return {
    tokenHash: body['token_hash'] as string,
    recoveryHash: body['recovery_hash'] as string,
    identityKey: body['identity_key'] as string,
    registrationId: body['registration_id'] as number,
    signed: body['signed_prekey'] as SignedKey,
    lastResort: body['last_resort_kyber_prekey'] as SignedKey,
    prekeys,
    kyber,
    accessHash: access.contact,
    numberHash: access.number ?? null,
    phoneToken: (body['phone_token'] as string | undefined) ?? null,
  };
}

/** `account` or the phone token of `brought` names the account. */
export function readRecovery(value: unknown): { readonly account: string | null; readonly code: string; readonly brought: Brought } {
  const brought = readRegistration(value, { account_id: uuid, recovery_code: b64(32) });
  const { account_id: account, recovery_code: code } = value as Json as { account_id?: string; recovery_code?: string };
  if (code === undefined || (account === undefined) === (brought.phoneToken === null)) throw new BadFrame('one name and a code');
  return { account: account ?? null, code, brought };
}
