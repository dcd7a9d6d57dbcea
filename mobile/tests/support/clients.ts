/** Clients in this process: real engine, real SQLCipher files, real sockets. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Client } from '../../src/core/client.ts';
import type { ClientEvent } from '../../src/core/client.ts';
import type { Database } from '../../src/core/ports.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';

export const TEST_KEY = new Uint8Array(32).fill(7);

export function temporaryDirectory(): string {
  return mkdtempSync(path.join(tmpdir(), 'sottovoce-'));
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Polls until `true`; the bound is for a slow machine, not for the thing waited for. */
export async function until(what: string, done: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`waited too long: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export class TestClient {
  readonly client: Client;
  readonly events: ClientEvent[] = [];
  readonly directory: string;
  readonly #database: Database;
  readonly #lanes: readonly Lane[];

  private constructor(client: Client, events: ClientEvent[], directory: string, database: Database, lanes: readonly Lane[]) {
    this.client = client;
    this.events = events;
    this.directory = directory;
    this.#database = database;
    this.#lanes = lanes;
  }

  static async open(directory = temporaryDirectory(), preKeys = 4): Promise<TestClient> {
    const database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
    const [identified, anonymous] = [new Lane(), new Lane()];
    const events: ClientEvent[] = [];
    const client = await Client.open(
      {
        database,
        engine: new NodeSignalEngine(),
        clock: systemClock,
        random: systemRandom,
        identified: identifiedLane(identified),
        anonymous: anonymousLane(anonymous),
        preKeys,
      },
      (event) => events.push(event),
    );
    return new TestClient(client, events, directory, database, [identified, anonymous]);
  }

  static async join(invite: string, name: string, preKeys = 4): Promise<TestClient> {
    const test = await TestClient.open(temporaryDirectory(), preKeys);
    await test.client.join(invite, name);
    return test;
  }

  /** Closes; the directory stays for another `open`. */
  async close(): Promise<void> {
    await this.client.stop();
    await this.#database.close();
    for (const lane of this.#lanes) lane.close();
  }

  async texts(): Promise<readonly (string | null)[]> {
    return (await this.client.store.messages.all()).filter(({ direction }) => direction === 'in').map(({ text }) => text);
  }

  drained(): number {
    return this.events.filter((event) => event.kind === 'connection' && event.connection.kind === 'drained').length;
  }
}
