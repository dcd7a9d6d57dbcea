/**
 * Two people, a real relay, and trouble: processes killed, wires cut, the relay killed and restarted, at moments that a seed
 * decides. In the end every message is there once, in order, known to be read by who wrote it, and nothing counts as unread.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { removeDirectory } from '../support/clients.ts';
import { TestApp } from '../support/apps.ts';
import { startRealRelay } from '../relay/real_relay.ts';
import type { RealRelay } from '../relay/real_relay.ts';
import { Wire } from './proxy.ts';

const PACKAGE = path.resolve(import.meta.dirname, '../..');

export interface SoakOptions {
  readonly messages: number;
  readonly seed: number;
  /** How often something goes wrong, spread over the whole. */
  readonly troubles: number;
  readonly deadlineS: number;
  say(line: string): void;
}

export interface Summary {
  readonly messages: number;
  readonly seconds: number;
  readonly happened: Readonly<Record<string, number>>;
  /** What was not as it must be; empty when all was well. */
  readonly wrong: readonly string[];
}

interface Progress {
  readonly written: number;
  readonly received: number;
  readonly read: number;
  readonly notes: number;
  readonly waiting: number;
  readonly unread: number;
  readonly connection: string;
}

/** mulberry32: the same troubles for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class Person {
  readonly name: string;
  readonly directory: string;
  readonly wire: Wire;
  readonly #messages: number;
  #child: ChildProcess | null = null;
  #err = '';
  progress: Progress | null = null;

  constructor(name: string, directory: string, wire: Wire, messages: number) {
    this.name = name;
    this.directory = directory;
    this.wire = wire;
    this.#messages = messages;
  }

  start(): void {
    const args = ['--import', 'tsx', 'tests/soak/person.ts', this.directory, this.name, String(this.#messages)];
    const child = spawn(process.execPath, args, { cwd: PACKAGE, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (data: Buffer) => (this.#err = (this.#err + data.toString('utf8')).slice(-4_000)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.progress = JSON.parse(line) as Progress;
    });
    this.#child = child;
  }

  async #ended(act: (child: ChildProcess) => void): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    act(child);
    await exited;
  }

  kill(): Promise<void> {
    return this.#ended((child) => child.kill('SIGKILL'));
  }

  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), 20_000);
    await this.#ended((child) => child.stdin?.write('stop\n'));
    clearTimeout(timer);
  }

  /** Says why, should it have ended by itself. */
  get failed(): string | null {
    const code = this.#child?.exitCode ?? null;
    return code === null || code === 0 ? null : `${this.name} ended with ${code}: ${this.#err}`;
  }

  get trouble(): string {
    return this.#err;
  }
}

/** Raised, since two people write as fast as they can and one of them may be away. */
const LIMITS = {
  posts_burst: '100000',
  posts_per_s: '100000',
  session_posts_per_s: '100000',
  post_bytes_burst: '2000000000',
  post_bytes_per_s: '1000000000',
  mailbox_envelopes: '100000',
  mailbox_bytes: '2000000000',
  takes_burst: '1000',
};

export async function soak({ messages, seed, troubles, deadlineS, say }: SoakOptions): Promise<Summary> {
  const began = Date.now();
  const random = seeded(seed);
  const happened: Record<string, number> = {};
  const relay = await startRealRelay(LIMITS);
  const people: Person[] = [];
  try {
    people.push(...(await acquainted(relay, messages)));
    const [ada, bob] = people as [Person, Person];
    for (const person of people) person.start();

    const either = (): Person => (random() < 0.5 ? ada : bob);
    const disasters: readonly (readonly [string, () => Promise<void> | void])[] = [
      ['process killed', async () => {
        const person = either();
        await person.kill();
        person.start();
      }],
      ['wire cut', () => either().wire.cut()],
      ['both wires cut', () => people.forEach(({ wire }) => wire.cut())],
      ['relay killed', () => relay.crash()],
      ['relay restarted', () => relay.restart()],
    ];
    let next = 1;
    let order = disasters.map((_one, index) => index);
    for (let said = 0; ; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const failed = people.map((person) => person.failed).find((why) => why !== null);
      if (failed) throw new Error(failed);
      const seconds = (Date.now() - began) / 1000;
      const known = people.map(({ progress }) => progress);
      const done = known.reduce((sum, progress) => sum + (progress?.received ?? 0), 0) / (2 * messages);
      if (seconds > said + 5) {
        said = seconds;
        say(`${seconds.toFixed(0)} s: ${(done * 100).toFixed(0)} % received; ${JSON.stringify(known)}`);
      }
      if (next <= troubles && done >= next / (troubles + 1)) {
        // Each kind once before one comes again: also a short run sees all of them.
        if (order.length === 0) order = disasters.map((_one, index) => index);
        const [picked = 0] = order.splice(Math.floor(random() * order.length), 1);
        const [what, act] = disasters[picked] as (typeof disasters)[number];
        happened[what] = (happened[what] ?? 0) + 1;
        next += 1;
        say(`${seconds.toFixed(0)} s: ${what}`);
        await act();
      }
      const complete = known.every((progress) => progress && progress.written >= messages && progress.read >= messages && progress.received >= messages && progress.waiting === 0 && progress.unread === 0);
      if (complete && next > troubles) break;
      if (seconds > deadlineS) {
        say(`not done after ${deadlineS} s; ${people.map((person) => person.trouble).join('\n')}`);
        break;
      }
    }
    for (const person of people) await person.stop();
    const wrong = (await Promise.all([judge(ada, bob, messages), judge(bob, ada, messages)])).flat();
    return { messages, seconds: (Date.now() - began) / 1000, happened, wrong };
  } finally {
    for (const person of people) {
      await person.kill();
      person.wire.close();
      removeDirectory(person.directory);
    }
    await relay.stop();
  }
}

/** Two accounts that know each other, each behind a wire of its own. */
async function acquainted(relay: RealRelay, messages: number): Promise<readonly Person[]> {
  const made: { name: string; test: TestApp; wire: Wire }[] = [];
  for (const name of ['Ada', 'Bob']) {
    const wire = await Wire.to(relay.url);
    const invite = (await relay.invite()).replace(relay.url, wire.url);
    made.push({ name, wire, test: await TestApp.join(invite, name, undefined, { preKeys: 100 }) });
  }
  const [ada, bob] = made as [(typeof made)[number], (typeof made)[number]];
  await ada.test.app.addByCard(await bob.test.app.card(), false);
  await bob.test.app.addByCard(await ada.test.app.card(), false);
  for (const { test } of made) await test.close();
  return made.map(({ name, test, wire }) => new Person(name, test.directory, wire, messages));
}

/** What of `of`'s conversation with `other` is not as it must be. */
async function judge(of: Person, other: Person, messages: number): Promise<readonly string[]> {
  const test = await TestApp.open(of.directory);
  const { store } = test.app.client;
  const wrong: string[] = [];
  const [contact] = await test.app.contacts();
  const rows = await store.messages.all(contact?.peer ?? '');
  const texts = (direction: 'in' | 'out'): (string | null)[] => rows.filter((row) => row.direction === direction && row.kind === 'text').map(({ text }) => text);
  for (const [direction, name] of [
    ['in', other.name],
    ['out', of.name],
  ] as const) {
    const seen = texts(direction);
    const at = Array.from({ length: messages }, (_one, i) => `${name} ${i}`).findIndex((expected, i) => seen[i] !== expected);
    if (at >= 0 || seen.length !== messages) {
      wrong.push(`${of.name}, ${direction}: ${seen.length} of ${messages}; the first that is wrong is ${at}: ${JSON.stringify(seen.slice(Math.max(0, at - 1), at + 3))}`);
    }
  }
  const states = rows.filter(({ direction, kind, state }) => direction === 'out' && kind === 'text' && state !== 'read');
  if (states.length > 0) wrong.push(`${of.name}: ${states.length} not known to be read, the first is ${states[0]?.state}`);
  const unread = rows.filter(({ direction, readAt }) => direction === 'in' && readAt === null).length;
  const counted = (await test.app.conversation(contact?.peer ?? '')).unread;
  if (unread !== 0 || counted !== 0) wrong.push(`${of.name}: ${unread} unread, counted as ${counted}`);
  const notes = rows.filter(({ kind }) => kind !== 'text');
  if (notes.length > 0) wrong.push(`${of.name}: ${notes.length} lines that are no texts, the first is ${notes[0]?.kind} ${notes[0]?.reason}`);
  await test.close();
  return wrong;
}

export function summarize({ messages, seconds, happened, wrong }: Summary): string {
  const times = Object.entries(happened).map(([what, count]) => `${what} ${count}`);
  const rate = (2 * messages) / seconds;
  return [
    `${messages} messages each way in ${seconds.toFixed(0)} s (${rate.toFixed(0)}/s), with: ${times.join(', ')}.`,
    ...(wrong.length > 0 ? wrong.map((line) => `WRONG: ${line}`) : ['Every message once, in order, known to be read; nothing unread, nothing lost, nothing twice.']),
  ].join('\n');
}
