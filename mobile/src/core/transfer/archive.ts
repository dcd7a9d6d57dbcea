/**
 * Moving to another phone: everything but ratchets and prekeys, as one sealed file. Chunks hold JSON: a manifest first, then pages of rows of
 * one table, then the totals.
 *
 *     {"kind": "manifest", "version": 1, "schema": 1}
 *     {"kind": "rows", "table": "message", "columns": ["seq", …], "rows": [[1, …, {"b": "<base64url>"}], …]}
 *     {"kind": "end", "rows": {"message": 812, …}, "digest": "<base64url of SHA-256 over all rows chunks>"}
 *
 * Writing and reading hold one page at a time, so the size of a history does not matter.
 */
import { sha256 } from '@noble/hashes/sha2.js';

import { fromBase64url, fromUtf8, sameBytes, toBase64url, toUtf8 } from '../bytes.ts';
import { CannotDo, Malformed, SottovoceError } from '../errors.ts';
import type { Database, Random, Statement } from '../ports.ts';
import { ArchiveTables, CARRIED } from '../storage/archive_tables.ts';
import type { CarriedTable, Page, Value } from '../storage/archive_tables.ts';
import { openSchema, SCHEMA_VERSION } from '../storage/schema.ts';
import { Reader } from '../wire/reader.ts';
import { ContainerWriter, damaged, readContainer } from './container.ts';
import type { ArchiveReader, ArchiveWriter } from './container.ts';

/** Files as a phone and a computer have them. A name means what the adapter says it means. */
export interface ArchiveFiles {
  /** @throws CannotDo `file_exists`, `no_file` when it cannot be written there */
  write(file: string): Promise<ArchiveWriter>;
  /** @throws CannotDo `no_file` */
  read(file: string): Promise<ArchiveReader>;
  /** An empty database, encrypted under a key that nobody keeps; closing it leaves nothing, nor does a crash. */
  scratch(): Promise<Database>;
}

export const ARCHIVE_VERSION = 1;

export interface Totals {
  readonly messages: number;
  readonly contacts: number;
}

export type OnProgress = (done: number, total: number) => void;

interface Ended {
  readonly counts: Readonly<Record<string, number>>;
  readonly digest: Uint8Array;
}

/** All rows as chunks, in order; the last value is what the archive ends with. */
async function* rowsOf(database: Database): AsyncGenerator<{ readonly bytes: Uint8Array; readonly rows: number }, Ended, undefined> {
  const tables = new ArchiveTables(database);
  const digest = sha256.create();
  const counts: Record<string, number> = {};
  for (const table of CARRIED) {
    const columns = await tables.columns(table);
    let after: readonly Value[] | null = null;
    let count = 0;
    for (;;) {
      const page: Page = await tables.page(table, columns, after);
      after = tables.keyOf(table, page);
      if (after === null) break;
      for (const rows of portions(page.rows.map((row) => row.map(written)))) {
        const bytes = toUtf8(JSON.stringify({ kind: 'rows', table: table.name, columns, rows }));
        digest.update(bytes);
        yield { bytes, rows: rows.length };
      }
      count += page.rows.length;
    }
    counts[table.name] = count;
  }
  return { counts, digest: digest.digest() };
}

type Written = string | number | null | { readonly b: string };

const written = (value: Value): Written => (value instanceof Uint8Array ? { b: toBase64url(value) } : value);

/** A longest message takes 60,000 bytes; 200 of them in one chunk would not fit. */
const CHARACTERS_A_CHUNK = 64 * 1024;

function* portions(rows: readonly (readonly Written[])[]): Generator<readonly (readonly Written[])[]> {
  let portion: (readonly Written[])[] = [];
  let size = 0;
  for (const row of rows) {
    const length = row.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : typeof value === 'object' && value !== null ? value.b.length : 24), 0);
    if (portion.length > 0 && size + length > CHARACTERS_A_CHUNK) {
      yield portion;
      [portion, size] = [[], 0];
    }
    portion.push(row);
    size += length;
  }
  if (portion.length > 0) yield portion;
}

async function rowCount(database: Database): Promise<number> {
  const tables = new ArchiveTables(database);
  let total = 0;
  for (const table of CARRIED) total += await tables.count(table);
  return total;
}

const totals = ({ counts }: Ended): Totals => ({ messages: counts['message'] ?? 0, contacts: counts['contact'] ?? 0 });

/**
 * Writes the archive, then restores it into a throw-away database and compares; only then does the file appear under its name.
 * Nothing must write to `database` meanwhile. @throws CannotDo `file_exists`, `no_file`, SottovoceError `archive_test_failed`
 */
export async function exportArchive(
  database: Database,
  files: ArchiveFiles,
  file: string,
  secret: Uint8Array,
  random: Random,
  onProgress: (step: 'write' | 'test', done: number, total: number) => void,
): Promise<Totals> {
  const out = await files.write(file);
  try {
    const total = await rowCount(database);
    const writer = await ContainerWriter.begin(out, secret, random);
    await writer.chunk(toUtf8(JSON.stringify({ kind: 'manifest', version: ARCHIVE_VERSION, schema: SCHEMA_VERSION })), false);
    let done = 0;
    const rows = rowsOf(database);
    for (;;) {
      const next = await rows.next();
      if (next.done === true) {
        const { counts, digest } = next.value;
        await writer.chunk(toUtf8(JSON.stringify({ kind: 'end', rows: counts, digest: toBase64url(digest) })), true);
        await test(files, await out.reread(), secret, next.value, (at) => onProgress('test', at, total));
        await out.commit();
        return totals(next.value);
      }
      await writer.chunk(next.value.bytes, false);
      done += next.value.rows;
      onProgress('write', done, total);
    }
  } catch (error) {
    await out.abort();
    throw error;
  }
}

/** What was written is read back from the file, restored, and every restored row compared by digest. */
async function test(files: ArchiveFiles, file: ArchiveReader, secret: Uint8Array, wanted: Ended, onProgress: (done: number) => void): Promise<void> {
  const scratch = await files.scratch();
  try {
    await openSchema(scratch);
    await restore(scratch, file, secret, [], onProgress);
    const rows = rowsOf(scratch);
    let next = await rows.next();
    while (next.done !== true) next = await rows.next();
    if (!sameBytes(next.value.digest, wanted.digest)) throw new SottovoceError('archive_test_failed', 'what was restored from the archive is not what is here: nothing was kept of it, try again');
  } catch (error) {
    if (error instanceof CannotDo) throw new SottovoceError('archive_test_failed', 'the archive could not be read back: nothing was kept of it, try again');
    throw error;
  } finally {
    await file.close();
    await scratch.close();
  }
}

/**
 * Reads the whole archive and checks it, without keeping anything.
 * @throws CannotDo `wrong_code`, `damaged_archive`, `other_version`
 */
export async function checkArchive(database: Database, file: ArchiveReader, secret: Uint8Array): Promise<Totals & { readonly rows: number }> {
  const end = await walk(database, file, secret, async () => undefined);
  return { ...totals(end), rows: Object.values(end.counts).reduce((sum, count) => sum + count, 0) };
}

/**
 * Writes the rows into an empty database, table after table, the account with `last` in the final transaction: as long as
 * there is no account, nothing of it counts. @throws as checkArchive does
 */
export async function restore(database: Database, file: ArchiveReader, secret: Uint8Array, last: readonly Statement[], onProgress: (done: number) => void): Promise<Totals> {
  let done = 0;
  const final: Statement[] = [];
  const end = await walk(database, file, secret, async (table, statements) => {
    if (table.name === 'account') final.push(...statements);
    else await database.write(statements);
    done += statements.length;
    onProgress(done);
  });
  await database.write([...final, ...last]);
  return totals(end);
}

type OnRows = (table: CarriedTable, statements: readonly Statement[]) => Promise<void>;

async function walk(database: Database, file: ArchiveReader, secret: Uint8Array, onRows: OnRows): Promise<Ended> {
  const tables = new ArchiveTables(database);
  const own = new Map<string, readonly string[]>();
  for (const table of CARRIED) own.set(table.name, await tables.columns(table));
  const digest = sha256.create();
  const counts: Record<string, number> = Object.fromEntries(CARRIED.map(({ name }) => [name, 0]));
  let position = -1; // of the manifest; then of the table that is being read
  let ended: Ended | null = null;
  try {
    for await (const bytes of readContainer(file, secret)) {
      const chunk = Reader.fromJson(fromUtf8(bytes, 'chunk'), 'chunk');
      const kind = chunk.text('kind');
      if (position === -1) {
        if (kind !== 'manifest') throw new Malformed('chunk', 'a manifest');
        checkVersion(chunk);
        position = 0;
      } else if (kind === 'rows' && ended === null) {
        const at = CARRIED.findIndex(({ name }) => name === chunk.text('table'));
        const table = CARRIED[at];
        if (!table || at < position) throw new Malformed('chunk', 'a table in its place');
        position = at;
        digest.update(bytes);
        const rows = chunk.list('rows', 100_000).map(readRow);
        counts[table.name] = (counts[table.name] ?? 0) + rows.length;
        await onRows(table, tables.insert(table, own.get(table.name) ?? [], { columns: chunk.list('columns', 100).map(String), rows }));
      } else if (kind === 'end' && ended === null) {
        ended = { counts, digest: digest.digest() };
        const claimed = chunk.object('rows');
        const right = CARRIED.every(({ name }) => claimed.integer(name) === counts[name]) && sameBytes(chunk.bytes('digest', 32), ended.digest);
        if (!right || counts['account'] !== 1) throw new Malformed('end', 'the totals of what was read');
      } else throw new Malformed('chunk', 'rows, then one end');
    }
    if (ended === null) throw new Malformed('chunk', 'an end');
    return ended;
  } catch (error) {
    if (error instanceof Malformed) throw damaged();
    throw error;
  }
}

function checkVersion(manifest: Reader): void {
  const [version, schema] = [manifest.integer('version'), manifest.integer('schema')];
  if (version === ARCHIVE_VERSION && schema === SCHEMA_VERSION) return;
  throw new CannotDo('other_version', 'this archive was made by another version of the app: bring both phones to the newest one and make it again. Nothing was changed here');
}

function readRow(row: unknown): readonly Value[] {
  if (!Array.isArray(row)) throw new Malformed('rows', 'a list of lists');
  return row.map((value: unknown) => {
    if (value === null || typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    return fromBase64url(new Reader(value, 'value').text('b'), 'value');
  });
}
