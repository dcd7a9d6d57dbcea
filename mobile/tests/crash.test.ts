import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, TestClient, until } from './support/clients.ts';

const MESSAGES = 8;
let directory: string;
let sender: TestClient;
let relay: FakeRelay;

/** Bob's database before anything came, and a mailbox of real envelopes for him. */
beforeAll(async () => {
  relay = await FakeRelay.start();
  sender = await TestClient.join(relay.invite(), 'Ada');
  const bob = await TestClient.join(relay.invite(), 'Bob');
  directory = bob.directory;
  const { accountId } = await bob.client.account();
  await sender.client.addContact(await bob.client.card());
  await bob.close();
  for (let i = 0; i < MESSAGES; i += 1) await sender.client.send('Bob', `m${i}`);
  await until('all wait at the relay', () => relay.account(accountId).mailbox.length === MESSAGES);
  writeFileSync(path.join(directory, 'mailbox.json'), JSON.stringify(relay.account(accountId).mailbox));
});

afterAll(async () => {
  await sender.close();
  await relay.stop();
  for (const used of [directory, sender.directory]) removeDirectory(used);
});

function fresh(): string {
  const copy = temporaryDirectory();
  for (const file of ['messages.db', 'messages.db-wal', 'mailbox.json']) {
    if (existsSync(path.join(directory, file))) copyFileSync(path.join(directory, file), path.join(copy, file));
  }
  return copy;
}

interface Run {
  readonly killed: boolean;
  readonly out: string;
}

function work(copy: string, mode: 'whole' | 'split', dieAt: number): Promise<Run> {
  return new Promise((resolve, reject) => {
    const worker = spawn(process.execPath, ['--import', 'tsx', 'tests/crash/worker.ts', copy, mode, String(dieAt)], {
      cwd: path.resolve(import.meta.dirname, '..'),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    worker.stdout.on('data', (data: Buffer) => (out += data.toString('utf8')));
    worker.stderr.on('data', (data: Buffer) => (err += data.toString('utf8')));
    worker.on('exit', (code, signal) => {
      if (signal === 'SIGKILL' || code === 0) resolve({ killed: signal === 'SIGKILL', out });
      else reject(new Error(err));
    });
  });
}

/** What Bob sees in the end. */
async function outcome(copy: string): Promise<{ texts: (string | null)[]; undecryptable: number; left: number }> {
  const bob = await TestClient.open(copy);
  const texts = (await bob.client.store.messages.all()).map(({ text }) => text);
  const { undecryptable } = await bob.client.store.messages.counts();
  const spent = await bob.client.store.keys.preKeys('ec');
  await bob.close();
  expect(spent).toHaveLength(3); // the one-time key of the first message is gone, once
  const left = (JSON.parse(readFileSync(path.join(copy, 'mailbox.json'), 'utf8')) as unknown[]).length;
  return { texts, undecryptable, left };
}

const ALL = Array.from({ length: MESSAGES }, (_, i) => `m${i}`);

test('killed with SIGKILL again and again, at every kind of step: every message is there once, in order', async () => {
  const copy = fresh();
  try {
    let kills = 0;
    // Each life dies at a later step of its own, so the kills walk through reading, writing, before and after the ack.
    for (let dieAt = 8; ; dieAt = 8 + ((dieAt + 4) % 13)) {
      const { killed } = await work(copy, 'whole', dieAt);
      if (!killed) break;
      kills += 1;
      if (kills > 60) throw new Error('no progress');
    }
    expect(kills).toBeGreaterThan(5);
    expect(await outcome(copy)).toEqual({ texts: ALL, undecryptable: 0, left: 0 });
  } finally {
    removeDirectory(copy);
  }
}, 90_000);

test('each kind of step of the first message is survived', async () => {
  const whole = fresh();
  const steps = Number((await work(whole, 'whole', 0)).out);
  expect(steps).toBeGreaterThan(MESSAGES * 5);
  removeDirectory(whole);
  // Two at a time: as many as the smallest machine has cores.
  const dieAt = [1, 9, 17, 18, 19, 20]; // the last of them: before and after the transaction, before and after the ack
  const lane = async (): Promise<void> => {
    for (let step = dieAt.shift(); step !== undefined; step = dieAt.shift()) {
      const copy = fresh();
      expect((await work(copy, 'whole', step)).killed).toBe(true);
      expect((await work(copy, 'whole', 0)).killed).toBe(false);
      expect(await outcome(copy), `killed at step ${step}`).toEqual({ texts: ALL, undecryptable: 0, left: 0 });
      removeDirectory(copy);
    }
  };
  await Promise.all([lane(), lane()]);
}, 60_000);

test('the test can fail: with the session saved apart from the message, a kill in between loses it', async () => {
  let lost = 0;
  for (const nth of [1, 3]) {
    const copy = fresh();
    expect((await work(copy, 'split', nth)).killed).toBe(true);
    await work(copy, 'split', 0);
    const bob = await TestClient.open(copy);
    const texts = (await bob.client.store.messages.all()).map(({ text }) => text);
    lost += ALL.filter((text) => !texts.includes(text)).length;
    await bob.close();
    removeDirectory(copy);
  }
  expect(lost).toBe(2); // one each time, and nothing told so
}, 60_000);
