/** What lies on a disk holds nothing that somebody said, is called, or could be opened with. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { nodeArchiveFiles } from '../src/node/archive_files.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, temporaryDirectory, until } from './support/clients.ts';

const TEXT = 'the nightingale canary sings at four';
const NAMES = ['Ada Canarybird', 'Bob Canarybird', 'Canary of my own'];
const NUMBER = '+491701234567';

let relay: FakeRelay;
const directories: string[] = [];

beforeAll(async () => {
  relay = await FakeRelay.start();
});

afterAll(async () => {
  await relay.stop();
  for (const directory of directories) removeDirectory(directory);
});

/** A canary in every spelling that a careless writer might have used. */
function spellings(canary: string | Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(canary);
  const texts = [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex'), bytes.toString('hex').toUpperCase()];
  const wide = typeof canary === 'string' ? [Buffer.from(canary, 'utf16le')] : [];
  return [bytes, ...wide, ...texts.map((text) => Buffer.from(text.replace(/=+$/, '').slice(0, -1)))];
}

function found(file: string, canaries: readonly (string | Uint8Array)[]): readonly string[] {
  const bytes = readFileSync(file);
  return canaries.flatMap((canary) => spellings(canary)).filter((spelling) => bytes.includes(spelling)).map((spelling) => `${path.basename(file)}: ${spelling.toString('latin1')}`);
}

const filesOf = (directory: string): string[] => readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => path.join(directory, name));

/** Files of this process that have no name any more, read through what it holds open. */
const nameless = (): string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => `/proc/self/fd/${fd}`)
    .filter((fd) => {
      try {
        return readlinkSync(fd).includes('sottovoce-scratch-');
      } catch {
        return false;
      }
    });

async function join(name: string, number: string | null): Promise<TestApp> {
  const directory = temporaryDirectory();
  directories.push(directory);
  const one = await TestApp.open(directory, { files: nodeArchiveFiles, spreadS: 0 });
  await one.app.join({ invite: relay.invite(), name, number });
  return one;
}

test('the search finds what is there', () => {
  const directory = temporaryDirectory();
  directories.push(directory);
  const file = path.join(directory, 'plain');
  const key = new Uint8Array(32).map((_, index) => index * 7);
  for (const plain of [TEXT, `x${Buffer.from(TEXT).toString('base64url')}y`, Buffer.from(TEXT, 'utf16le'), key, Buffer.from(key).toString('hex'), `=${Buffer.from(key).toString('base64')}`]) {
    writeFileSync(file, plain);
    expect(found(file, [TEXT, key])).not.toEqual([]);
  }
  writeFileSync(file, 'nothing of interest');
  expect(found(file, [TEXT, key])).toEqual([]);
});

test('database, write-ahead log, archive and the throw-away database hold no text, name, number or key', async () => {
  const [ada, bob] = [await join(NAMES[0] ?? '', NUMBER), await join(NAMES[1] ?? '', null)];
  const [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), true);
  await bob.app.addByCard(await ada.app.card(), false);
  await ada.app.setContactName(bobId, NAMES[2] ?? null);
  await ada.app.start();
  await bob.app.start();
  for (let n = 0; n < 30; n += 1) await ada.app.send(bobId, { text: `${TEXT} ${n}`, quotes: null });
  await until('Bob reads all', async () => (await bob.app.messages(adaId, { before: null, limit: 50 })).messages.length === 30);
  await ada.app.setDraft(bobId, TEXT);

  const account = await ada.app.client.account();
  const theirs = await ada.app.client.contact(bobId);
  const own = await ada.app.client.discovery.ownNumber();
  const session = await ada.app.client.store.keys.session(bobId);
  const secrets = [account.secret, account.recoveryCode, account.identity, account.identity.slice(-32), account.contactAccessKey, theirs.accessKey, own?.secrets?.accessKey, session?.slice(0, 64)];
  const keys = secrets.filter((secret) => secret !== null && secret !== undefined);
  expect(keys).toHaveLength(8);
  const canaries = [TEXT, ...NAMES, NUMBER, NUMBER.slice(1), await ada.app.recoveryCode(), ...keys];

  expect(filesOf(ada.directory).map((file) => path.basename(file))).toEqual(expect.arrayContaining(['messages.db', 'messages.db-wal']));
  for (const directory of directories) for (const file of filesOf(directory)) expect(found(file, canaries)).toEqual([]);

  let looked = 0;
  ada.app.subscribe((change) => {
    if (change.topic !== 'progress' || change.step !== 'test' || looked > 3) return;
    for (const file of nameless()) {
      looked += 1;
      expect(readFileSync(file).length).toBeGreaterThan(4096);
      expect(found(file, canaries)).toEqual([]);
    }
  });
  const file = path.join(ada.directory, 'archive');
  const { code } = await ada.app.exportArchive(file);
  expect(looked).toBeGreaterThan(0);
  for (const one of filesOf(ada.directory)) expect(found(one, [...canaries, code, code.replaceAll('-', '')])).toEqual([]);
  expect(nameless()).toEqual([]);
  await ada.close();
  await bob.close();
});
