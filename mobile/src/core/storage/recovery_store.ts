/** A recovery under way: everything that the account will be, kept apart until the relay has answered, so that what there is stays good if it says no. */
import type { DiscoveryKeys, NumberSecrets } from '../discovery/numbers.ts';
import type { Database, Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';
import type { StoredPreKey } from './keys.ts';

export const RECOVERY_TABLES: readonly string[] = [
  `CREATE TABLE recovery (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     claimed_account TEXT,                   -- null: claimed by the number alone
     number TEXT,
     phone_token BLOB,                       -- null until the relay has evaluated the number
     number_access_key BLOB,
     used_code BLOB NOT NULL,                -- the recovery code that is shown; void once it was taken
     relay_url TEXT NOT NULL,
     trust_root BLOB NOT NULL,
     voprf_public_key BLOB,
     app_salt BLOB,
     invite_code TEXT NOT NULL,
     name TEXT NOT NULL,
     secret BLOB NOT NULL,
     recovery_code BLOB NOT NULL,            -- the next one
     identity BLOB NOT NULL,
     identity_key BLOB NOT NULL,
     registration_id INTEGER NOT NULL,
     contact_access_key BLOB NOT NULL,
     next_key_id INTEGER NOT NULL
   ) STRICT`,
  `CREATE TABLE recovery_prekey (
     kind TEXT NOT NULL,
     id INTEGER NOT NULL,
     record BLOB NOT NULL,
     public_key BLOB NOT NULL,
     signature BLOB,
     PRIMARY KEY (kind, id)
   ) STRICT, WITHOUT ROWID`,
];

export interface PlannedRecovery {
  readonly claimedAccount: string | null;
  readonly number: string | null;
  readonly numberSecrets: NumberSecrets | null;
  readonly usedCode: Uint8Array;
  readonly relayUrl: string;
  readonly trustRoot: Uint8Array;
  readonly discovery: DiscoveryKeys | null;
  readonly inviteCode: string;
  readonly name: string;
  readonly secret: Uint8Array;
  readonly recoveryCode: Uint8Array;
  readonly identity: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly registrationId: number;
  readonly contactAccessKey: Uint8Array;
  readonly nextKeyId: number;
}

function asPlanned(row: Row): PlannedRecovery {
  const [phoneToken, accessKey] = [row.blobOrNull('phone_token'), row.blobOrNull('number_access_key')];
  const [voprfPublicKey, appSalt] = [row.blobOrNull('voprf_public_key'), row.blobOrNull('app_salt')];
  return {
    claimedAccount: row.textOrNull('claimed_account'),
    number: row.textOrNull('number'),
    numberSecrets: phoneToken && accessKey ? { phoneToken, accessKey } : null,
    usedCode: row.blob('used_code'),
    relayUrl: row.text('relay_url'),
    trustRoot: row.blob('trust_root'),
    discovery: voprfPublicKey && appSalt ? { voprfPublicKey, appSalt } : null,
    inviteCode: row.text('invite_code'),
    name: row.text('name'),
    secret: row.blob('secret'),
    recoveryCode: row.blob('recovery_code'),
    identity: row.blob('identity'),
    identityKey: row.blob('identity_key'),
    registrationId: row.integer('registration_id'),
    contactAccessKey: row.blob('contact_access_key'),
    nextKeyId: row.integer('next_key_id'),
  };
}

export class RecoveryStore extends Area {
  readonly #database: Database;

  constructor(database: Database) {
    super(database);
    this.#database = database;
  }

  write(statements: readonly Statement[]): Promise<void> {
    return this.#database.write(statements);
  }

  planned(): Promise<PlannedRecovery | null> {
    return this.row(asPlanned, 'SELECT * FROM recovery');
  }

  preKeys(kind: StoredPreKey['kind']): Promise<readonly StoredPreKey[]> {
    return this.rows(
      (row) => ({ kind, id: row.integer('id'), record: row.blob('record'), publicKey: row.blob('public_key'), signature: row.blobOrNull('signature') }),
      'SELECT * FROM recovery_prekey WHERE kind = :kind ORDER BY id',
      { kind },
    );
  }

  /** In place of whatever was planned before. */
  plan(plan: Omit<PlannedRecovery, 'numberSecrets'>, preKeys: readonly StoredPreKey[]): readonly Statement[] {
    const { discovery, ...rest } = plan;
    return [
      ...this.forget(),
      {
        sql: `INSERT INTO recovery (only_row, claimed_account, number, used_code, relay_url, trust_root, voprf_public_key, app_salt, invite_code, name, secret,
                                    recovery_code, identity, identity_key, registration_id, contact_access_key, next_key_id)
              VALUES (1, :claimedAccount, :number, :usedCode, :relayUrl, :trustRoot, :voprfPublicKey, :appSalt, :inviteCode, :name, :secret,
                      :recoveryCode, :identity, :identityKey, :registrationId, :contactAccessKey, :nextKeyId)`,
        params: { ...rest, voprfPublicKey: discovery?.voprfPublicKey ?? null, appSalt: discovery?.appSalt ?? null },
      },
      ...preKeys.map((key) => ({ sql: 'INSERT INTO recovery_prekey VALUES (:kind, :id, :record, :publicKey, :signature)', params: { ...key } })),
    ];
  }

  evaluated({ phoneToken, accessKey }: NumberSecrets): Statement {
    return { sql: 'UPDATE recovery SET phone_token = :phoneToken, number_access_key = :accessKey', params: { phoneToken, accessKey } };
  }

  forget(): readonly Statement[] {
    return [{ sql: 'DELETE FROM recovery_prekey' }, { sql: 'DELETE FROM recovery' }];
  }

  /**
   * The relay has taken it: the planned account is the account. Sessions were the old identity's and are gone with its keys; what has not left is
   * encrypted anew, and nobody holds the new access key yet, so the profile rides along again. Contacts and messages stay.
   */
  carriedOut(account: string, now: number): readonly Statement[] {
    return [
      {
        sql: `INSERT INTO account (only_row, relay_url, trust_root, invite_code, name, account_id, secret, recovery_code, identity, identity_key,
                                   registration_id, contact_access_key, next_key_id)
              SELECT 1, relay_url, trust_root, invite_code, name, :account, secret, recovery_code, identity, identity_key,
                     registration_id, contact_access_key, next_key_id FROM recovery WHERE only_row = 1
              ON CONFLICT (only_row) DO UPDATE SET
                relay_url = excluded.relay_url, trust_root = excluded.trust_root, invite_code = excluded.invite_code, name = excluded.name,
                account_id = excluded.account_id, secret = excluded.secret, recovery_code = excluded.recovery_code, identity = excluded.identity,
                identity_key = excluded.identity_key, registration_id = excluded.registration_id, contact_access_key = excluded.contact_access_key,
                next_key_id = excluded.next_key_id, certificate = NULL, certificate_expires_at = NULL`,
        params: { account },
      },
      { sql: 'DELETE FROM prekey' },
      {
        sql: `INSERT INTO prekey (kind, id, record, public_key, signature, state, since)
              SELECT kind, id, record, public_key, signature, 'current', :now FROM recovery_prekey`,
        params: { now },
      },
      { sql: 'DELETE FROM last_resort_use' },
      { sql: 'DELETE FROM session' },
      { sql: 'DELETE FROM session_repair' },
      { sql: 'DELETE FROM access_change' },
      { sql: `DELETE FROM setting WHERE name = 'recovery_confirmed'` }, // the next code has not been written down yet
      {
        sql: `UPDATE outbox SET stage = iif(stage = 'blocked', 'blocked', 'queued'), message_type = NULL, ciphertext = NULL, peer_identity = NULL,
                envelope_id = NULL, body = NULL, sealed_until = NULL`,
      },
      { sql: 'UPDATE contact SET answered = 0' },
      {
        sql: `INSERT INTO discovery_keys SELECT 1, voprf_public_key, app_salt FROM recovery WHERE voprf_public_key IS NOT NULL
              ON CONFLICT (only_row) DO UPDATE SET voprf_public_key = excluded.voprf_public_key, app_salt = excluded.app_salt`,
      },
      {
        sql: `INSERT INTO own_number SELECT 1, number, phone_token, number_access_key FROM recovery WHERE phone_token IS NOT NULL
              ON CONFLICT (only_row) DO UPDATE SET number = excluded.number, phone_token = excluded.phone_token, access_key = excluded.access_key`,
      },
      ...this.forget(),
    ];
  }
}
