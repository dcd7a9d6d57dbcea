/** The small ports under Node: time, randomness, and a key vault in a file. */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';

import type { Clock, KeyVault, Random } from '../core/ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = { bytes: (count) => new Uint8Array(randomBytes(count)) };

/** One file a secret, readable by its owner only. For headless use: who can read the directory can read the messages. */
export function fileKeyVault(directory: string): KeyVault {
  return {
    async get(name) {
      try {
        return new Uint8Array(await readFile(path.join(directory, `${name}.key`)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    async put(name, value) {
      const file = path.join(directory, `${name}.key`);
      // Written aside, synced and renamed: a crash leaves the old secret or the new one, never half of one.
      const handle = await open(`${file}.new`, 'w', 0o600);
      try {
        await handle.writeFile(value);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}.new`, file);
      const folder = await open(directory, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}
