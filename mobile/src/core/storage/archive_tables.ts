/**
 * Which tables move to another phone, and the statements that read and write them row by row. Every table of the schema is
 * either carried or left, each for a reason; a test holds this list against the schema.
 */
import { Malformed } from '../errors.ts';
import type { Database, SqlValue, Statement } from '../ports.ts';

export interface CarriedTable {
  readonly name: string;
  /** The primary key, by which pages are read in order. */
  readonly key: readonly string[];
  /** Columns that stay behind and take their default. */
  readonly omit?: readonly string[];
  /** Columns that move as something else than they are here. */
  readonly as?: Readonly<Record<string, string>>;
}

/** In the order they are written in, the account last: with it the import is complete. */
export const CARRIED: readonly CarriedTable[] = [
  { name: 'contact', key: ['account_id'] },
  { name: 'conversation', key: ['peer'] },
  { name: 'message', key: ['seq'] },
  { name: 'reaction', key: ['peer', 'content_id', 'mine'] },
  { name: 'receipt_due', key: ['peer', 'status', 'content_id'] },
  { name: 'call_log', key: ['peer', 'id'] },
  { name: 'setting', key: ['name'] },
  { name: 'discovery_keys', key: ['only_row'] },
  { name: 'own_number', key: ['only_row'] },
  { name: 'known_number', key: ['number'] },
  { name: 'access_change', key: ['only_row'] },
  // What has not left is encrypted anew: what it was encrypted with stays behind.
  {
    name: 'outbox',
    key: ['id'],
    omit: ['message_type', 'ciphertext', 'peer_identity', 'envelope_id', 'body', 'sealed_until', 'attempts', 'not_before'],
    as: { stage: `iif(stage = 'blocked', 'blocked', 'queued')` },
  },
  { name: 'sent_log', key: ['envelope_id'] },
  { name: 'seen_envelope', key: ['id'] },
  { name: 'account', key: ['only_row'], omit: ['certificate', 'certificate_expires_at'] },
];

/** A ratchet that two phones turn loses messages at both. The rest says how things stand on this phone. */
export const LEFT: readonly string[] = ['session', 'prekey', 'last_resort_use', 'session_repair', 'recovery', 'recovery_prekey', 'lifecycle'];

/** A page of rows, small against the memory of a phone whatever the table. */
export const ROWS_A_PAGE = 200;

export type Value = SqlValue;

/** One row in the order of `columns`. */
export interface Page {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** The table names and columns below come from CARRIED and from the database's own schema, never from a file. */
export class ArchiveTables {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async columns({ name, omit = [] }: CarriedTable): Promise<readonly string[]> {
    const rows = await this.#database.read({ sql: `SELECT name FROM pragma_table_info(:name) ORDER BY cid`, params: { name } });
    return rows.map((row) => String(row['name'])).filter((column) => !omit.includes(column));
  }

  /** The rows after `after` (key values of the row before; null: from the beginning), in the order of the key. */
  async page(table: CarriedTable, columns: readonly string[], after: readonly Value[] | null): Promise<Page> {
    const { name, key } = table;
    const beyond = after === null ? '' : `WHERE (${key.join(', ')}) > (${key.map((_, index) => `:k${index}`).join(', ')})`;
    const params = Object.fromEntries((after ?? []).map((value, index) => [`k${index}`, value]));
    const selected = columns.map((column) => (table.as?.[column] ? `${table.as[column]} AS ${column}` : column));
    const sql = `SELECT ${selected.join(', ')} FROM ${name} ${beyond} ORDER BY ${key.join(', ')} LIMIT ${ROWS_A_PAGE}`;
    const rows = await this.#database.read({ sql, params });
    return { columns, rows: rows.map((row) => columns.map((column) => row[column] ?? null)) };
  }

  keyOf(table: CarriedTable, { columns, rows }: Page): readonly Value[] | null {
    const last = rows.at(-1);
    return last ? table.key.map((column) => last[columns.indexOf(column)] ?? null) : null;
  }

  async count(table: CarriedTable): Promise<number> {
    const [row] = await this.#database.read({ sql: `SELECT count(*) AS count FROM ${table.name}` });
    return Number(row?.['count'] ?? 0);
  }

  /** @throws Malformed when the columns are not those of this database */
  insert(table: CarriedTable, own: readonly string[], { columns, rows }: Page): readonly Statement[] {
    if (columns.length !== own.length || columns.some((column, index) => column !== own[index])) throw new Malformed(table.name, 'the columns of this version');
    const sql = `INSERT INTO ${table.name} (${own.join(', ')}) VALUES (${own.map((_, index) => `:v${index}`).join(', ')})`;
    return rows.map((row) => ({ sql, params: Object.fromEntries(row.map((value, index) => [`v${index}`, value])) }));
  }

  /** Everything, left tables included: for an import that did not end, and for an account that is deleted. */
  wipe(): readonly Statement[] {
    return [...CARRIED.map(({ name }) => name), ...LEFT].map((name) => ({ sql: `DELETE FROM ${name}` }));
  }
}
