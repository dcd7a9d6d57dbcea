/**
 * Moving an account to another phone, and ending it. Each is a row of `lifecycle` away from ordinary life, so a phone that
 * dies on the way finds out at its next start whether to go on or to take it back.
 */
import { CannotDo, RelayRefused, SottovoceError } from '../errors.ts';
import { ARCHIVE_CODE, readCode, writeCode } from '../human_code.ts';
import type { Change } from '../messenger.ts';
import type { SignalEngine } from '../engine.ts';
import type { Clock, Random, Statement } from '../ports.ts';
import { bearer } from '../relay_api.ts';
import type { IdentifiedApi } from '../relay_api.ts';
import type { Account } from '../storage/account.ts';
import { ArchiveTables } from '../storage/archive_tables.ts';
import { Store } from '../storage/store.ts';
import { checkArchive, exportArchive, restore } from './archive.ts';
import type { ArchiveFiles, Totals } from './archive.ts';
import type { ArchiveReader } from './container.ts';
import type { GatedDatabase } from './gate.ts';
import { renewKeys } from './renewal.ts';

export interface TransferDeps {
  readonly database: GatedDatabase;
  /** Null on a machine that has no files. */
  readonly files: ArchiveFiles | null;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  readonly api: (relayUrl: string) => IdentifiedApi;
  readonly preKeys?: number;
  readonly spreadS?: number;
  readonly tell: (change: Change) => void;
}

export class Transfer {
  readonly #deps: TransferDeps;
  readonly #store: Store;

  constructor(deps: TransferDeps) {
    this.#deps = deps;
    this.#store = new Store(deps.database);
  }

  /**
   * The connection must be off. Afterwards this copy rests: what arrived here would not be in the archive.
   * @throws CannotDo `not_joined`, `file_exists`, `no_file`, SottovoceError `archive_test_failed`
   */
  async export(file: string): Promise<{ readonly code: string; readonly messages: number; readonly contacts: number }> {
    const { database, random, tell } = this.#deps;
    await this.#joined();
    const secret = random.bytes(ARCHIVE_CODE.bytes);
    const { messages, contacts } = await database.alone(async (inner) => {
      const totals = await exportArchive(inner, this.#files(), file, secret, random, (step, done, total) => tell({ topic: 'progress', task: 'export', step, done, total }));
      await inner.write([this.#store.lifecycle.set('moved', this.#now())]);
      return totals;
    });
    tell({ topic: 'connection' });
    return { code: writeCode(ARCHIVE_CODE, secret), messages, contacts };
  }

  /** "Go on here": the archive is out of date from now on. */
  async stay(): Promise<void> {
    if ((await this.#store.lifecycle.get()) === 'moved') await this.#store.write([this.#store.lifecycle.clear()]);
  }

  /** @throws CannotDo `wrong_code`, `damaged_archive`, `other_version`, `already_joined`, `no_file`, SottovoceError `import_failed`; nothing is overwritten then */
  async import(file: string, code: string): Promise<Totals> {
    const { database, tell } = this.#deps;
    if (await this.#store.account.get()) throw new CannotDo('already_joined', 'there is an account here already: an archive is only read into an empty app. Nothing was changed');
    const secret = secretOf(code);
    await this.rollBack();
    const files = this.#files();
    const checked = await reading(files, file, (archive) => checkArchive(database, archive, secret));
    tell({ topic: 'progress', task: 'import', step: 'check', done: checked.rows, total: checked.rows });
    try {
      return await database.alone(async (inner) => {
        await inner.write([this.#store.lifecycle.set('importing', this.#now())]);
        const last: readonly Statement[] = [this.#store.lifecycle.set('renewing', this.#now())];
        return reading(files, file, (archive) => restore(inner, archive, secret, last, (done) => tell({ topic: 'progress', task: 'import', step: 'restore', done, total: checked.rows })));
      });
    } catch (error) {
      await this.rollBack();
      throw error instanceof SottovoceError ? error : new SottovoceError('import_failed', 'the archive could not be written here: is there room? Nothing was kept of it');
    }
  }

  /** At every opening: an import that did not end leaves nothing. */
  async rollBack(): Promise<void> {
    if ((await this.#store.lifecycle.get()) !== 'importing') return;
    await this.#store.write([...new ArchiveTables(this.#deps.database).wipe(), this.#store.lifecycle.clear()]);
  }

  /**
   * The second half of an import: prekeys of this phone at the relay instead of the other's, and the sessions that others hold with
   * the old phone renewed. May be repeated. @throws RelayUnreachable, RelayRefused: to be tried again
   */
  async renew(): Promise<void> {
    if ((await this.#store.lifecycle.get()) !== 'renewing') return;
    const { engine, clock, random, api, preKeys, spreadS, tell } = this.#deps;
    const account = await this.#joined();
    await renewKeys({ store: this.#store, engine, clock, random, api: api(account.relayUrl), account, ...(preKeys !== undefined && { preKeys }), ...(spreadS !== undefined && { spreadS }) }, [this.#store.lifecycle.clear()]);
    tell({ topic: 'progress', task: 'import', step: 'renew', done: 1, total: 1 });
  }

  /** First at the relay, then here. @throws RelayUnreachable, RelayRefused: begun, and gone on with by the next call or start */
  async delete(): Promise<void> {
    const { api, tell } = this.#deps;
    const account = await this.#joined();
    await this.#store.write([this.#store.lifecycle.set('deleting', this.#now())]);
    try {
      await api(account.relayUrl).deleteAccount(bearer(account.accountId, account.secret));
    } catch (error) {
      // An earlier try whose answer was lost, or a relay that never knew: gone is gone.
      if (!(error instanceof RelayRefused && error.status === 401)) throw error;
    }
    await this.#store.write([...new ArchiveTables(this.#deps.database).wipe(), this.#store.lifecycle.clear()]);
    tell({ topic: 'account' });
  }

  async #joined(): Promise<Account & { readonly accountId: string }> {
    const account = await this.#store.account.get();
    if (account === null || account.accountId === null) throw new CannotDo('not_joined', 'there is no account here yet: join with an invite first');
    return { ...account, accountId: account.accountId };
  }

  #files(): ArchiveFiles {
    if (!this.#deps.files) throw new CannotDo('not_available', 'this app has no access to files');
    return this.#deps.files;
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }
}

async function reading<T>(files: ArchiveFiles, file: string, work: (archive: ArchiveReader) => Promise<T>): Promise<T> {
  const archive = await files.read(file);
  try {
    return await work(archive);
  } finally {
    await archive.close();
  }
}

/** @throws CannotDo `wrong_code` */
function secretOf(code: string): Uint8Array {
  try {
    return readCode(ARCHIVE_CODE, code);
  } catch (error) {
    throw error instanceof SottovoceError ? new CannotDo('wrong_code', `${error.message}. Nothing was changed here`) : error;
  }
}
