/** Back into an account by its recovery code: on a new phone, and on one whose data is still there. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Client } from '../src/core/client.ts';
import { CannotDo, RelayUnreachable } from '../src/core/errors.ts';
import type { RecoveryClaim } from '../src/core/recovery.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, TestClient, until } from './support/clients.ts';
import { killedAtEveryStep } from './support/mortal.ts';

let relay: FakeRelay;
const opened: TestClient[] = [];
const directories: string[] = [];
const NUMBER = '+4915112345678';

async function open(directory = temporaryDirectory()): Promise<TestClient> {
  const client = await TestClient.open(directory, 2);
  opened.push(client);
  directories.push(directory);
  return client;
}

async function member(name: string, number: string | null = null): Promise<TestClient> {
  const client = await open();
  await client.client.join(relay.invite(), name, undefined, number);
  return client;
}

async function claimOf(client: TestClient, named: Partial<RecoveryClaim> = {}): Promise<RecoveryClaim> {
  const { accountId, name, recoveryCode } = await client.client.account();
  return { name, account: accountId, number: null, recoveryCode, ...named };
}

beforeEach(async () => {
  relay = await FakeRelay.start();
});

afterEach(async () => {
  for (const client of opened.splice(0)) await client.close();
  for (const directory of directories.splice(0)) removeDirectory(directory);
  await relay.stop();
});

test('on a new phone, by account id: the same account with new keys, the old phone is out', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  await bob.client.addContact(await ada.client.card());
  await ada.client.start({ receive: true });
  const old = await ada.client.account();
  const claim = await claimOf(ada);
  const steps: string[] = [];
  const phone = await open();
  await phone.client.recover(relay.invite(), claim, (step) => steps.push(step));
  expect(steps).toEqual(['keys', 'request', 'recovered']);
  const account = await phone.client.account();
  expect(account.accountId).toBe(old.accountId);
  expect(account.identityKey).not.toEqual(old.identityKey);
  expect(account.recoveryCode).not.toEqual(old.recoveryCode);
  await until('the old phone is told', () => ada.events.some((event) => event.kind === 'connection' && event.connection.kind === 'stopped'));
  // A new contact link, and mail flows again.
  const eve = await member('Eve');
  await eve.client.addContact(await phone.client.card());
  await eve.client.send('Ada', 'you are back');
  await phone.client.start({ receive: true });
  await until('Ada reads it', async () => (await phone.texts()).length === 1);
});

test('by number alone, and with both, people find the account again', async () => {
  const [ada, bob] = [await member('Ada', NUMBER), await member('Bob')];
  const { accountId } = await ada.client.account();
  let latest = ada;
  for (const account of [null, accountId]) {
    const claim = await claimOf(latest, { account, number: NUMBER });
    const phone = (latest = await open());
    const recovered = await phone.client.recover(relay.invite(), claim);
    expect(recovered.accountId).toBe(accountId);
    expect((await phone.client.discovery.ownNumber())?.number).toBe(NUMBER);
    const { found } = await bob.client.discover([{ number: NUMBER, name: null }], { settings: { lookUpDelayMs: { least: 0, most: 0 }, lookUpAgainAfterS: -1 } });
    expect(found.map((known) => known.account)).toEqual([accountId]);
  }
});

test('where the data is still there, contacts and messages stay and what was waiting goes out under the new keys', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  await ada.client.addContact(await bob.client.card());
  await ada.client.send('Bob', 'before');
  await ada.client.start({ receive: false });
  await until('it is at the relay', async () => (await ada.client.store.outbox.peers()).length === 0);
  await ada.client.stop();
  const claim = await claimOf(ada);
  relay.faults.refuse = [{ code: 'mailbox_full', retryAfterS: 3600 }];
  await ada.client.send('Bob', 'sealed under the old identity');
  await until('it was refused', () => relay.faults.refuse.length === 0);
  await ada.client.recover(relay.invite(), claim);
  expect((await ada.client.history('Bob')).map(({ text }) => text)).toEqual(['before', 'sealed under the old identity']);
  await bob.client.start({ receive: true });
  await until('Bob reads the first', async () => (await bob.texts()).includes('before'));
  expect(await ada.client.store.keys.session((await bob.client.account()).accountId)).toBeNull();
  expect((await ada.client.store.people.all()).map(({ name, answered }) => [name, answered])).toEqual([['Bob', false]]);
});

test('a wrong code changes nothing, and the account that is there goes on', async () => {
  const ada = await member('Ada');
  const before = await ada.client.account();
  const wrong = await claimOf(ada, { recoveryCode: new Uint8Array(32) });
  await expect(ada.client.recover(relay.invite(), wrong)).rejects.toMatchObject({ code: 'bad_recovery' });
  expect(await ada.client.account()).toEqual(before);
  for (const table of ['recovery', 'recovery_prekey']) expect(await ada.client.machine.database.read({ sql: `SELECT * FROM ${table}` })).toEqual([]);
  await expect((await open()).client.recover(relay.invite(), wrong)).rejects.toBeInstanceOf(CannotDo);
  const bob = await member('Bob');
  await bob.client.addContact(await ada.client.card());
  await bob.client.send('Ada', 'still here');
  await ada.client.start({ receive: true });
  await until('Ada reads it', async () => (await ada.texts()).length === 1);
});

test('what cannot be is refused before anything is asked', async () => {
  const [ada, bob] = [await member('Ada'), await member('Bob')];
  const asked = relay.log.requests.length;
  await expect(ada.client.recover(relay.invite(), await claimOf(bob))).rejects.toMatchObject({ code: 'already_joined' });
  const phone = await open();
  await expect(phone.client.recover(relay.invite(), await claimOf(bob, { account: null }))).rejects.toMatchObject({ code: 'bad_claim' });
  await expect(phone.client.recover(relay.invite(), await claimOf(bob, { number: '0151' }))).rejects.toMatchObject({ code: 'bad_number' });
  const plain = relay.invite().replace(/&v=.*/, '');
  await expect(phone.client.recover(plain, await claimOf(bob, { number: NUMBER }))).rejects.toMatchObject({ code: 'no_discovery' });
  expect(relay.log.requests).toHaveLength(asked);
});

test('an answer that was lost: the same call again gives the same account, and the code is used up once', async () => {
  const ada = await member('Ada');
  const claim = await claimOf(ada);
  const phone = await open();
  relay.faults.loseAnswerOf.push('/v1/accounts/recover');
  await expect(phone.client.recover(relay.invite(), claim)).rejects.toBeInstanceOf(RelayUnreachable);
  await phone.client.recover(relay.invite(), claim);
  await expect((await open()).client.recover(relay.invite(), claim)).rejects.toMatchObject({ code: 'bad_recovery' });
  expect(relay.accounts().filter(({ usedCodeHash }) => usedCodeHash !== null)).toHaveLength(1);
});

test('killed at every step: the account is the old one or the new one, and in the end the new one', async () => {
  let claim: RecoveryClaim;
  const steps = await killedAtEveryStep(
    async () => {
      for (const account of relay.accounts()) account.phoneToken = null;
      const ada = await member('Ada', NUMBER);
      claim = await claimOf(ada, { number: NUMBER });
      return ada.directory;
    },
    async (client: Client) => {
      const { accountId, recoveryCode } = await client.account();
      expect(accountId).toBe(claim.account);
      if (Buffer.from(recoveryCode).equals(claim.recoveryCode)) await client.recover(relay.invite(), claim); // else it is done
    },
    async (directory) => {
      const ada = await open(directory);
      const account = await ada.client.account();
      expect(account.recoveryCode).not.toEqual(claim.recoveryCode);
      const held = relay.account(account.accountId);
      expect(held.identityKey).toBe(Buffer.from(account.identityKey).toString('base64url'));
      expect(await ada.client.store.keys.preKeys('ec')).toHaveLength(held.prekeys.length);
      expect(held.usedCodeHash).not.toBeNull();
    },
  );
  expect(steps).toBe(10); // plan, evaluation, its answer, request, its answer; before and after each
}, 60_000);
