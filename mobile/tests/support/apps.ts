/** Apps in this process behind the interface that screens see. */
import path from 'node:path';

import { openApp } from '../../src/core/app.ts';
import type { App } from '../../src/core/app.ts';
import type { ClientEvent, Machine } from '../../src/core/client.ts';
import type { Change } from '../../src/core/messenger.ts';
import type { Database } from '../../src/core/ports.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { temporaryDirectory, TEST_KEY } from './clients.ts';

export class TestApp {
  readonly app: App;
  readonly changes: Change[];
  readonly events: ClientEvent[];
  readonly directory: string;
  readonly #close: () => Promise<void>;

  private constructor(app: App, changes: Change[], events: ClientEvent[], directory: string, close: () => Promise<void>) {
    this.app = app;
    this.changes = changes;
    this.events = events;
    this.directory = directory;
    this.#close = close;
  }

  /** `replace` stands in for parts of the machine; `wrap` comes between the core and its database. */
  static async open(
    directory = temporaryDirectory(),
    replace: Partial<Machine> = {},
    wrap: (database: Database) => Database = (database) => database,
  ): Promise<TestApp> {
    const database = wrap(openDatabase(path.join(directory, 'messages.db'), TEST_KEY));
    const lanes = [new Lane(), new Lane()] as const;
    const [changes, events]: [Change[], ClientEvent[]] = [[], []];
    const machine: Machine = {
      database,
      engine: new NodeSignalEngine(),
      clock: systemClock,
      random: systemRandom,
      identified: identifiedLane(lanes[0]),
      anonymous: anonymousLane(lanes[1]),
      preKeys: 4,
      ...replace,
    };
    const app = await openApp(machine, (event) => events.push(event));
    app.subscribe((change) => changes.push(change));
    return new TestApp(app, changes, events, directory, async () => {
      await app.stop();
      await database.close();
      for (const lane of lanes) lane.close();
    });
  }

  static async join(invite: string, name: string, ...rest: Parameters<typeof TestApp.open>): Promise<TestApp> {
    const test = await TestApp.open(...rest);
    await test.app.join({ invite, name, number: null });
    return test;
  }

  /** The account id. */
  async id(): Promise<string> {
    return (await this.app.account())?.account ?? '';
  }

  /** Closes; the directory stays for another `open`. */
  close(): Promise<void> {
    return this.#close();
  }
}
