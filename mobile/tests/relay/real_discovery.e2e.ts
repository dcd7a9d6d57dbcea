/** Run by `npm run test:relay`: five hundred numbers through the real relay, with the time of each step, and a first message by number. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { BookEntry, DiscoverySettings } from '../../src/core/discovery/discovery.ts';
import { parseInvite } from '../../src/core/links.ts';
import { removeDirectory, temporaryDirectory, TestClient, until } from '../support/clients.ts';
import { CommandLine } from '../support/command_line.ts';
import { startRealRelay } from './real_relay.ts';
import type { RealRelay } from './real_relay.ts';

const CONTACTS = 500;
const SOON: Partial<DiscoverySettings> = { lookUpDelayMs: { least: 0, most: 20 }, evaluationChunk: 100 };

let relay: RealRelay;
const people: TestClient[] = [];

async function member(name: string, number: string | null): Promise<TestClient> {
  const client = await TestClient.open();
  people.push(client);
  await client.client.join(await relay.invite(), name, undefined, number);
  return client;
}

const numberOf = (n: number): string => `+4917${String(n).padStart(8, '0')}`;

beforeAll(async () => {
  relay = await startRealRelay({ evaluations_burst: '520' });
}, 120_000);

afterAll(async () => {
  for (const client of people) {
    await client.close();
    removeDirectory(client.directory);
  }
  await relay?.stop();
});

test('500 numbers: members are found, a first message goes by number, and the budget holds', async () => {
  const [ada, bob, eve] = [await member('Ada', null), await member('Bob', numberOf(33)), await member('Eve', numberOf(444))];
  const accounts = await Promise.all([bob, eve].map(async ({ client }) => (await client.account()).accountId));
  const book: BookEntry[] = Array.from({ length: CONTACTS }, (_, n) => ({ number: numberOf(n), name: `Person ${n}` }));
  const { found, evaluated, lookedUp, left, times } = await ada.client.discover(book, { settings: SOON });
  expect({ evaluated, lookedUp, left }).toEqual({ evaluated: CONTACTS, lookedUp: CONTACTS, left: 0 });
  expect(found.map(({ account }) => account)).toEqual(accounts);
  // eslint-disable-next-line no-console -- the table is what one runs this for
  console.info(
    ['step        all ms   a number', ...Object.entries(times).map(([step, ms]) => `${step.padEnd(10)} ${String(ms).padStart(7)} ${(ms / CONTACTS).toFixed(2).padStart(10)}`)].join('\n'),
  );

  await ada.client.send(numberOf(33), 'is this Bob?');
  await bob.client.start({ receive: true });
  await until('Bob reads it', async () => (await bob.texts()).length === 1);
  await ada.client.start({ receive: true });
  await bob.client.send('Ada', 'it is');
  await until('Ada reads it', async () => (await ada.texts()).length === 1);
  expect((await ada.client.findContact(numberOf(33))).accessKey).toEqual((await bob.client.account()).contactAccessKey);

  const again = await ada.client.discover(book, { settings: SOON });
  expect(again).toMatchObject({ evaluated: 0, lookedUp: 0, left: 0 }); // all of it is known

  if (process.env['SOTTOVOCE_RELAY_URL'] !== undefined) return;
  const more = Array.from({ length: 60 }, (_, n) => ({ number: numberOf(CONTACTS + n), name: null }));
  const over = await ada.client.discover(more, { settings: { ...SOON, patienceS: 0 } });
  expect(over).toMatchObject({ evaluated: 0, left: 60 }); // 20 are left of the budget: a chunk of 60 is refused whole
  expect(over.waitS).toBeGreaterThan(0);
});

test('a relay whose key is not the one of the invite is caught, and gets nothing', async () => {
  const link = await relay.invite();
  const client = await TestClient.open();
  people.push(client);
  const other = parseInvite(link).discovery?.voprfPublicKey.slice() ?? new Uint8Array();
  const basePoint = 'e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76'; // RFC 9496, appendix A.1: a key that nobody's relay has
  const foreign = link.replace(Buffer.from(other).toString('base64url'), Buffer.from(basePoint, 'hex').toString('base64url'));
  await expect(client.client.join(foreign, 'Ada', undefined, numberOf(900))).rejects.toMatchObject({ code: 'foreign_oprf_key' });
  expect((await client.client.discovery.ownNumber())?.secrets).toBeNull();
  await client.client.join(link, 'Ada', undefined, numberOf(900)); // the invite was not spent
});

test('closed to strangers: not found, and the old key opens nothing; open again: found', async () => {
  const [ada, bob] = [await member('Ada', null), await member('Bob', numberOf(77))];
  const once = async (): Promise<number> => (await ada.client.discover([{ number: numberOf(77), name: null }], { settings: { ...SOON, lookUpAgainAfterS: -1 } })).found.length;
  expect(await once()).toBe(1);
  await bob.client.changeAccess({ strangers: false });
  await ada.client.send(numberOf(77), 'hello?');
  const state = async (): Promise<string | undefined> => (await ada.client.history(numberOf(77)))[0]?.state;
  await until('it is refused', async () => (await state()) === 'blocked');
  expect(await once()).toBe(0);
  await bob.client.changeAccess({ strangers: true, newContactKey: true });
  expect(await once()).toBe(1);
});

test('recovery by number on a new phone: found again, the old phone is out, a wrong code is not', async () => {
  const [ada, bob] = [await member('Ada', null), await member('Bob', numberOf(88))];
  await bob.client.start({ receive: true });
  const { accountId, recoveryCode } = await bob.client.account();
  const phone = await TestClient.open();
  people.push(phone);
  const claim = { name: 'Bob', account: null, number: numberOf(88), recoveryCode };
  await expect(phone.client.recover(await relay.invite(), { ...claim, recoveryCode: new Uint8Array(32) })).rejects.toMatchObject({ code: 'bad_recovery' });
  expect((await phone.client.recover(await relay.invite(), claim)).accountId).toBe(accountId);
  await until('the old phone is told', () => bob.events.some((event) => event.kind === 'connection' && event.connection.kind === 'stopped'));
  await ada.client.discover([{ number: numberOf(88), name: null }], { settings: SOON });
  await ada.client.send(numberOf(88), 'is it you again?');
  await phone.client.start({ receive: true });
  await until('Bob reads it on the new phone', async () => (await phone.texts()).length === 1);
});

test('the command line: join --number, discover, send by number', async () => {
  const directories = [temporaryDirectory(), temporaryDirectory()] as const;
  const [adaLine, bobLine] = [new CommandLine(directories[0]), new CommandLine(directories[1])];
  try {
    await bobLine.run(['join', await relay.invite(), '--name', 'Bob', '--number', numberOf(55)]);
    await adaLine.run(['join', await relay.invite(), '--name', 'Ada', '--number', numberOf(56)]);
    const wrong = await adaLine.run(['discover', '/nowhere'], 2);
    expect(wrong.err).toContain('cannot be read');
    const finding = adaLine.spawn(['discover', '-', '--fast', '--json']);
    finding.write(`# my friends\n${numberOf(55)} Bob from the choir\n${numberOf(57)}`);
    finding.endInput();
    const { objects, err } = await finding.ran();
    expect(objects[0]).toMatchObject({ event: 'discovered', evaluated: 2, looked_up: 2, left: 0, found: [{ number: numberOf(55), name: 'Bob from the choir' }] });
    expect(err).toContain('tokens looked up: 2 of 2');
    expect((await adaLine.run(['send', numberOf(55), 'hello', '--wait'])).out).toBe('sent\n');
    expect((await bobLine.run(['watch', '--exit-when-drained'])).out).toContain('Ada: hello');
  } finally {
    for (const directory of directories) removeDirectory(directory);
  }
});
