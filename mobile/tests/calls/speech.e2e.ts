/** Speech goes through a call and stays intelligible: espeak-ng speaks, pystoi judges. Credentials that are none, too. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { readWav, RATE, resampled, wav } from '../../src/node/sound.ts';
import { removeDirectory, temporaryDirectory, until } from '../support/clients.ts';
import { acquainted, nothingLeft, talk } from './callers.ts';
import type { Caller } from './callers.ts';
import { openSite } from './coturn.ts';
import type { Site } from './coturn.ts';
import { figure } from './figures.ts';
import { playing, tone } from './voices.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
/** Of the Harvard sentences (IEEE, 1969). */
const SENTENCES = ['The birch canoe slid on the smooth planks.', 'Glue the sheet to the dark blue background.', 'It is easy to tell the depth of a well.'];
const WORDS = SENTENCES.slice(0, process.env['CALLS_LONG'] === undefined ? 1 : 3).join(' ');
/** Below it, listeners begin to lose words (Taal et al., 2011). */
const UNDERSTOOD = 0.75;

let site: Site;
let ada: Caller;
let bob: Caller;
let directory: string;
let spoken: Int16Array;
let spokenToTheEnd = false;

beforeAll(async () => {
  directory = temporaryDirectory();
  const file = path.join(directory, 'spoken.wav');
  execFileSync('espeak-ng', ['-v', 'en', '-s', '150', '-w', file, WORDS]);
  const { samples, rate } = readWav(readFileSync(file));
  spoken = resampled(samples, rate, RATE);
  site = await openSite();
  // Nobody speaks before the other one hears: two seconds of silence first.
  const said = new Int16Array(2 * RATE + spoken.length);
  said.set(spoken, 2 * RATE);
  const speaks = (): ReturnType<typeof playing> => playing(said, () => (spokenToTheEnd = true));
  [ada, bob] = await acquainted(site.relay, speaks, () => tone(1_000));
}, 180_000);

afterAll(async () => {
  await ada?.close();
  await bob?.close();
  await site?.close();
  removeDirectory(directory);
});

/** One call in which Ada speaks; how much of it a listener understands, 0 to 1. */
async function spokenAndJudged(): Promise<number> {
  spokenToTheEnd = false;
  bob.voice.record();
  await talk(ada, bob);
  await until('all is said', () => spokenToTheEnd, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // and heard
  await ada.hangUp();
  await nothingLeft(ada, bob);
  const [reference, heard] = [path.join(directory, 'reference.wav'), path.join(directory, 'heard.wav')];
  writeFileSync(reference, wav(spoken, RATE));
  writeFileSync(heard, wav(bob.voice.recorded(), bob.voice.rate));
  expect(bob.voice.rate).toBe(RATE);
  const { stdout } = await promisify(execFile)(path.join(ROOT, '.venv/bin/python'), ['-m', 'tests.calls.stoi', reference, heard], { cwd: ROOT });
  return Number(stdout);
}

test(`speech stays intelligible (STOI at least ${UNDERSTOOD})`, { timeout: 300_000 }, async () => {
  let best = 0;
  // The microphone is a timer of this process: on a machine that has no time for it, speech has gaps before the call ever sees it.
  for (let take = 0; take < 3 && best <= UNDERSTOOD; take += 1) best = Math.max(best, await spokenAndJudged());
  figure(`STOI of ${(spoken.length / RATE).toFixed(1)} s of speech through coturn, at least ${UNDERSTOOD}`, best.toFixed(3));
  expect(best).toBeGreaterThan(UNDERSTOOD);
});

/** What the relay gave, spoilt, as the app would find it at its start. */
async function withCredentials(caller: Caller, spoil: (held: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
  const { store } = caller.app.client;
  const held = (await store.account.setting('turn')) as Record<string, unknown>;
  await caller.app.stop();
  await store.write([store.account.setSetting('turn', spoil(held))]);
  await caller.app.start();
  await until('online', async () => (await caller.app.connection()).caughtUp);
}

test.each([
  ['a wrong password', (held: Record<string, unknown>) => ({ ...held, password: 'bm90aGluZw==' })],
  ['an expired user name', (held: Record<string, unknown>) => ({ ...held, username: `1700000000:${String(held['username']).split(':')[1]}` })],
])('%s ends the call at once, and says that the TURN server refused', async (_what, spoil) => {
  await withCredentials(bob, spoil);
  await ada.app.startCall(bob.id);
  await bob.answer();
  await until('it has failed', async () => (await bob.app.call())?.state === 'ended', 20_000);
  expect(await bob.app.call()).toMatchObject({ outcome: 'failed', reason: 'turn_refused' });
  await until('Ada knows', async () => [null, 'ended'].includes(await ada.state()), 10_000);
  await nothingLeft(ada, bob);
  await bob.app.voice.fetchTurn();
});

test('expired credentials are not used at all: the call does not begin, and says why', async () => {
  await withCredentials(ada, (held) => ({ ...held, expiresAt: 1_700_000_000 }));
  await expect(ada.app.startCall(bob.id)).rejects.toMatchObject({ code: 'no_turn' });
  expect(await ada.app.call()).toBeNull();
  await ada.app.voice.fetchTurn();
  await talk(ada, bob);
  await bob.hangUp();
  await nothingLeft(ada, bob);
});
