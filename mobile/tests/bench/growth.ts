/**
 * `npm run bench:growth`: how long an app takes to open its database and show something, as the database grows. Prints a table; the
 * times are of the machine it runs on, the ratios are what it is about. SIZES=1000,10000 for other sizes.
 */
import { statSync } from 'node:fs';
import path from 'node:path';

import { openApp } from '../../src/core/app.ts';
import type { App } from '../../src/core/app.ts';
import type { Machine } from '../../src/core/client.ts';
import type { Database, Statement } from '../../src/core/ports.ts';
import { openSchema } from '../../src/core/storage/schema.ts';
import { Store } from '../../src/core/storage/store.ts';
import { uuid4 } from '../../src/core/uuid.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY } from '../support/clients.ts';

const SIZES = (process.env['SIZES'] ?? '1000,10000,100000,1000000').split(',').map(Number);
const RUNS = 15;
const PEOPLE = 50;
/** The one long conversation; the rest is spread over the others. */
const LONG = 0.5;
const WORDS = 'the of to and a in is it you that he was for on are with as his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know'.split(' ');

const word = (): string => WORDS[Math.floor(Math.random() * WORDS.length)] ?? 'the';
const sentence = (): string => Array.from({ length: 4 + Math.floor(Math.random() * 16) }, word).join(' ');

async function fill(directory: string, size: number): Promise<string> {
  const database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  await openSchema(database);
  const store = new Store(database);
  const peers = Array.from({ length: PEOPLE }, () => uuid4(systemRandom));
  await store.write(peers.map((account, i) => store.people.save({ account, name: `Person ${i}`, accessKey: new Uint8Array(16), request: false })));
  const [first = ''] = peers;
  for (let made = 0; made < size; ) {
    const statements: Statement[] = [];
    for (; statements.length < 5_000 && made < size; made += 1) {
      const peer = Math.random() < LONG ? first : (peers[1 + Math.floor(Math.random() * (PEOPLE - 1))] ?? first);
      const direction = made % 2 === 0 ? 'in' : 'out';
      const text = made === Math.floor(size / 2) ? 'a needle in all of it' : sentence();
      statements.push(
        store.messages.add({ contentId: uuid4(systemRandom), peer, direction, kind: 'text', text, sentAt: made, arrivedAt: made, state: direction === 'in' ? 'received' : 'read', readAt: made < size - 20 ? made : null }),
      );
    }
    await store.write(statements);
  }
  await database.close();
  return first;
}

const nowhere = {
  http: { request: () => Promise.reject(new Error('no network in this measurement')) },
  sockets: {
    open: () => {
      throw new Error('no network in this measurement');
    },
  },
};

async function open(directory: string): Promise<{ app: App; database: Database }> {
  const database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  const machine: Machine = { database, engine: new NodeSignalEngine(), clock: systemClock, random: systemRandom, identified: nowhere, anonymous: nowhere };
  return { app: await openApp(machine), database };
}

type Work = (app: App, peer: string) => Promise<unknown>;

/** Each on a database that was just opened, so nothing of it is in SQLite's own cache. */
const MEASURED: readonly (readonly [string, Work])[] = [
  ['open, newest page', (app, peer) => app.messages(peer, { before: null, limit: 50 })],
  ['page in the middle', async (app, peer) => app.messages(peer, { before: Math.floor(((await app.messages(peer, { before: null, limit: 1 })).messages[0]?.row ?? 0) / 2), limit: 50 })],
  ['all conversations', (app) => app.conversations({ archived: false })],
  ['search, a rare word', (app) => app.search('needle', { peer: null, limit: 20 })],
  ['search, a common one', (app) => app.search('water', { peer: null, limit: 20 })],
  ['search within one', (app, peer) => app.search('water people', { peer, limit: 20 })],
];

async function measure(directory: string, peer: string, work: Work): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const began = performance.now();
    const { app, database } = await open(directory);
    await work(app, peer);
    times.push(performance.now() - began);
    await database.close();
  }
  return Math.min(...times); // what it takes; the rest is what else the machine was doing
}

const columns: { size: number; megabytes: number; times: number[] }[] = [];
for (const size of SIZES) {
  const directory = temporaryDirectory();
  try {
    process.stderr.write(`${size} messages ...\n`);
    const peer = await fill(directory, size);
    if (columns.length === 0) for (const [, work] of MEASURED) await measure(directory, peer, work); // a warm start for the first column too
    const times: number[] = [];
    for (const [, work] of MEASURED) times.push(await measure(directory, peer, work));
    columns.push({ size, megabytes: statSync(path.join(directory, 'messages.db')).size / 1e6, times });
  } finally {
    removeDirectory(directory);
  }
}
const cell = (text: string): string => text.padStart(18);
const line = (name: string, cells: readonly string[]): string => `| ${name.padEnd(22)} |${cells.map((one) => `${cell(one)} |`).join('')}\n`;
process.stdout.write(line('best of 15, ms', columns.map(({ size }) => size.toLocaleString('en'))));
process.stdout.write(`|---|${columns.map(() => '---:|').join('')}\n`);
for (const [index, [name]] of MEASURED.entries()) {
  const first = columns[0]?.times[index] ?? 1;
  process.stdout.write(line(name, columns.map(({ times }) => `${(times[index] ?? 0).toFixed(1)} (x ${((times[index] ?? 0) / first).toFixed(1)})`)));
}
process.stdout.write(line('database, MB', columns.map(({ megabytes }) => megabytes.toFixed(1))));
