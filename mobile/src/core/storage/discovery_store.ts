/** Tables and statements of what is known by number: this member's own, and those of the address book. */
import type { DiscoveryKeys, NumberSecrets } from '../discovery/numbers.ts';
import type { Database, SqlValue, Statement } from '../ports.ts';
import { Row } from './row.ts';

export const DISCOVERY_TABLES: readonly string[] = [
  // Of the invite; no row when the relay cannot find people by number.
  `CREATE TABLE discovery_keys (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     voprf_public_key BLOB NOT NULL,
     app_salt BLOB NOT NULL
   ) STRICT`,
  // This member's number; no row without one. Token and key are null until the relay has evaluated it.
  `CREATE TABLE own_number (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     number TEXT NOT NULL,
     phone_token BLOB,
     access_key BLOB
   ) STRICT`,
  // A change of access keys under way: written before the relay is asked, gone when its answer is.
  `CREATE TABLE access_change (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     contact_key BLOB,                       -- null: stays as it is
     strangers INTEGER                       -- 1 open, 0 closed to who knows only the number, null as it is
   ) STRICT`,
  // The address book as far as it was asked about. An evaluation is never asked for twice, a look-up now and then.
  `CREATE TABLE known_number (
     number TEXT PRIMARY KEY,                -- E.164
     name TEXT,                              -- as the address book has it
     phone_token BLOB,                       -- null until evaluated
     access_key BLOB,
     looked_up_at INTEGER,                   -- null until looked up
     account_id TEXT                         -- null: no member, as of then
   ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX known_number_account ON known_number (account_id) WHERE account_id IS NOT NULL`,
  `CREATE INDEX known_number_age ON known_number (looked_up_at) WHERE phone_token IS NOT NULL`,
];

export interface OwnNumber {
  readonly number: string;
  /** Null until the relay has evaluated it. */
  readonly secrets: NumberSecrets | null;
}

export interface AccessChangeRow {
  readonly contactKey: Uint8Array | null;
  readonly strangers: boolean | null;
}

/** A number that was evaluated and is to be looked up. */
export interface Wanted {
  readonly number: string;
  readonly phoneToken: Uint8Array;
}

export interface KnownNumber {
  readonly number: string;
  readonly name: string | null;
  readonly account: string | null;
  readonly accessKey: Uint8Array | null;
}

const asKnown = (row: Row): KnownNumber => ({
  number: row.text('number'),
  name: row.textOrNull('name'),
  account: row.textOrNull('account_id'),
  accessKey: row.blobOrNull('access_key'),
});

export class DiscoveryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  write(statements: readonly Statement[]): Promise<void> {
    return this.#database.write(statements);
  }

  async #rows(sql: string, params: Readonly<Record<string, SqlValue>> = {}): Promise<readonly Row[]> {
    return (await this.#database.read({ sql, params })).map((raw) => new Row(raw));
  }

  // --- reads

  async keys(): Promise<DiscoveryKeys | null> {
    const [row] = await this.#rows('SELECT * FROM discovery_keys');
    return row ? { voprfPublicKey: row.blob('voprf_public_key'), appSalt: row.blob('app_salt') } : null;
  }

  async ownNumber(): Promise<OwnNumber | null> {
    const [row] = await this.#rows('SELECT * FROM own_number');
    if (!row) return null;
    const [phoneToken, accessKey] = [row.blobOrNull('phone_token'), row.blobOrNull('access_key')];
    return { number: row.text('number'), secrets: phoneToken && accessKey ? { phoneToken, accessKey } : null };
  }

  async accessChange(): Promise<AccessChangeRow | null> {
    const [row] = await this.#rows('SELECT * FROM access_change');
    const strangers = row?.integerOrNull('strangers') ?? null;
    return row ? { contactKey: row.blobOrNull('contact_key'), strangers: strangers === null ? null : strangers === 1 } : null;
  }

  /** Of the address book, not evaluated yet. */
  async unevaluated(): Promise<readonly string[]> {
    return (await this.#rows('SELECT number FROM known_number WHERE phone_token IS NULL ORDER BY number')).map((row) => row.text('number'));
  }

  /** Evaluated, and not looked up since `before`; those never looked up first. */
  async toLookUp(before: number): Promise<readonly Wanted[]> {
    const sql = `SELECT number, phone_token FROM known_number
                 WHERE phone_token IS NOT NULL AND (looked_up_at IS NULL OR looked_up_at < :before) ORDER BY looked_up_at, number`;
    return (await this.#rows(sql, { before })).map((row) => ({ number: row.text('number'), phoneToken: row.blob('phone_token') }));
  }

  async members(): Promise<readonly KnownNumber[]> {
    return (await this.#rows('SELECT * FROM known_number WHERE account_id IS NOT NULL ORDER BY number')).map(asKnown);
  }

  /** By what number this account was found; null when it was not. */
  async byAccount(account: string): Promise<KnownNumber | null> {
    const [row] = await this.#rows('SELECT * FROM known_number WHERE account_id = :account ORDER BY number', { account });
    return row ? asKnown(row) : null;
  }

  async byNumber(number: string): Promise<KnownNumber | null> {
    const [row] = await this.#rows('SELECT * FROM known_number WHERE number = :number', { number });
    return row ? asKnown(row) : null;
  }

  // --- writes

  saveKeys(keys: DiscoveryKeys | null): readonly Statement[] {
    if (!keys) return [{ sql: 'DELETE FROM discovery_keys' }];
    return [
      {
        sql: `INSERT INTO discovery_keys VALUES (1, :voprfPublicKey, :appSalt)
              ON CONFLICT (only_row) DO UPDATE SET voprf_public_key = excluded.voprf_public_key, app_salt = excluded.app_salt`,
        params: { ...keys },
      },
    ];
  }

  /** The same number again keeps what was evaluated; `fresh` forgets it, for another relay. */
  saveOwnNumber(number: string | null, fresh = false): readonly Statement[] {
    if (number === null) return [{ sql: 'DELETE FROM own_number' }];
    return [
      { sql: 'DELETE FROM own_number WHERE number <> :number OR :fresh', params: { number, fresh: fresh ? 1 : 0 } },
      { sql: 'INSERT INTO own_number (only_row, number) VALUES (1, :number) ON CONFLICT DO NOTHING', params: { number } },
    ];
  }

  ownNumberEvaluated({ phoneToken, accessKey }: NumberSecrets): Statement {
    return { sql: 'UPDATE own_number SET phone_token = :phoneToken, access_key = :accessKey', params: { phoneToken, accessKey } };
  }

  /** What is planned already and not asked for anew stays planned. */
  planAccessChange({ contactKey, strangers }: AccessChangeRow): Statement {
    return {
      sql: `INSERT INTO access_change VALUES (1, :contactKey, :strangers)
            ON CONFLICT (only_row) DO UPDATE SET contact_key = coalesce(contact_key, excluded.contact_key), strangers = coalesce(excluded.strangers, strangers)`,
      params: { contactKey, strangers: strangers === null ? null : Number(strangers) },
    };
  }

  /** The relay has taken it: from now on the new key is ours. What was planned meanwhile stays planned. */
  accessChanged({ contactKey, strangers }: AccessChangeRow): readonly Statement[] {
    const params = { contactKey, strangers: strangers === null ? null : Number(strangers) };
    return [
      { sql: 'UPDATE account SET contact_access_key = coalesce(:contactKey, contact_access_key)', params: { contactKey } },
      {
        sql: `UPDATE access_change SET contact_key = iif(contact_key IS :contactKey, NULL, contact_key), strangers = iif(strangers IS :strangers, NULL, strangers)`,
        params,
      },
      { sql: 'DELETE FROM access_change WHERE contact_key IS NULL AND strangers IS NULL' },
    ];
  }

  addKnownNumber(number: string, name: string | null): Statement {
    return {
      sql: `INSERT INTO known_number (number, name) VALUES (:number, :name)
            ON CONFLICT (number) DO UPDATE SET name = coalesce(excluded.name, name)`,
      params: { number, name },
    };
  }

  numberEvaluated(number: string, { phoneToken, accessKey }: NumberSecrets): Statement {
    return {
      sql: 'UPDATE known_number SET phone_token = :phoneToken, access_key = :accessKey WHERE number = :number',
      params: { number, phoneToken, accessKey },
    };
  }

  /** What a look-up said. A member becomes a contact that can be written to: by the key of the number, until they tell a better one. */
  numberLookedUp(number: string, account: string | null, at: number, own: string): readonly Statement[] {
    const statements: Statement[] = [
      { sql: 'UPDATE known_number SET looked_up_at = :at, account_id = :account WHERE number = :number', params: { number, at, account } },
    ];
    if (account !== null && account !== own) {
      statements.push({
        sql: `INSERT INTO contact (account_id, name, access_key) SELECT account_id, name, access_key FROM known_number WHERE number = :number
              ON CONFLICT (account_id) DO UPDATE SET name = coalesce(name, excluded.name), access_key = coalesce(access_key, excluded.access_key)`,
        params: { number },
      });
    }
    return statements;
  }

  /** Another relay, another function: nothing that was evaluated counts any more. */
  forgetEvaluations(): Statement {
    return { sql: 'UPDATE known_number SET phone_token = NULL, access_key = NULL, looked_up_at = NULL, account_id = NULL' };
  }
}
