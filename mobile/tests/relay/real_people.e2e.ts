/** Run by `npm run test:relay`: blocking, the key of a number, another identity, another phone, and leaving, against the real relay. */
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { nodeArchiveFiles } from '../../src/node/archive_files.ts';
import { TestApp } from '../support/apps.ts';
import { removeDirectory, temporaryDirectory, until } from '../support/clients.ts';
import { startRealRelay } from './real_relay.ts';
import type { RealRelay } from './real_relay.ts';

const ADAS_NUMBER = '+491701234567';

let relay: RealRelay;
const open: TestApp[] = [];
const directories: string[] = [];

async function start(): Promise<TestApp> {
  const directory = temporaryDirectory();
  directories.push(directory);
  const one = await TestApp.open(directory, { spreadS: 0, files: nodeArchiveFiles });
  open.push(one);
  return one;
}

async function member(name: string, number: string | null = null): Promise<TestApp> {
  const one = await start();
  await one.app.join({ invite: await relay.invite(), name, number });
  await one.app.start();
  return one;
}

const rows = async (one: TestApp, peer: string) => (await one.app.messages(peer, { before: null, limit: 100 })).messages;
const heard = async (one: TestApp, peer: string, text: string): Promise<boolean> => (await rows(one, peer)).some((row) => !row.mine && row.text === text);

/** Sends, and waits until it is read; both know each other afterwards. */
async function arrives(from: TestApp, to: TestApp, text: string): Promise<void> {
  const [fromId, toId] = [await from.id(), await to.id()];
  await from.app.send(toId, { text, quotes: null });
  await until(`"${text}" is read`, async () => (await to.app.contacts()).some(({ peer }) => peer === fromId) && (await heard(to, fromId, text)), 60_000);
}

async function meet(one: TestApp, other: TestApp): Promise<void> {
  await one.app.addByCard(await other.app.card(), true);
  await arrives(one, other, 'hello');
  await arrives(other, one, 'hello too');
}

beforeAll(async () => {
  relay = await startRealRelay();
}, 120_000);

afterAll(async () => {
  for (const one of open) await one.close();
  for (const directory of directories) removeDirectory(directory);
  await relay?.stop();
});

test('a blocked person is shut out, the others go on; who knows the number gets in by it, until strangers are shut out too', async () => {
  const [ada, bob, eve, joe] = [await member('Ada', ADAS_NUMBER), await member('Bob'), await member('Eve'), await member('Joe')];
  const [adaId, eveId] = [await ada.id(), await eve.id()];
  for (const other of [bob, eve, joe]) await meet(ada, other);
  await joe.app.client.discover([{ number: ADAS_NUMBER, name: 'Ada by number' }], { settings: { lookUpDelayMs: { least: 0, most: 10 } } });
  await joe.app.stop(); // who is away is told later
  const before = (await ada.app.client.account()).contactAccessKey;
  await ada.app.block(eveId);
  await until('the key is another one', async () => (await ada.app.client.account()).contactAccessKey.join() !== before.join());
  await until('Bob has it', async () => (await bob.app.client.contact(adaId)).accessKey?.join() === (await ada.app.client.account()).contactAccessKey.join());
  await arrives(bob, ada, 'still here');
  const id = await eve.app.send(adaId, { text: 'let me in', quotes: null });
  await until('Eve cannot', async () => (await rows(eve, adaId)).find((row) => row.id === id)?.reason === 'no_access');
  expect(await heard(ada, eveId, 'let me in')).toBe(false);

  // Joe has the old key and the number; his own mailbox, where the new key waits, is not read in this client.
  const { client } = joe.app;
  await client.start({ receive: false });
  await client.store.write([client.store.people.save({ account: adaId, accessKey: before })]);
  await joe.app.send(adaId, { text: 'by the number', quotes: null });
  await until('Joe is heard', async () => heard(ada, await joe.id(), 'by the number'), 60_000);
  await joe.app.stop();

  await ada.app.changeSettings({ strangers: false });
  await until('the relay knows', async () => (await ada.app.client.discovery.accessChange()) === null);
  const stranger = await member('Stranger');
  const { found } = await stranger.app.client.discover([{ number: ADAS_NUMBER, name: null }], { settings: { lookUpDelayMs: { least: 0, most: 10 } } });
  expect(found).toEqual([]); // closed to strangers is not to be found
  await ada.app.unblock(eveId);
  await until('Eve is let in again', async () => heard(ada, eveId, 'let me in'), 60_000);
});

test('a person who comes back under another key is confirmed before anything is sent', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  await meet(ada, bob);
  await bob.app.setVerified(adaId, true);
  const recoveryCode = await ada.app.recoveryCode();
  const numberBefore = (await bob.app.safetyNumber(adaId)).groups;
  await ada.app.stop();
  const phone = await start(); // the old one is lost
  await phone.app.recover({ invite: await relay.invite(), name: 'Ada', account: adaId, number: null, recoveryCode });
  await phone.app.start();
  await phone.app.addByCard(await bob.app.card(), true);
  await phone.app.send(bobId, { text: 'it is me, under another key', quotes: null });
  await until('Bob is warned', async () => (await bob.app.contact(adaId)).identity === 'unconfirmed', 60_000);
  expect(await bob.app.contact(adaId)).toMatchObject({ verified: false });
  expect(await heard(bob, adaId, 'it is me, under another key')).toBe(true);
  await expect(bob.app.send(adaId, { text: 'are you?', quotes: null })).rejects.toMatchObject({ code: 'identity_unconfirmed' });
  const [atBob, atAda] = [await bob.app.safetyNumber(adaId), await phone.app.safetyNumber(bobId)];
  expect(atBob.groups).toEqual(atAda.groups);
  expect(atBob.groups).not.toEqual(numberBefore);
  expect(await bob.app.compareSafetyCode(adaId, atAda.code)).toBe(true);
  expect(await bob.app.contact(adaId)).toMatchObject({ verified: true, identity: 'same' });
  await arrives(bob, phone, 'so it is');
});

test('another phone takes over, the conversation goes on, and then the account is deleted', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  await meet(ada, bob);
  const file = path.join(ada.directory, 'archive');
  const { code } = await ada.app.exportArchive(file);
  await bob.app.send(adaId, { text: 'while moving', quotes: null });
  const phone = await start();
  await phone.app.importArchive(file, code);
  await phone.app.start();
  await until('what came while moving is read', async () => heard(phone, bobId, 'while moving'), 60_000);
  await arrives(phone, bob, 'from the new phone');
  await arrives(bob, phone, 'to the new phone');
  expect(await bob.app.contact(adaId)).toMatchObject({ identity: 'same' });
  await phone.app.deleteAccount();
  expect(await phone.app.account()).toBeNull();
  const id = await bob.app.send(adaId, { text: 'are you there?', quotes: null });
  await until('nobody is there', async () => (await rows(bob, adaId)).find((row) => row.id === id)?.reason === 'no_access', 60_000);
});
