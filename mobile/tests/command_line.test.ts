/** The headless client as people run it, each command its own process. */
import { statSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, until } from './support/clients.ts';
import { CommandLine } from './support/command_line.ts';
import type { Running } from './support/command_line.ts';

let relay: FakeRelay;
const directories: string[] = [];

function someone(): CommandLine & { directory: string } {
  const directory = temporaryDirectory();
  directories.push(directory);
  return Object.assign(new CommandLine(directory), { directory });
}

async function joined(name: string) {
  const person = someone();
  const { objects } = await person.run(['join', relay.invite(), '--name', name, '--json']);
  return { person, card: (objects[0] as { card: string }).card, account: (objects[0] as { account: string }).account };
}

beforeAll(async () => {
  relay = await FakeRelay.start();
});

afterAll(async () => {
  await relay.stop();
  for (const directory of directories) removeDirectory(directory);
});

test('help, wrong usage and what is not there say what to do next', async () => {
  const nobody = someone();
  const [help, sendHelp, wrong, count, missing, link] = await Promise.all([
    nobody.spawn(['help']).ran(),
    nobody.run(['send', '--help']),
    nobody.run(['dance'], 2),
    nobody.run(['send', 'Bob'], 2),
    nobody.run(['status'], 3),
    nobody.run(['join', 'hello', '--name', 'Ada'], 3),
  ]);
  for (const command of ['join', 'card', 'add', 'send', 'watch', 'history', 'status']) expect(help.out).toContain(`  ${command}`);
  expect(sendHelp.out).toContain('--wait');
  expect(wrong.err).toContain('There is no command "dance"');
  expect(count.err).toContain('<text>');
  expect(missing.err).toContain('join with an invite first');
  expect(link.err).toContain('not an invite link');
});

test('two people talk, and one process can both send and receive', async () => {
  const [ada, bob] = await Promise.all([joined('Ada'), joined('Bob')]);
  expect(statSync(path.join(ada.person.directory, 'database.key')).mode & 0o777).toBe(0o600);
  expect(statSync(ada.person.directory).mode & 0o777).toBe(0o700);
  await ada.person.run(['add', bob.card]);
  const bobWatches = bob.person.spawn(['watch', '--json']);
  await bobWatches.event('drained');
  expect((await bob.person.run(['send', ada.account, 'x'], 8)).err).toContain('another process');
  expect((await ada.person.run(['send', 'Bob', 'hello \u001b[31mred', '--wait'])).out).toBe('sent\n');
  expect(await bobWatches.event('message')).toMatchObject({ name: 'Ada', account: ada.account, text: 'hello \u001b[31mred', direction: 'in' });

  bobWatches.write('not json');
  expect(await bobWatches.event('error')).toMatchObject({ code: 'usage' });
  bobWatches.write({ send: { to: 'Nobody', text: 'x' }, ref: 5 });
  expect(await bobWatches.event('error')).toMatchObject({ code: 'no_contact', ref: 5 });
  bobWatches.write({ send: { to: 'Ada', text: 'hello Ada' }, ref: 6 });
  expect(await bobWatches.event('sent')).toMatchObject({ ref: 6 });
  bobWatches.endInput(); // the end of input does not end watching

  const adaReads = await ada.person.run(['watch', '--exit-when-drained']);
  expect(adaReads.out).toContain('Bob: hello Ada');
  const history = await bob.person.run(['history', 'Ada']); // beside the running watch, and without the sender's colours
  expect(history.out).toContain('Ada: hello \\u001b[31mred');
  const status = await bob.person.run(['status', '--json']);
  expect(status.objects[0]).toMatchObject({ name: 'Bob', received: 1, sent: 1, waiting: 0 });
  bobWatches.kill('SIGTERM');
  expect(await bobWatches.exited()).toBe(0);
});

test('a relay that is away: join and send say so, and the message goes later', async () => {
  const away = await FakeRelay.start();
  const person = someone();
  const invite = away.invite();
  const { objects } = await person.run(['join', invite, '--name', 'Ada', '--json']);
  expect(objects).toHaveLength(1);
  const bob = someone();
  const bobs = (await bob.run(['join', away.invite(), '--name', 'Bob', '--json'])).objects[0] as { card: string };
  await person.run(['add', bobs.card]);
  await away.stop();
  const [late, failed] = await Promise.all([someone().run(['join', invite, '--name', 'Eve'], 5), person.run(['send', 'Bob', 'later', '--wait', '--timeout', '1'], 5)]);
  expect(late.err).toContain('did not answer');
  expect(failed.out).toContain('queued');
  expect((await person.run(['history', 'Bob'])).out).toContain('later [queued]');
});

test('the exit code of watch tells why it ended', async () => {
  const bob = await joined('Bob');
  const watching = bob.person.spawn(['watch']);
  await until('connected', () => relay.account(bob.account).session !== null);
  relay.endMailbox(bob.account, 4409);
  expect(await watching.exited()).toBe(6);
});

test('killed with SIGKILL while sending and receiving, both sides: everything arrives once, in order', async () => {
  const [ada, bob] = await Promise.all([joined('Ada'), joined('Bob')]);
  await ada.person.run(['add', bob.card]);
  const total = 32;
  let queued = 0;
  let kills = 0;
  let receiver: Running = bob.person.spawn(['watch', '--json']);
  while (queued < total) {
    const sender = ada.person.spawn(['watch', '--json']);
    await sender.event('live');
    const already = queued;
    const goal = Math.min(total, queued + 12);
    for (let next = queued; next < goal; next += 1) sender.write({ send: { to: 'Bob', text: `m${next}` }, ref: next });
    // What was answered `queued` must arrive; it is killed once some of it is under way.
    await until('some are queued', () => sender.objects.filter(({ event }) => event === 'queued').length >= Math.min(goal - already, 3 + kills * 2));
    sender.kill('SIGKILL');
    await sender.exited();
    if (kills % 2 === 0) {
      receiver.kill('SIGKILL');
      await receiver.exited();
      receiver = bob.person.spawn(['watch', '--json']);
    }
    kills += 1;
    // What is on disk, answered or not, is the truth to go on from.
    const { objects } = await ada.person.run(['history', 'Bob', '--json']);
    queued = objects.length;
    expect(objects.map((line) => (line as { text: string }).text)).toEqual(Array.from({ length: queued }, (_, i) => `m${i}`));
    const acknowledged = sender.objects.filter(({ event }) => event === 'queued').map(({ ref }) => ref as number);
    expect(Math.max(...acknowledged)).toBeLessThan(queued);
  }
  await ada.person.run(['watch', '--exit-when-drained']);
  receiver.kill('SIGKILL');
  await receiver.exited();
  await bob.person.run(['watch', '--exit-when-drained']);
  const { objects } = await bob.person.run(['history', 'Ada', '--json']);
  expect(kills).toBeGreaterThan(2);
  expect(objects.map((line) => (line as { text: string }).text)).toEqual(Array.from({ length: total }, (_, i) => `m${i}`));
}, 60_000);
