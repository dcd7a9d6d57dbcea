/** Archives as files: written aside and renamed when whole, so that under its name there is a good archive or none. */
import { constants } from 'node:fs';
import { access, link, open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { CannotDo } from '../core/errors.ts';
import type { ArchiveFiles } from '../core/transfer/archive.ts';
import type { ArchiveReader, ArchiveWriter } from '../core/transfer/container.ts';
import { openScratch } from './database.ts';

const exists = (file: string): CannotDo => new CannotDo('file_exists', `${file} is there already: choose another name, or move it away`);
const none = (file: string, what: string): CannotDo => new CannotDo('no_file', `${file} cannot be ${what}: check the name, and that it may be ${what}`);

async function reader(file: string): Promise<ArchiveReader> {
  const handle = await open(file, 'r').catch(() => null);
  if (!handle) throw none(file, 'read');
  return {
    async read(count) {
      const bytes = new Uint8Array(count);
      let at = 0;
      while (at < count) {
        const { bytesRead } = await handle.read(bytes, at, count - at, null);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return bytes.subarray(0, at);
    },
    close: () => handle.close(),
  };
}

async function writer(file: string): Promise<ArchiveWriter> {
  if (await access(file, constants.F_OK).then(() => true, () => false)) throw exists(file);
  const aside = `${file}.part`;
  // One that a killed process left is worth nothing.
  const handle: FileHandle | null = await open(aside, 'w', 0o600).catch(() => null);
  if (!handle) throw none(file, 'written');
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await handle.close();
  };
  return {
    append: async (bytes) => {
      await handle.writeFile(bytes);
    },
    async reread() {
      await handle.sync();
      return reader(aside);
    },
    async commit() {
      await handle.sync();
      await close();
      // A link refuses to take the place of what has appeared there meanwhile; a rename would not.
      await link(aside, file).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? exists(file) : error;
      });
      await unlink(aside);
      const folder = await open(path.dirname(file), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
    async abort() {
      await close();
      await unlink(aside).catch(() => undefined);
    },
  };
}

export const nodeArchiveFiles: ArchiveFiles = {
  write: writer,
  read: reader,
  scratch: async () => openScratch(),
};
