/** Calls as a person makes them in a terminal: two processes, a tone each way, and what was heard in files. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { readWav } from '../../src/node/sound.ts';
import { removeDirectory, temporaryDirectory } from '../support/clients.ts';
import { CommandLine } from '../support/command_line.ts';
import { openSite } from './coturn.ts';
import type { Site } from './coturn.ts';
import { energy, HEARD } from './voices.ts';

let site: Site;
const directories = [temporaryDirectory(), temporaryDirectory()] as const;

beforeAll(async () => {
  site = await openSite();
}, 180_000);

afterAll(async () => {
  await site?.close();
  for (const directory of directories) removeDirectory(directory);
});

/** Of the middle of a file, where nobody is silent yet or any more. */
function heard(file: string, hertz: number): number {
  const { samples, rate } = readWav(readFileSync(file));
  expect(samples.length).toBeGreaterThan(rate);
  const middle = Math.floor(samples.length / 2);
  return energy([...samples.slice(middle - rate / 4, middle + rate / 4)], hertz, rate);
}

test('call, watch --answer, and the log', async () => {
  process.env['SOTTOVOCE_SPREAD_S'] = '0'; // credentials at once
  const [ada, bob] = directories.map((directory) => new CommandLine(directory)) as [CommandLine, CommandLine];
  await ada.run(['join', await site.relay.invite(), '--name', 'Ada']);
  await bob.run(['join', await site.relay.invite(), '--name', 'Bob']);
  const [adaCard, bobCard] = [(await ada.run(['card'])).out.trim(), (await bob.run(['card'])).out.trim()];
  await ada.run(['add', bobCard]);
  await bob.run(['add', adaCard]);
  const [byAda, byBob] = directories.map((directory) => path.join(directory, 'heard.wav')) as [string, string];
  const watching = bob.spawn(['watch', '--json', '--answer', '--tone', '1000', '--hear', byBob]);
  await watching.event('drained');

  const call = await ada.run(['call', 'Bob', '--tone', '440', '--hear', byAda, '--seconds', '3', '--fetch', '--json'], 0);
  const states = call.objects.map((object) => (object as { state: string }).state);
  expect(states).toContain('connected');
  expect(call.objects.at(-1)).toMatchObject({ event: 'call', direction: 'out', state: 'ended', outcome: 'answered', relay_only: true });
  expect(await watching.event('call')).toMatchObject({ state: 'ringing', direction: 'in', name: 'Ada' });
  watching.write({ stop: true });
  expect(await watching.exited()).toBe(0);
  expect(heard(byAda, 1_000)).toBeGreaterThan(HEARD);
  expect(heard(byBob, 440)).toBeGreaterThan(HEARD);
  expect((await bob.run(['calls'])).out).toMatch(/from Ada: answered, \d+ s\n/);

  // Nobody there: the call rings out, or is given up, and is a missed one when they come back.
  const given = await ada.run(['call', 'Bob', '--timeout', '2'], 4);
  expect(given.out).toContain('-- call to Bob: over: hung up');
  expect((await bob.run(['watch', '--exit-when-drained'])).out).toContain('Ada: [a call: missed]');
  expect((await bob.run(['calls', '--json'])).objects.map((row) => (row as { outcome: string }).outcome).sort()).toEqual(['answered', 'missed']);
  expect((await ada.run(['call', 'Bob', '--tone', 'loud'], 2)).err).toContain('--tone');
});
