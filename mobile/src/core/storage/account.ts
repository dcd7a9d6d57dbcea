/** This member, and the settings of this app. */
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export interface Account {
  readonly relayUrl: string;
  readonly trustRoot: Uint8Array;
  readonly inviteCode: string;
  readonly name: string;
  readonly accountId: string | null;
  readonly secret: Uint8Array;
  readonly recoveryCode: Uint8Array;
  readonly identity: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly registrationId: number;
  readonly contactAccessKey: Uint8Array;
  readonly nextKeyId: number;
  readonly certificate: Uint8Array | null;
  readonly certificateExpiresAt: number | null;
}

export const ACCOUNT_TABLES: readonly string[] = [
  // One row: this member. Everything is written before the first request, so that a lost answer can be asked for again.
  `CREATE TABLE account (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     relay_url TEXT NOT NULL,
     trust_root BLOB NOT NULL,
     invite_code TEXT NOT NULL,
     name TEXT NOT NULL,
     account_id TEXT,                        -- null until the relay answered
     secret BLOB NOT NULL,                   -- of the bearer token, 32 bytes
     recovery_code BLOB NOT NULL,            -- 32 bytes
     identity BLOB NOT NULL,                 -- the serialized key pair
     identity_key BLOB NOT NULL,             -- its public half
     registration_id INTEGER NOT NULL,
     contact_access_key BLOB NOT NULL,       -- 16 bytes
     next_key_id INTEGER NOT NULL,
     certificate BLOB,
     certificate_expires_at INTEGER
   ) STRICT`,
  // Settings and small facts of this app, by name; JSON. What is not there has its default in the code.
  `CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
];

function asAccount(row: Row): Account {
  return {
    relayUrl: row.text('relay_url'),
    trustRoot: row.blob('trust_root'),
    inviteCode: row.text('invite_code'),
    name: row.text('name'),
    accountId: row.textOrNull('account_id'),
    secret: row.blob('secret'),
    recoveryCode: row.blob('recovery_code'),
    identity: row.blob('identity'),
    identityKey: row.blob('identity_key'),
    registrationId: row.integer('registration_id'),
    contactAccessKey: row.blob('contact_access_key'),
    nextKeyId: row.integer('next_key_id'),
    certificate: row.blobOrNull('certificate'),
    certificateExpiresAt: row.integerOrNull('certificate_expires_at'),
  };
}

export class AccountArea extends Area {
  get(): Promise<Account | null> {
    return this.row(asAccount, 'SELECT * FROM account');
  }

  create(account: Omit<Account, 'accountId' | 'certificate' | 'certificateExpiresAt'>): Statement {
    return {
      sql: `INSERT INTO account (only_row, relay_url, trust_root, invite_code, name, secret, recovery_code, identity, identity_key,
                                 registration_id, contact_access_key, next_key_id)
            VALUES (1, :relayUrl, :trustRoot, :inviteCode, :name, :secret, :recoveryCode, :identity, :identityKey,
                    :registrationId, :contactAccessKey, :nextKeyId)`,
      params: { ...account },
    };
  }

  useInvite(relayUrl: string, trustRoot: Uint8Array, inviteCode: string, name: string): Statement {
    return {
      sql: `UPDATE account SET relay_url = :relayUrl, trust_root = :trustRoot, invite_code = :inviteCode, name = :name WHERE account_id IS NULL`,
      params: { relayUrl, trustRoot, inviteCode, name },
    };
  }

  registered(accountId: string): Statement {
    return { sql: 'UPDATE account SET account_id = :accountId WHERE account_id IS NULL', params: { accountId } };
  }

  saveCertificate(certificate: Uint8Array, expiresAt: number): Statement {
    return { sql: 'UPDATE account SET certificate = :certificate, certificate_expires_at = :expiresAt', params: { certificate, expiresAt } };
  }

  setName(name: string): Statement {
    return { sql: 'UPDATE account SET name = :name', params: { name } };
  }

  takeKeyIds(next: number): Statement {
    return { sql: 'UPDATE account SET next_key_id = :next', params: { next } };
  }

  // --- settings

  async setting(name: string): Promise<unknown> {
    const value = await this.row((row) => row.text('value'), 'SELECT value FROM setting WHERE name = :name', { name });
    return value === null ? null : (JSON.parse(value) as unknown);
  }

  setSetting(name: string, value: unknown): Statement {
    return {
      sql: 'INSERT INTO setting VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
      params: { name, value: JSON.stringify(value) },
    };
  }
}
