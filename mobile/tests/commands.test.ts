/** Every command of the headless client, run in this process: what it prints, what it answers, what it refuses. */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { runCommandLine } from '../src/client/command_line.ts';
import { COMMANDS } from '../src/client/usage.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, until } from './support/clients.ts';
import { CommandLine } from './support/command_line.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly objects: readonly Record<string, unknown>[];
}

class Person {
  readonly name: string;
  readonly directory: string;
  account = '';
  card = '';

  constructor(name: string) {
    this.name = name;
    this.directory = temporaryDirectory();
  }

  async run(args: readonly string[], code = 0): Promise<Ran> {
    let [out, err] = ['', ''];
    const done = await runCommandLine([...args, '--data', this.directory], { out: (text) => (out += text), err: (text) => (err += text) });
    if (done !== code) throw new Error(`${args.join(' ')} ended with ${done}, not ${code}: ${err}${out}`);
    const objects = args.includes('--json') ? out.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>) : [];
    return { code: done, out, err, objects };
  }

  /** The first result, as JSON. */
  async json(args: readonly string[], code = 0): Promise<Record<string, unknown>> {
    return (await this.run([...args, '--json'], code)).objects[0] ?? {};
  }

  async join(): Promise<this> {
    const joined = await this.json(['join', relay.invite(), '--name', this.name]);
    [this.account, this.card] = [joined['account'] as string, joined['card'] as string];
    return this;
  }

  /** Reads what waits, and sends what is due. */
  async sync(): Promise<void> {
    await new CommandLine(this.directory).run(['watch', '--exit-when-drained']);
  }
}

let relay: FakeRelay;
let ada: Person;
let bob: Person;
let eve: Person;

beforeAll(async () => {
  process.env['SOTTOVOCE_PREKEYS'] = '3';
  process.env['SOTTOVOCE_SPREAD_S'] = '0';
  relay = await FakeRelay.start();
  [ada, bob, eve] = await Promise.all(['Ada', 'Bob', 'Eve'].map((name) => new Person(name).join()) as [Promise<Person>, Promise<Person>, Promise<Person>]);
});

afterAll(async () => {
  await relay.stop();
  for (const person of [ada, bob, eve]) removeDirectory(person.directory);
});

test('help names every command, and every command explains itself', async () => {
  const { out } = await ada.run(['help']);
  for (const name of Object.keys(COMMANDS)) {
    expect(out).toContain(`  ${name} `);
    const { out: one } = await ada.run([name, '--help']);
    expect(one).toContain(COMMANDS[name]?.summary);
    expect(one).toContain('--json');
    expect(one).toContain('Exit codes');
  }
  await ada.run(['toString'], 2);
  await ada.run(['block'], 2);
  await ada.run(['block', 'Bob', '--loudly'], 2);
});

test('people: add, request, accept, verify, rename, mute, block and unblock', async () => {
  expect(await ada.json(['add', bob.card, '--in-person'])).toMatchObject({ event: 'added', name: 'Bob', verified: true });
  expect(await ada.json(['send', 'Bob', 'hello', '--wait'])).toMatchObject({ event: 'sent' });
  await bob.sync();
  expect((await bob.run(['contacts', '--json'])).objects).toEqual([]);
  expect((await bob.run(['requests', '--json'])).objects).toMatchObject([{ account: ada.account, name: 'Ada', request: true }]);
  expect(await bob.json(['accept', 'Ada'])).toMatchObject({ request: false });
  expect((await bob.run(['contacts', '--json'])).objects).toMatchObject([{ account: ada.account, reachable: true }]);

  const [atAda, atBob] = [await ada.json(['safety-number', bob.account]), await bob.json(['safety-number', 'Ada'])];
  expect(atAda['groups']).toEqual(atBob['groups']);
  expect((await ada.run(['safety-number', 'Bob'])).out).toMatch(/^(\d{5} ){3}\d{5}\n/);
  expect(await bob.json(['verify', 'Ada', '--code', atBob['code'] as string], 4)).toMatchObject({ fits: false });
  expect(await bob.json(['verify', 'Ada', '--code', atAda['code'] as string])).toMatchObject({ fits: true, verified: true });
  expect(await bob.json(['verify', 'Ada', '--undo'])).toMatchObject({ verified: false });
  expect(await bob.json(['verify', 'Ada', '--code', 'hello'], 4)).toMatchObject({ code: 'bad_code' });

  expect(await bob.json(['rename', 'Ada', 'Lady Ada'])).toMatchObject({ name: 'Lady Ada', profile_name: 'Ada' });
  expect(await bob.json(['mute', 'Lady Ada', '8h'])).toMatchObject({ account: ada.account });
  expect((await bob.json(['mute', ada.account, 'off']))['muted_until']).toBeNull();
  await bob.run(['mute', 'Ada', 'for ever'], 2);
  expect(await bob.json(['rename', 'Lady Ada', ''])).toMatchObject({ name: 'Ada' });

  await eve.json(['add', ada.card]);
  await eve.json(['send', 'Ada', 'psst', '--wait']);
  await ada.sync();
  expect(await ada.json(['block', 'Eve'])).toMatchObject({ blocked: true });
  await ada.sync(); // the others are told
  expect(await eve.json(['send', 'Ada', 'again', '--wait'], 4)).toMatchObject({ reason: 'no_access' });
  await ada.run(['send', 'Eve', 'no'], 3);
  expect(await ada.json(['unblock', 'Eve'])).toMatchObject({ blocked: false });
  await ada.run(['block', 'Nobody'], 3);
});

test('messages: quote, edit, react, read, timer, search, pages, delete', async () => {
  await bob.sync();
  const [first] = (await bob.run(['history', 'Ada', '--json'])).objects;
  const id = first?.['id'] as string;
  expect(await bob.json(['send', 'Ada', 'hello yourself', '--quote', id, '--wait'])).toMatchObject({ event: 'sent' });
  expect(await bob.json(['react', 'Ada', id, '👍'])).toMatchObject({ id });
  await ada.sync();
  const rows = (await ada.run(['history', 'Bob', '--json'])).objects.filter(({ kind }) => kind === 'text');
  expect(rows).toMatchObject([{ text: 'hello', reactions: [{ emoji: '👍', mine: false }] }, { text: 'hello yourself', quote: { id, text: 'hello' } }]);
  expect(await ada.json(['edit', 'Bob', id, 'good evening'])).toMatchObject({ text: 'good evening', edited: true });
  expect(await ada.json(['read', 'Bob'])).toMatchObject({ unread: 0 });
  expect(await ada.json(['timer', 'Bob', '1w'])).toMatchObject({ timer_s: 604_800 });
  expect((await ada.run(['search', 'evening', '--json'])).objects).toMatchObject([{ id, text: 'good evening' }]);
  expect((await ada.run(['search', 'evening', '--in', 'Bob', '--limit', '1', '--json'])).objects).toHaveLength(1);
  const newest = (await ada.run(['history', 'Bob', '--limit', '1', '--json'])).objects;
  expect(newest).toHaveLength(1);
  const older = (await ada.run(['history', 'Bob', '--before', String(newest[0]?.['row']), '--limit', '1', '--json'])).objects;
  expect(older[0]?.['row']).toBeLessThan(newest[0]?.['row'] as number);
  expect((await ada.run(['conversations', '--json'])).objects).toEqual(expect.arrayContaining([expect.objectContaining({ account: bob.account, timer_s: 604_800 })]));
  await ada.run(['edit', 'Bob', rows[1]?.['id'] as string, 'not mine'], 3);
  expect(await ada.json(['delete', 'Bob', id, '--everyone'])).toMatchObject({ kind: 'deleted' });
  await bob.sync();
  expect((await bob.run(['history', 'Ada', '--json'])).objects.find((row) => row['id'] === id)).toMatchObject({ kind: 'deleted', text: null });
  expect(await bob.json(['delete', 'Ada', id])).toMatchObject({ event: 'deleted' });
});

test('account: name, settings, recovery code, numbers', async () => {
  expect(await eve.json(['name', 'Evelyn'])).toEqual({ name: 'Evelyn' });
  expect(await eve.json(['settings', '--typing', 'off', '--timer', '1d'])).toMatchObject({ typing: false, timerS: 86_400, readReceipts: true });
  await eve.run(['settings', '--typing', 'perhaps'], 2);
  await eve.run(['settings', '--strangers', 'on'], 3);
  const { code } = (await eve.json(['recovery-code'])) as { code: string };
  const file = path.join(eve.directory, 'paper');
  writeFileSync(file, `${code.toLowerCase()}\n`);
  expect(await eve.json(['recovery-code', '--check', `@${file}`])).toEqual({ right: true });
  await eve.run(['recovery-code', '--check', `${code}A`], 2);
  await eve.run(['recovery-code', '--check', '@/no/such/file'], 2);
  const found = new Person('Found');
  await found.run(['join', relay.invite(), '--name', 'Found', '--number', '+49 170 1234567']);
  writeFileSync(file, '# friends\n0170 1234567 Found by number\n+49 170 7654321\n');
  expect(await eve.json(['discover', file, '--country', 'de', '--fast'])).toMatchObject({ found: [{ number: '+491701234567', name: 'Found by number' }], left: 0 });
  expect((await eve.run(['contacts'])).out).toContain('+491701234567');
  expect(await eve.json(['send', '+491701234567', 'by number', '--wait'])).toMatchObject({ event: 'sent' });
  await eve.run(['discover', file], 2);
  removeDirectory(found.directory);
});

test('a new phone: export, import, and the old one rests; then the account is deleted', async () => {
  const file = path.join(bob.directory, 'archive');
  const { code, messages } = (await bob.json(['export', file])) as { code: string; messages: number };
  expect(messages).toBeGreaterThan(0);
  const phone = new Person('Bob');
  expect(await phone.json(['import', file, '--code', 'nonsense'], 4)).toMatchObject({ code: 'wrong_code' });
  await phone.run(['import', file], 2);
  expect(await phone.json(['import', file, '--code', code])).toMatchObject({ account: bob.account, name: 'Bob' });
  expect((await phone.run(['history', 'Ada', '--json'])).objects).toHaveLength((await bob.run(['history', 'Ada', '--json'])).objects.length);
  await phone.run(['import', file, '--code', code], 3);
  expect(await phone.json(['delete-account'], 2)).toMatchObject({ code: 'usage' });
  expect(await phone.json(['delete-account', '--yes'])).toEqual({ event: 'deleted' });
  await phone.run(['card'], 3);
  expect(relay.accounts().some(({ id }) => id === bob.account)).toBe(false);
  removeDirectory(phone.directory);
});

test('the bridge serves the account to whoever has its token, as its own process', async () => {
  const serving = new CommandLine(ada.directory).spawn(['bridge', '--json']);
  const { url, token } = (await serving.event('bridge')) as { url: string; token: string };
  const socket = new WebSocket(url, ['sottovoce-bridge', token]);
  const told: Record<string, unknown>[] = [];
  socket.on('message', (data) => told.push(JSON.parse((data as Buffer).toString('utf8')) as Record<string, unknown>));
  await new Promise((resolve) => socket.once('open', resolve));
  expect((await serving.event('bridge'))['token']).not.toBe(token);
  socket.send(JSON.stringify({ id: 1, method: 'account', params: [] }));
  socket.send(JSON.stringify({ id: 2, method: 'start', params: [] }));
  await until('it answers, and tells what changes', () => told.some(({ id }) => id === 2) && told.some((one) => 'change' in one));
  expect(told.find(({ id }) => id === 1)).toMatchObject({ result: { account: ada.account, name: 'Ada' } });
  serving.write({ stop: true });
  expect(await serving.exited()).toBe(0);
  expect(existsSync(path.join(ada.directory, 'messages.db'))).toBe(true);
});
