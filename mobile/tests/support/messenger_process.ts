/**
 * The whole client of one data directory, driven by JSON lines: a request on standard input, an answer on standard output, as src/bridge/protocol.ts
 * writes them. For tests in other languages; ends with its standard input. Waits that keep things apart in time are short, unless told otherwise.
 */
import { createInterface } from 'node:readline';
import path from 'node:path';

import { errorText, idOf, parseRequest, resultText } from '../../src/bridge/protocol.ts';
import { openApp } from '../../src/core/app.ts';
import { SottovoceError } from '../../src/core/errors.ts';
import type { Messenger } from '../../src/core/messenger.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { NodePeerConnections } from '../../src/node/peer_connections.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';

const [directory = '.'] = process.argv.slice(2);
const database = openDatabase(path.join(directory, 'messages.db'), new Uint8Array(32).fill(7));
const lanes = [new Lane(), new Lane()] as const;
const app = await openApp({
  database,
  engine: new NodeSignalEngine(),
  clock: systemClock,
  random: systemRandom,
  identified: identifiedLane(lanes[0]),
  anonymous: anonymousLane(lanes[1]),
  preKeys: Number(process.env['SOTTOVOCE_PREKEYS'] ?? 5),
  spreadS: 1,
  // Real WebRTC and a silent room.
  calls: { peers: new NodePeerConnections({ microphone: () => () => undefined, speaker: () => () => undefined }), ringer: { ring: () => undefined, stop: () => undefined } },
  discovery: { lookUpDelayMs: { least: 0, most: 50 } },
});

async function serve(line: string): Promise<string> {
  let id: number | null = null;
  try {
    id = idOf(line);
    const { method, params } = parseRequest(line);
    const call = app[method] as (...params: readonly unknown[]) => Promise<unknown>;
    return resultText(id ?? 0, await call(...params));
  } catch (error) {
    return errorText(id, error instanceof SottovoceError ? error.code : 'failed', error instanceof Error ? error.message : 'unknown');
  }
}

const messenger: Messenger = app;
for await (const line of createInterface({ input: process.stdin })) {
  void serve(line).then((answer) => process.stdout.write(`${answer}\n`));
}
await messenger.stop().catch(() => undefined); // there may be no account
for (const lane of lanes) lane.close();
await database.close();
process.exit(0);
