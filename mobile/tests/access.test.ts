/** What is tried when a key does not open a mailbox any more, as a table; and that it ends. */
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Database } from '../src/core/ports.ts';
import { Access } from '../src/core/people/access.ts';
import { DiscoveryStore } from '../src/core/storage/discovery_store.ts';
import { openSchema } from '../src/core/storage/schema.ts';
import { Store } from '../src/core/storage/store.ts';
import { openDatabase } from '../src/node/database.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY } from './support/clients.ts';

const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';
const NUMBER = '+491701234567';
const key = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);

let directory: string;
let database: Database;
let store: Store;
let drained = true;
let access: Access;

beforeEach(async () => {
  directory = temporaryDirectory();
  database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  await openSchema(database);
  store = new Store(database);
  drained = true;
  access = new Access({ store, discovery: new DiscoveryStore(database), drained: () => drained });
});

afterEach(async () => {
  await database.close();
  removeDirectory(directory);
});

async function known(accessKey: Uint8Array | null, numberKey: Uint8Array | null): Promise<void> {
  await store.write([store.people.save({ account: BOB, ...(accessKey && { accessKey }) })]);
  if (!numberKey) return;
  const sql = 'INSERT INTO known_number (number, phone_token, access_key, looked_up_at, account_id) VALUES (:number, :token, :numberKey, 1, :account)';
  await store.write([{ sql, params: { number: NUMBER, token: new Uint8Array(32), numberKey, account: BOB } }]);
}

test('another key has come meanwhile: it is taken', async () => {
  await known(key(2), null);
  expect(await access.refused(BOB, key(1))).toBe('again');
});

test('before the own mailbox is read nothing is given up, whatever else could be tried', async () => {
  await known(key(1), key(9));
  drained = false;
  expect(await access.refused(BOB, key(1))).toBe('later');
  expect((await store.people.get(BOB))?.accessKey).toEqual(key(1));
});

test('then the key of their number, once; then a person is asked', async () => {
  await known(key(1), key(9));
  expect(await access.refused(BOB, key(1))).toBe('again');
  expect((await store.people.get(BOB))?.accessKey).toEqual(key(9));
  expect(await access.refused(BOB, key(9))).toBe('no_access');
});

test('without a number there is nothing to try, nor for somebody unknown', async () => {
  await known(key(1), null);
  expect(await access.refused(BOB, key(1))).toBe('no_access');
  expect(await access.refused('8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a03', key(1))).toBe('no_access');
});
