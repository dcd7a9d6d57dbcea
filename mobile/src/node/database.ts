import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import DatabaseDriver from 'better-sqlite3-multiple-ciphers';

import { CannotDo } from '../core/errors.ts';
import type { Database, SqlValue, Statement } from '../core/ports.ts';

/** SQLCipher 4 files (`legacy=4`), as the phone's SQLite writes them. `key` is 32 bytes. */
export function openDatabase(file: string, key: Uint8Array): Database {
  return opened(file, key, (driver) => {
    driver.pragma('journal_mode=WAL');
    driver.pragma('synchronous=FULL'); // a commit is on disk before it is acknowledged to the relay
  });
}

/** An empty database under a key that nobody keeps. Its file loses its name at once, so nothing is left of it, not even by a crash. */
export function openScratch(): Database {
  const directory = mkdtempSync(path.join(tmpdir(), 'sottovoce-scratch-'));
  try {
    return opened(path.join(directory, 'scratch.db'), new Uint8Array(randomBytes(32)), (driver) => {
      driver.pragma('journal_mode=MEMORY');
      driver.pragma('synchronous=OFF');
      driver.exec('CREATE TABLE first (page); DROP TABLE first'); // the file is made by its first page
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function opened(file: string, key: Uint8Array, journal: (driver: DatabaseDriver.Database) => void): Database {
  const driver = new DatabaseDriver(file);
  try {
    driver.pragma(`cipher='sqlcipher'`);
    driver.pragma('legacy=4');
    driver.pragma(`key="x'${Buffer.from(key).toString('hex')}'"`);
    journal(driver);
    driver.pragma('foreign_keys=ON');
    driver.pragma('secure_delete=ON');
    driver.pragma('temp_store=MEMORY'); // no plain temporary files
  } catch (error) {
    driver.close();
    if (error instanceof DatabaseDriver.SqliteError && error.code === 'SQLITE_NOTADB') {
      throw new CannotDo('wrong_key', `${file} does not open with the key beside it: put back the key file that belongs to it`);
    }
    throw error;
  }
  const prepared = new Map<string, DatabaseDriver.Statement>();
  const prepare = ({ sql, params = {} }: Statement): [DatabaseDriver.Statement, Record<string, SqlValue | Buffer>] => {
    let statement = prepared.get(sql);
    if (!statement) {
      statement = driver.prepare(sql);
      prepared.set(sql, statement);
    }
    const bound = Object.entries(params).map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value) : value]);
    return [statement, Object.fromEntries(bound) as Record<string, SqlValue | Buffer>];
  };
  const writeAll = driver.transaction((statements: readonly Statement[]) => {
    for (const one of statements) {
      const [statement, params] = prepare(one);
      statement.run(params);
    }
  });
  return {
    async read(one) {
      const [statement, params] = prepare(one);
      const rows = statement.all(params) as Record<string, SqlValue>[];
      for (const row of rows) {
        for (const [column, value] of Object.entries(row)) if (value instanceof Uint8Array) row[column] = new Uint8Array(value);
      }
      return rows;
    },
    async write(statements) {
      writeAll.immediate(statements);
    },
    async close() {
      driver.close();
    },
  };
}

/**
 * Takes the data directory for this process until it ends; the kernel lets go of it whatever way that is, kill -9 included.
 * Two processes that advance one ratchet would each lose the other's messages.
 */
export function lockDirectory(file: string): () => void {
  const driver = new DatabaseDriver(file, { timeout: 200 });
  try {
    driver.pragma('journal_mode=DELETE');
    driver.pragma('locking_mode=EXCLUSIVE');
    driver.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    driver.close();
    if (error instanceof DatabaseDriver.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
      throw new CannotDo('in_use', 'another process is using this data directory: stop it, or talk to the running `watch` through its standard input');
    }
    throw error;
  }
  return () => driver.close();
}
