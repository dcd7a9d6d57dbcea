import { afterEach, beforeEach, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, TestClient, until } from './support/clients.ts';

let relay: FakeRelay;
const open: TestClient[] = [];

async function member(name: string): Promise<TestClient> {
  const client = await TestClient.join(relay.invite(), name);
  open.push(client);
  return client;
}

beforeEach(async () => {
  relay = await FakeRelay.start();
});

afterEach(async () => {
  for (const client of open.splice(0)) {
    await client.close();
    removeDirectory(client.directory);
  }
  await relay.stop();
});

test('two members talk after one contact link; the first message tells the other how to answer', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  await ada.client.addContact(await bob.client.card());
  await ada.client.send('Bob', 'hello Bob');
  await bob.client.start({ receive: true });
  await until('Bob reads it', async () => (await bob.texts()).length === 1);
  expect((await bob.client.findContact('Ada')).account).toBe((await ada.client.account()).accountId);

  await ada.client.start({ receive: true });
  await bob.client.send('Ada', 'hello Ada');
  await until('Ada reads it', async () => (await ada.texts()).length === 1);
  for (let i = 0; i < 5; i += 1) {
    await ada.client.send('Bob', `a${i}`);
    await bob.client.send('Ada', `b${i}`);
  }
  await until('all of it', async () => (await ada.texts()).length === 6 && (await bob.texts()).length === 6);
  expect(await ada.texts()).toEqual(['hello Ada', 'b0', 'b1', 'b2', 'b3', 'b4']);
  expect(await bob.texts()).toEqual(['hello Bob', 'a0', 'a1', 'a2', 'a3', 'a4']);
  const history = await bob.client.history('Ada');
  expect(history.filter(({ direction }) => direction === 'out').map(({ state }) => state)).toEqual(Array(6).fill('sent'));
  await until('the relay holds nothing', () => relay.accounts().every(({ mailbox }) => mailbox.length === 0));
});
