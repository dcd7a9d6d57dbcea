/** A client whose process "dies": after so many writes and requests everything it asks of its machine fails, as if it were gone. */
import path from 'node:path';

import { Client } from '../../src/core/client.ts';
import type { Machine } from '../../src/core/client.ts';
import type { Database } from '../../src/core/ports.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { TEST_KEY } from './clients.ts';

export class Killed extends Error {}

/**
 * Runs `work` with a client on `directory` that dies at step `dieAt` (from 1; before odd steps take effect, after even ones: a step is
 * a write or a request, counted twice). Answers whether it died.
 */
export async function liveUntil(directory: string, dieAt: number, work: (client: Client) => Promise<unknown>, preKeys = 2): Promise<boolean> {
  let steps = 0;
  const mortal = async <T>(act: () => Promise<T>): Promise<T> => {
    if ((steps += 1) >= dieAt) throw new Killed();
    const result = await act();
    if ((steps += 1) >= dieAt) throw new Killed();
    return result;
  };
  const database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  const lanes = [new Lane(), new Lane()] as const;
  const dying: Database = { read: (statement) => database.read(statement), write: (statements) => mortal(() => database.write(statements)), close: () => database.close() };
  const [identified, anonymous] = [identifiedLane(lanes[0]), anonymousLane(lanes[1])];
  const machine: Machine = {
    database: dying,
    engine: new NodeSignalEngine(),
    clock: systemClock,
    random: systemRandom,
    identified: { ...identified, http: { request: (request) => mortal(() => identified.http.request(request)) } },
    anonymous: { ...anonymous, http: { request: (request) => mortal(() => anonymous.http.request(request)) } },
    preKeys,
  };
  try {
    await work(await Client.open(machine));
    return false;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return true;
  } finally {
    for (const lane of lanes) lane.close();
    await database.close();
  }
}

/** Kills at the first step, then at the second, and so on, each time with a new directory, until `work` gets through; then checks. */
export async function killedAtEveryStep(make: () => Promise<string>, work: (client: Client) => Promise<unknown>, check: (directory: string, dieAt: number) => Promise<void>): Promise<number> {
  for (let dieAt = 1; dieAt < 200; dieAt += 1) {
    const directory = await make();
    const died = await liveUntil(directory, dieAt, work);
    if (died && (await liveUntil(directory, Infinity, work))) throw new Error('it died without being killed');
    await check(directory, dieAt);
    if (!died) return dieAt - 1;
  }
  throw new Error('it never got through');
}
