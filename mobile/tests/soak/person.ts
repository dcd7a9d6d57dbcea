/**
 * One of two people who write to each other until each has written `count` messages, reading what comes at once. A process of
 * its own, to be killed at any moment and started again: it goes on from what is in its database. Arguments: directory, name, count.
 */
import path from 'node:path';
import { createInterface } from 'node:readline';

import { openApp } from '../../src/core/app.ts';
import type { Random } from '../../src/core/ports.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { TEST_KEY } from '../support/clients.ts';

const [directory = '', name = '', count = '0'] = process.argv.slice(2);
const wanted = Number(count);
/** As many may wait to leave; a person does not type faster than that either. */
const MOST_WAITING = 100;

/** Random but for the delay of receipts, which asks for two bytes: always the shortest, 2 s, or the end of a soak would take a minute. */
const random: Random = { bytes: (bytes) => (bytes === 2 ? new Uint8Array(2) : systemRandom.bytes(bytes)) };

const database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
const lanes = [new Lane(), new Lane()] as const;
let troubles = 0;
const app = await openApp(
  { database, engine: new NodeSignalEngine(), clock: systemClock, random, identified: identifiedLane(lanes[0]), anonymous: anonymousLane(lanes[1]) },
  (event) => {
    if (event.kind !== 'trouble') return;
    troubles += 1;
    process.stderr.write(`${name}: ${event.what}\n`);
  },
);
const [contact] = await app.contacts();
if (!contact) throw new Error('nobody to write to');
const { peer } = contact;

async function number(sql: string): Promise<number> {
  const [row] = await database.read({ sql });
  return Number(row?.['n'] ?? 0);
}

let unreadAt: NodeJS.Timeout | null = null;
app.subscribe((change) => {
  if (change.topic !== 'message') return;
  unreadAt ??= setTimeout(() => {
    unreadAt = null;
    void app.markRead(peer, Number.MAX_SAFE_INTEGER);
  }, 100);
});

let ending = false;
async function write(): Promise<void> {
  let written = await number(`SELECT count(*) AS n FROM message WHERE direction = 'out' AND kind = 'text'`);
  while (written < wanted && !ending) {
    if ((await number('SELECT count(*) AS n FROM outbox')) >= MOST_WAITING) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    await app.send(peer, { text: `${name} ${written}`, quotes: null });
    written += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function report(): Promise<void> {
  const counts = await database.read({
    sql: `SELECT count(*) FILTER (WHERE direction = 'out') AS written, count(*) FILTER (WHERE direction = 'in' AND kind = 'text') AS received,
                 count(*) FILTER (WHERE direction = 'out' AND state = 'read') AS read, count(*) FILTER (WHERE kind <> 'text') AS notes FROM message`,
  });
  const waiting = await number('SELECT count(*) AS n FROM outbox');
  const { unread } = await app.conversation(peer);
  process.stdout.write(`${JSON.stringify({ ...counts[0], waiting, unread, troubles, connection: (await app.connection()).state })}\n`);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop') void end();
});

async function end(): Promise<void> {
  ending = true;
  clearInterval(reporting);
  await app.stop();
  await database.close();
  for (const lane of lanes) lane.close();
  process.exit(0);
}

await app.start();
await app.markRead(peer, Number.MAX_SAFE_INTEGER);
const reporting = setInterval(() => void report(), 500);
await write();
