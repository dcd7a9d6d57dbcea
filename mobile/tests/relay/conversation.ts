/** Two members and one relay, whichever it is. */
import { expect } from 'vitest';

import { removeDirectory, TestClient, until } from '../support/clients.ts';
import type { RelayUnderTest } from './contract.ts';

export async function withTwoMembers(relay: RelayUnderTest, work: (ada: TestClient, bob: TestClient) => Promise<void>, preKeys?: number): Promise<void> {
  const [ada, bob] = [await TestClient.join(await relay.invite(), 'Ada', preKeys), await TestClient.join(await relay.invite(), 'Bob', preKeys)];
  try {
    await work(ada, bob);
  } finally {
    for (const client of [ada, bob]) {
      await client.close();
      removeDirectory(client.directory);
    }
  }
}

/** One contact link, a first message, an answer, then both at once. */
export async function converse(ada: TestClient, bob: TestClient, each = 5): Promise<void> {
  await ada.client.addContact(await bob.client.card());
  await ada.client.send('Bob', 'hello Bob');
  await bob.client.start({ receive: true });
  await until('Bob reads it', async () => (await bob.texts()).length === 1);
  expect((await bob.client.findContact('Ada')).account).toBe((await ada.client.account()).accountId);

  await ada.client.start({ receive: true });
  await bob.client.send('Ada', 'hello Ada');
  await until('Ada reads it', async () => (await ada.texts()).length === 1);
  for (let i = 0; i < each; i += 1) {
    await ada.client.send('Bob', `a${i}`);
    await bob.client.send('Ada', `b${i}`);
  }
  await until('all of it', async () => (await ada.texts()).length === each + 1 && (await bob.texts()).length === each + 1, 60_000);
  expect(await ada.texts()).toEqual(['hello Ada', ...Array.from({ length: each }, (_, i) => `b${i}`)]);
  expect(await bob.texts()).toEqual(['hello Bob', ...Array.from({ length: each }, (_, i) => `a${i}`)]);
  const out = (await bob.client.history('Ada')).filter(({ direction }) => direction === 'out');
  await until('all is known to be sent', async () => (await bob.client.store.outbox.peers()).length === 0);
  expect(out).toHaveLength(each + 1);
}

/** Bob has one one-time key of each kind, and three people write to him: two of them get the last-resort key. */
export async function beyondOneTimeKeys(relay: RelayUnderTest): Promise<void> {
  const people: TestClient[] = [];
  for (const name of ['Bob', 'Ada', 'Eve', 'Joe']) people.push(await TestClient.join(await relay.invite(), name, 1));
  const [bob, ...others] = people as [TestClient, ...TestClient[]];
  try {
    for (const other of others) {
      await other.client.addContact(await bob.client.card());
      await other.client.send('Bob', 'hello');
      await until('it has left', async () => (await other.client.store.outbox.peers()).length === 0);
    }
    await bob.client.start({ receive: true });
    await until('Bob reads all three', async () => (await bob.texts()).length === 3);
    expect((await bob.client.store.messages.counts()).undecryptable).toBe(0);
    for (const name of ['Ada', 'Eve', 'Joe']) await bob.client.send(name, `to ${name}`);
    for (const other of others) {
      await other.client.start({ receive: true });
      await until('Bob is heard', async () => (await other.texts()).length === 1);
    }
  } finally {
    for (const person of people) {
      await person.close();
      removeDirectory(person.directory);
    }
  }
}
