/** The encrypted database on the phone: expo-sqlite built with SQLCipher 4, the same files that the Node adapter writes. */
import { CannotDo } from '../core/errors.ts';
import type { Database, SqlValue, Statement } from '../core/ports.ts';

/** The part of expo-sqlite's SQLiteDatabase that is used here. */
export interface ExpoDatabase {
  execAsync(sql: string): Promise<void>;
  prepareAsync(sql: string): Promise<ExpoStatement>;
  closeAsync(): Promise<void>;
}

export interface ExpoStatement {
  executeAsync(params: Record<string, SqlValue>): Promise<{ getAllAsync(): Promise<unknown[]> }>;
  finalizeAsync(): Promise<void>;
}

/** Statements of the core are constants, so this is a bound for what is not. */
const PREPARED = 256;

/** Opening takes the key first, so that nothing is read without it. The order is SQLCipher's. */
const PRAGMAS = [
  'PRAGMA journal_mode=WAL',
  'PRAGMA synchronous=FULL', // a commit is on disk before it is acknowledged to the relay
  'PRAGMA foreign_keys=ON',
  'PRAGMA secure_delete=ON',
  'PRAGMA temp_store=MEMORY', // no plain temporary files
];

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * One thing at a time: expo-sqlite would let another statement into a transaction that is under way.
 * @throws CannotDo `wrong_key`; `not_encrypted` when the app was built without SQLCipher, which takes any key and encrypts nothing
 */
export async function openPhoneDatabase(driver: ExpoDatabase, key: Uint8Array): Promise<Database> {
  try {
    await driver.execAsync(`PRAGMA key="x'${hex(key)}'"`);
    await driver.execAsync('SELECT count(*) FROM sqlite_master');
  } catch {
    await driver.closeAsync();
    throw new CannotDo('wrong_key', 'the database does not open with the key in the Keystore'); // the driver's words hold the statement, and that the key
  }
  const version = await driver.prepareAsync('PRAGMA cipher_version');
  const [cipher] = (await (await version.executeAsync({})).getAllAsync()) as { cipher_version?: string }[];
  await version.finalizeAsync();
  if (!cipher?.cipher_version?.startsWith('4.')) {
    await driver.closeAsync();
    throw new CannotDo('not_encrypted', 'this build of the app has no SQLCipher: nothing is stored with it');
  }
  for (const pragma of PRAGMAS) await driver.execAsync(pragma);

  const prepared = new Map<string, ExpoStatement>();
  const prepare = async (sql: string): Promise<ExpoStatement> => {
    const known = prepared.get(sql);
    if (known) {
      prepared.delete(sql); // and to the end: the oldest goes first
      prepared.set(sql, known);
      return known;
    }
    const [oldest] = prepared;
    if (oldest && prepared.size >= PREPARED) {
      prepared.delete(oldest[0]);
      await oldest[1].finalizeAsync();
    }
    const statement = await driver.prepareAsync(sql);
    prepared.set(sql, statement);
    return statement;
  };
  const run = async ({ sql, params = {} }: Statement): Promise<Record<string, SqlValue>[]> => {
    const statement = await prepare(sql);
    // A blob is copied: what crosses into native code is the whole buffer that a view lies in.
    const bound = Object.entries(params).map(([name, value]) => [`:${name}`, value instanceof Uint8Array ? Uint8Array.from(value) : value]);
    const rows = (await (await statement.executeAsync(Object.fromEntries(bound) as Record<string, SqlValue>)).getAllAsync()) as Record<string, SqlValue>[];
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        const blob: unknown = value;
        if (blob instanceof ArrayBuffer) row[column] = new Uint8Array(blob);
      }
    }
    return rows;
  };

  let tail: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };
  return {
    read: (statement) => inTurn(() => run(statement)),
    write: (statements) =>
      inTurn(async () => {
        await driver.execAsync('BEGIN IMMEDIATE');
        try {
          for (const statement of statements) await run(statement);
          await driver.execAsync('COMMIT');
        } catch (error) {
          // SQLite has rolled back by itself after some errors (a full disk): then there is nothing to roll back.
          await driver.execAsync('ROLLBACK').catch(() => undefined);
          throw error;
        }
      }),
    close: () =>
      inTurn(async () => {
        for (const statement of prepared.values()) await statement.finalizeAsync();
        prepared.clear();
        await driver.closeAsync();
      }),
  };
}
