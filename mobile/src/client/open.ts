/** From a data directory to a running app, and back. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';

import { openApp } from '../core/app.ts';
import type { App } from '../core/app.ts';
import type { ClientEvent } from '../core/client.ts';
import { CannotDo } from '../core/errors.ts';
import { nodeArchiveFiles } from '../node/archive_files.ts';
import { lockDirectory, openDatabase } from '../node/database.ts';
import { NodePeerConnections } from '../node/peer_connections.ts';
import type { AudioDevices } from '../node/peer_connections.ts';
import { fileKeyVault, systemClock, systemRandom } from '../node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../node/network.ts';
import { NodeSignalEngine } from '../node/signal_engine.ts';
import { timeoutMs } from './command.ts';
import type { Invocation } from './command.ts';

export interface Opened {
  readonly messenger: App;
  nowS(): number;
  /** Runs once after so long, unless the app is closed before. */
  later(ms: number, run: () => void): void;
  /** Nothing is waiting to leave that could leave now, and the relay knows what it is to know. */
  idle(): Promise<boolean>;
  /** Goes online until what was queued has left, or for 15 s (--timeout). With --offline it does not. */
  leave(invocation: Invocation): Promise<void>;
}

export interface How {
  /** Make it if it is not there. */
  readonly create: boolean;
  /** For everything that writes; readers do without, and work beside a running `watch`. */
  readonly exclusive: boolean;
  /** For commands that can call and be called. */
  readonly sound?: AudioDevices;
}

const LEAVE_WITHIN_MS = 15_000;

/** npm runs scripts in the package's directory; a relative path is meant from where the person stands. */
export function fromWhereOneStands(file: string): string {
  return path.resolve(process.env['INIT_CWD'] ?? process.cwd(), file);
}

/**
 * Opens the account in the data directory of the invocation, does `work`, and closes whatever happens. The directory holds
 * `database.key` (0600), `messages.db` (SQLCipher), `lock`. @throws CannotDo `not_joined`, `in_use`, `lost_key`, `wrong_key`
 */
export async function within<T>(invocation: Invocation, how: How, work: (opened: Opened) => Promise<T>): Promise<T> {
  const { data, out } = invocation;
  const { messenger, close } = await open(data, how, (event) => {
    if (event.kind === 'trouble') out.remark(event.what);
  });
  const unsubscribe = messenger.subscribe((change) => {
    if (change.topic === 'progress') out.remark(`${change.task}: ${change.step} ${change.done}/${change.total}`);
  });
  const timers: NodeJS.Timeout[] = [];
  const later = (ms: number, run: () => void): void => void timers.push(setTimeout(run, ms));
  const idle = async (): Promise<boolean> => {
    const { store, discovery } = messenger.client;
    return (await discovery.accessChange()) === null && (await store.outbox.peersDue(nowS())).length === 0;
  };
  const opened: Opened = {
    messenger,
    nowS,
    later,
    idle,
    async leave({ flags }) {
      if (flags['offline'] === true || (await idle())) return;
      await messenger.start();
      let over = false;
      later(timeoutMs(flags) ?? LEAVE_WITHIN_MS, () => {
        over = true;
      });
      while (!over && !(await idle())) await new Promise((resolve) => setTimeout(resolve, 20));
      if (!(await idle())) out.remark('it did not leave yet: it goes with the next command that is online, or with watch');
    },
  };
  try {
    return await work(opened);
  } finally {
    unsubscribe();
    for (const timer of timers) clearTimeout(timer);
    await close();
  }
}

const nowS = (): number => Math.floor(systemClock.now() / 1000);

async function open(directory: string, how: How, onEvent: (event: ClientEvent) => void): Promise<{ messenger: App; close(): Promise<void> }> {
  const file = path.join(directory, 'messages.db');
  if (!how.create && !existsSync(file)) {
    throw new CannotDo('not_joined', `there is no account in ${directory}: join with an invite first, or name the right directory with --data`);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const release = how.exclusive ? lockDirectory(path.join(directory, 'lock')) : () => undefined;
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
    const spread = process.env['SOTTOVOCE_SPREAD_S'];
    const messenger = await openApp(
      {
        database,
        engine: new NodeSignalEngine(),
        clock: systemClock,
        random: systemRandom,
        identified: identifiedLane(lanes[0]),
        anonymous: anonymousLane(lanes[1]),
        files: nodeArchiveFiles,
        // Who rings is told by the changes; there is nothing here that could make a sound.
        ...(how.sound && { calls: { peers: new NodePeerConnections(how.sound), ringer: { ring: () => undefined, stop: () => undefined } } }),
        preKeys: Number(process.env['SOTTOVOCE_PREKEYS'] ?? 100),
        ...(spread !== undefined && { spreadS: Number(spread) }),
      },
      onEvent,
    );
    return {
      messenger,
      async close() {
        for (const lane of lanes) lane.close(); // requests under way end now; open sockets say goodbye in stop()
        await messenger.stop();
        await database.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}
