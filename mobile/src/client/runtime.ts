import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';

import { Client } from '../core/client.ts';
import type { ClientEvent } from '../core/client.ts';
import { CannotDo } from '../core/errors.ts';
import { lockDirectory, openDatabase } from '../node/database.ts';
import { fileKeyVault, systemClock, systemRandom } from '../node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../node/network.ts';
import { NodeSignalEngine } from '../node/signal_engine.ts';

export interface OpenClient {
  readonly client: Client;
  close(): Promise<void>;
}

/** npm runs scripts in the package's directory; a relative path is meant from where the person stands. */
export function resolveData(directory: string): string {
  return path.resolve(process.env['INIT_CWD'] ?? process.cwd(), directory);
}

/**
 * Opens the account in a data directory: `database.key` (0600), `messages.db` (SQLCipher), `lock`.
 * `create`: make it if it is not there. `exclusive`: for everything that advances a ratchet; readers do without.
 * @throws CannotDo `not_joined`, `in_use`, `lost_key`, `wrong_key`
 */
export async function openClient(
  directory: string,
  options: { readonly create: boolean; readonly exclusive: boolean },
  onEvent?: (event: ClientEvent) => void,
): Promise<OpenClient> {
  const file = path.join(directory, 'messages.db');
  if (!options.create && !existsSync(file)) {
    throw new CannotDo('not_joined', `there is no account in ${directory}: join with an invite first, or name the right directory with --data`);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const release = options.exclusive ? lockDirectory(path.join(directory, 'lock')) : () => undefined;
  try {
    const vault = fileKeyVault(directory);
    let key = await vault.get('database');
    if (!key) {
      if (existsSync(file)) throw new CannotDo('lost_key', `${path.join(directory, 'database.key')} is missing: without it the messages cannot be read`);
      key = systemRandom.bytes(32);
      await vault.put('database', key); // before the first page is written with it
    }
    const database = openDatabase(file, key);
    const lanes = [new Lane(), new Lane()] as const;
    const machine = {
      database,
      engine: new NodeSignalEngine(),
      clock: systemClock,
      random: systemRandom,
      identified: identifiedLane(lanes[0]),
      anonymous: anonymousLane(lanes[1]),
      preKeys: Number(process.env['SOTTOVOCE_PREKEYS'] ?? 100),
    };
    const client = await Client.open(machine, onEvent);
    return {
      client,
      async close() {
        for (const lane of lanes) lane.close(); // requests under way end now; open sockets say goodbye in stop()
        await client.stop();
        await database.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}
