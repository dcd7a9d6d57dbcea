/** What every database under the core must do (ports.ts), whichever driver is below it. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Database, SqlValue } from '../src/core/ports.ts';

/** Opens the same encrypted file again each time; `wrongKey` with another key. */
export interface DatabaseUnderTest {
  open(wrongKey?: boolean): Promise<Database>;
  cleanUp(): void;
}

export function databaseContract(name: string, make: () => DatabaseUnderTest): void {
  let place: DatabaseUnderTest;
  let database: Database;
  beforeEach(async () => {
    place = make();
    database = await place.open();
    await database.write([{ sql: 'CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT, number REAL, whole INTEGER, bytes BLOB) STRICT' }]);
  });
  afterEach(async () => {
    await database.close();
    place.cleanUp();
  });

  const put = (id: number, values: Record<string, SqlValue> = {}) => ({
    sql: 'INSERT INTO things (id, text, number, whole, bytes) VALUES (:id, :text, :number, :whole, :bytes)',
    params: { id, text: null, number: null, whole: null, bytes: null, ...values },
  });
  const ids = async (): Promise<SqlValue[]> => (await database.read({ sql: 'SELECT id FROM things ORDER BY id' })).map((row) => row['id'] ?? null);

  test(`${name}: every kind of value comes back as it went in`, async () => {
    const values = { text: 'çöğ – 你好 \u0000 x', number: 1.5, whole: Date.UTC(2026, 10, 22), bytes: Uint8Array.of(0, 1, 254, 255) };
    await database.write([put(1, values), put(2, { text: '', bytes: new Uint8Array() }), put(3)]);
    const rows = await database.read({ sql: 'SELECT * FROM things ORDER BY id' });
    expect(rows[0]).toEqual({ id: 1, ...values });
    expect(rows[0]?.['bytes']).toBeInstanceOf(Uint8Array);
    expect(rows[1]).toMatchObject({ text: '', number: null });
    expect(rows[2]).toEqual({ id: 3, text: null, number: null, whole: null, bytes: null });
  });

  test(`${name}: a blob that is a window of a larger buffer is only that window`, async () => {
    const window = Uint8Array.of(9, 9, 1, 2, 3, 9).subarray(2, 5);
    await database.write([put(1, { bytes: window })]);
    expect((await database.read({ sql: 'SELECT bytes FROM things' }))[0]?.['bytes']).toEqual(Uint8Array.of(1, 2, 3));
  });

  test(`${name}: all of a list or none of it`, async () => {
    await database.write([put(1)]);
    await expect(database.write([put(2), put(1), put(3)])).rejects.toThrow();
    await expect(database.write([put(4), { sql: 'INSERT INTO nowhere VALUES (1)' }])).rejects.toThrow();
    expect(await ids()).toEqual([1]);
    await database.write([put(5)]); // and it goes on
    expect(await ids()).toEqual([1, 5]);
  });

  test(`${name}: lists and reads that are asked for at once do not mix`, async () => {
    const writes = Array.from({ length: 20 }, (_, index) => database.write([put(index * 10), put(index * 10 + 1), ...(index % 4 === 3 ? [put(0)] : [])]));
    const counts = Array.from({ length: 20 }, () => database.read({ sql: 'SELECT count(*) AS n FROM things' }));
    const done = await Promise.allSettled(writes);
    expect(done.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, (_, index) => (index % 4 === 3 ? 'rejected' : 'fulfilled')));
    for (const [row] of await Promise.all(counts)) expect(Number(row?.['n']) % 2).toBe(0); // never half of a list
    expect(await ids()).toHaveLength(30);
  });

  test(`${name}: an empty list is nothing`, async () => {
    await database.write([]);
    expect(await ids()).toEqual([]);
  });

  test(`${name}: more different statements than are kept prepared`, async () => {
    for (let i = 0; i < 600; i += 1) expect(await database.read({ sql: `SELECT ${i} AS i` })).toEqual([{ i }]);
    expect(await database.read({ sql: 'SELECT 0 AS i' })).toEqual([{ i: 0 }]);
  });

  test(`${name}: what was written is there after reopening, and another key does not open it`, async () => {
    await database.write([put(1, { text: 'kept' })]);
    await database.close();
    await expect(place.open(true)).rejects.toMatchObject({ code: 'wrong_key' });
    database = await place.open();
    expect(await database.read({ sql: 'SELECT text FROM things WHERE id = :id', params: { id: 1 } })).toEqual([{ text: 'kept' }]);
  });

  test(`${name}: foreign keys hold, and what is deleted is overwritten`, async () => {
    expect(await database.read({ sql: 'PRAGMA foreign_keys' })).toEqual([{ foreign_keys: 1 }]);
    expect(await database.read({ sql: 'PRAGMA secure_delete' })).toEqual([{ secure_delete: 1 }]);
    expect(await database.read({ sql: 'PRAGMA synchronous' })).toEqual([{ synchronous: 2 }]);
  });
}
