/**
 * expo-sqlite's asynchronous interface over better-sqlite3 with SQLCipher: what the phone's adapter calls, with the phone's habits. Names keep their
 * colon, blobs come as fresh arrays, every call is a turn of its own so that careless callers would interleave.
 */
import Driver from 'better-sqlite3-multiple-ciphers';

import type { SqlValue } from '../../src/core/ports.ts';
import type { ExpoDatabase, ExpoStatement } from '../../src/phone/database.ts';

const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** `cipher`: what SQLCipher says of its version, which SQLite3 Multiple Ciphers does not; null for a build without it. */
export function fakeExpoDatabase(file: string, cipher: string | null = '4.9.0 community'): ExpoDatabase {
  const driver = new Driver(file);
  driver.pragma(`cipher='sqlcipher'`);
  driver.pragma('legacy=4');
  const live = new Set<ExpoStatement>();
  return {
    async execAsync(sql) {
      await aTurn();
      driver.exec(sql);
    },
    async prepareAsync(sql) {
      await aTurn();
      const statement = driver.prepare(sql === 'PRAGMA cipher_version' ? `SELECT '${cipher}' AS cipher_version WHERE ${cipher === null ? 0 : 1}` : sql);
      const made: ExpoStatement = {
        async executeAsync(params: Record<string, SqlValue>) {
          await aTurn();
          if (!live.has(made)) throw new Error('finalized');
          const bound: Record<string, SqlValue | Buffer> = {};
          for (const [name, value] of Object.entries(params)) {
            if (!name.startsWith(':')) throw new Error('expo-sqlite finds a parameter by its whole name');
            // The native side reads the whole buffer below a view.
            bound[name.slice(1)] = value instanceof Uint8Array ? Buffer.from(value.buffer) : value;
          }
          const rows = statement.reader ? (statement.all(bound) as Record<string, unknown>[]) : (statement.run(bound), []);
          return {
            async getAllAsync() {
              await aTurn();
              return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? Uint8Array.from(value) : value])));
            },
          };
        },
        async finalizeAsync() {
          await aTurn();
          live.delete(made);
        },
      };
      live.add(made);
      return made;
    },
    async closeAsync() {
      await aTurn();
      if (live.size > 256) throw new Error('statements were left open');
      driver.close();
    },
  };
}
