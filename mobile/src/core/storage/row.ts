/** How a column becomes a typed value, and what the parts of the storage have in common. */
import { SottovoceError } from '../errors.ts';
import type { Database, SqlValue } from '../ports.ts';

export type Params = Readonly<Record<string, SqlValue>>;

/** Reads columns by name; a column of another type than expected is a fault of the program, not of the data. */
export class Row {
  readonly #raw: Params;

  constructor(raw: Params) {
    this.#raw = raw;
  }

  textOrNull(column: string): string | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && typeof value !== 'string') throw new SottovoceError('database', `column ${column} is not text`);
    return value;
  }

  integerOrNull(column: string): number | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && typeof value !== 'number') throw new SottovoceError('database', `column ${column} is not a number`);
    return value;
  }

  blobOrNull(column: string): Uint8Array | null {
    const value = this.#raw[column] ?? null;
    if (value !== null && !(value instanceof Uint8Array)) throw new SottovoceError('database', `column ${column} is not a blob`);
    return value;
  }

  text(column: string): string {
    return this.#there(column, this.textOrNull(column));
  }

  integer(column: string): number {
    return this.#there(column, this.integerOrNull(column));
  }

  flag(column: string): boolean {
    return this.integer(column) === 1;
  }

  blob(column: string): Uint8Array {
    return this.#there(column, this.blobOrNull(column));
  }

  #there<T>(column: string, value: T | null): T {
    if (value === null) throw new SottovoceError('database', `column ${column} is null`);
    return value;
  }
}

/** One area of the database: its reads answer rows; its writes answer statements, so that a unit of work can put several into one transaction. */
export class Area {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  protected async rows<T>(as: (row: Row) => T, sql: string, params: Params = {}): Promise<readonly T[]> {
    return (await this.#database.read({ sql, params })).map((raw) => as(new Row(raw)));
  }

  protected async row<T>(as: (row: Row) => T, sql: string, params: Params = {}): Promise<T | null> {
    return (await this.rows(as, sql, params))[0] ?? null;
  }

  protected async exists(sql: string, params: Params = {}): Promise<boolean> {
    return (await this.#database.read({ sql, params })).length > 0;
  }
}
