/** Archives as files on the phone, through expo-file-system: written aside and renamed when whole, in the app's own folder. */
import { CannotDo } from '../core/errors.ts';
import type { Database } from '../core/ports.ts';
import type { ArchiveFiles } from '../core/transfer/archive.ts';
import type { ArchiveReader, ArchiveWriter } from '../core/transfer/container.ts';

/** The part of expo-file-system's File that is used here. */
export interface PhoneFile {
  readonly exists: boolean;
  /** The last part of its address. */
  readonly name: string;
  create(options: { readonly overwrite: boolean }): void;
  open(): PhoneFileHandle;
  rename(newName: string): void;
  delete(): void;
}

export interface PhoneFileHandle {
  offset: number | null;
  readBytes(length: number): Uint8Array;
  writeBytes(bytes: Uint8Array): void;
  close(): void;
}

function reader(file: PhoneFile, uri: string): ArchiveReader {
  if (!file.exists) throw new CannotDo('no_file', `${uri} cannot be read: choose it again`);
  const handle = file.open();
  return {
    async read(count) {
      const parts: Uint8Array[] = [];
      let left = count;
      while (left > 0) {
        const part = handle.readBytes(left);
        if (part.length === 0) break;
        parts.push(part);
        left -= part.length;
      }
      const [only] = parts;
      if (parts.length === 1 && only) return only;
      const whole = new Uint8Array(count - left);
      let at = 0;
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      return whole;
    },
    close: async () => handle.close(),
  };
}

function writer(fileAt: (uri: string) => PhoneFile, uri: string): ArchiveWriter {
  const target = fileAt(uri);
  if (target.exists) throw new CannotDo('file_exists', `${uri} is there already`);
  const aside = fileAt(`${uri}.part`);
  aside.create({ overwrite: true }); // one that a killed process left is worth nothing
  const handle = aside.open();
  let isOpen = true;
  const close = (): void => {
    if (isOpen) handle.close();
    isOpen = false;
  };
  return {
    append: async (bytes) => handle.writeBytes(bytes),
    async reread() {
      close(); // what was written is in the file now
      return reader(aside, uri);
    },
    async commit() {
      close();
      aside.rename(target.name);
    },
    async abort() {
      close();
      if (aside.exists) aside.delete();
    },
  };
}

export function phoneArchiveFiles(fileAt: (uri: string) => PhoneFile, scratch: () => Promise<Database>): ArchiveFiles {
  return {
    write: async (uri) => writer(fileAt, uri),
    read: async (uri) => reader(fileAt(uri), uri),
    scratch,
  };
}
