/** Joining, prekeys, the own certificate, and the files on disk. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { CannotDo, NotTrusted, RelayUnreachable } from '../src/core/errors.ts';
import { parseInvite } from '../src/core/links.ts';
import { refillPreKeys } from '../src/core/prekeys.ts';
import { IdentifiedApi } from '../src/core/relay_api.ts';
import { lockDirectory, openDatabase } from '../src/node/database.ts';
import { fileKeyVault, systemClock } from '../src/node/machine.ts';
import { identifiedLane, Lane } from '../src/node/network.ts';
import { NodeSignalEngine } from '../src/node/signal_engine.ts';
import { converse } from './relay/conversation.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY, TestClient, until } from './support/clients.ts';

let relay: FakeRelay;
const opened: TestClient[] = [];

async function open(directory?: string): Promise<TestClient> {
  const client = await TestClient.open(directory);
  opened.push(client);
  return client;
}

async function member(name: string, preKeys?: number): Promise<TestClient> {
  const client = await TestClient.join(relay.invite(), name, preKeys);
  opened.push(client);
  return client;
}

beforeEach(async () => {
  relay = await FakeRelay.start();
});

afterEach(async () => {
  for (const client of opened.splice(0)) {
    await client.close();
    removeDirectory(client.directory);
  }
  await relay.stop();
});

describe('joining', () => {
  test('an answer that was lost: the same call again, after a restart, gives the one account there is', async () => {
    const invite = relay.invite();
    const first = await TestClient.open();
    relay.faults.loseAnswerOf.push('/v1/accounts');
    await expect(first.client.join(invite, 'Ada')).rejects.toBeInstanceOf(RelayUnreachable);
    await expect(first.client.card()).rejects.toMatchObject({ code: 'not_joined' });
    await first.close();

    const second = await open(first.directory);
    const steps: string[] = [];
    const account = await second.client.join(invite, 'Ada', (step) => steps.push(step));
    expect(relay.accounts().map(({ id }) => id)).toEqual([account.accountId]);
    expect(steps).toEqual(['request', 'registered']); // no new keys
    const bob = await member('Bob');
    await converse(second, bob, 1); // the keys that the relay has are the ones that were kept
  });

  test('a bad invite says what to do, and another one joins with the keys that were made', async () => {
    const client = await open();
    const invite = relay.invite();
    const wrong = invite.replace(parseInvite(invite).code, 'x'.repeat(24));
    await expect(client.client.join(wrong, 'Ada')).rejects.toMatchObject({ code: 'bad_invite' });
    const before = await client.client.store.account.get();
    await client.client.join(invite, 'Ada');
    const { identityKey } = await client.client.account();
    expect(identityKey).toEqual(before?.identityKey);
    await expect(client.client.join(relay.invite(), 'Ada')).rejects.toMatchObject({ code: 'already_joined' });
  });

  test('what is not an invite or a name is refused before anything is made', async () => {
    const client = await open();
    await expect(client.client.join('hello', 'Ada')).rejects.toBeInstanceOf(CannotDo);
    await expect(client.client.join(relay.invite(), '  ')).rejects.toMatchObject({ code: 'bad_name' });
    expect(await client.client.store.account.get()).toBeNull();
    expect(relay.log.requests).toEqual([]);
  });

  test('a hundred one-time keys of each kind by default wishes, ids in range and none twice', async () => {
    const client = await member('Ada', 100);
    const [account] = relay.accounts();
    for (const keys of [account?.prekeys ?? [], account?.kyber ?? []]) {
      expect(keys).toHaveLength(100);
      expect(new Set(keys.map(({ id }) => id)).size).toBe(100);
    }
    expect((await client.client.store.keys.preKeys('kyber')).length).toBe(100);
  });
});

describe('prekeys', () => {
  test('prekeys_low: topped up with new keys, each kept here before it leaves', async () => {
    const ada = await member('Ada', 30);
    const { accountId } = await ada.client.account();
    const held = relay.account(accountId);
    held.prekeys.splice(0, 25);
    held.kyber.splice(0, 20);
    await ada.client.start({ receive: true });
    await until('topped up', () => held.prekeys.length === 30 && held.kyber.length === 30);
    for (const [kind, keys] of [
      ['ec', held.prekeys],
      ['kyber', held.kyber],
    ] as const) {
      expect(new Set(keys.map(({ id }) => id)).size).toBe(30);
      for (const { id } of keys) expect(await ada.client.store.keys.preKey(kind, id)).not.toBeNull();
    }
  });

  test('keys whose upload was not answered are kept and never sent again', async () => {
    const ada = await member('Ada', 30);
    const { accountId, secret } = await ada.client.account();
    const held = relay.account(accountId);
    held.prekeys.splice(0, 25);
    const lane = new Lane();
    const deps = { store: ada.client.store, engine: new NodeSignalEngine(), clock: systemClock, api: new IdentifiedApi(identifiedLane(lane).http, relay.url) };
    relay.faults.loseAnswerOf.push('/nothing');
    relay.faults.loseAnswerOf[0] = '/v1/keys'; // the count is lost: nothing was made
    await expect(refillPreKeys(deps, 30)).rejects.toBeInstanceOf(RelayUnreachable);
    expect(held.prekeys).toHaveLength(5);
    const original = deps.api.addKeys.bind(deps.api);
    const sent: number[][] = [];
    deps.api.addKeys = async (...args) => {
      sent.push(args[1].map(({ id }) => id));
      const answer = await original(...args);
      if (sent.length === 1) throw new RelayUnreachable('the answer was lost');
      return answer;
    };
    await expect(refillPreKeys(deps, 30)).rejects.toBeInstanceOf(RelayUnreachable);
    held.prekeys.splice(0, 10); // somebody took some of them
    await refillPreKeys(deps, 30);
    const [one = [], two = []] = sent;
    expect(one).toHaveLength(25);
    expect(two).toHaveLength(10);
    expect(two.filter((id) => one.includes(id))).toEqual([]);
    for (const id of [...one, ...two]) expect(await ada.client.store.keys.preKey('ec', id)).not.toBeNull();
    expect(secret).toHaveLength(32);
    lane.close();
  });

  test('a relay that gives out other keys than ours is noticed by the digest', async () => {
    const [ada, eve] = [await member('Ada', 30), await member('Eve', 30)];
    const [adas, eves] = [relay.account((await ada.client.account()).accountId), relay.account((await eve.client.account()).accountId)];
    adas.signed = eves.signed;
    const lane = new Lane();
    const deps = { store: ada.client.store, engine: new NodeSignalEngine(), clock: systemClock, api: new IdentifiedApi(identifiedLane(lane).http, relay.url) };
    await expect(refillPreKeys(deps, 30)).rejects.toMatchObject({ code: 'foreign_keys' });
    await expect(refillPreKeys(deps, 30)).rejects.toBeInstanceOf(NotTrusted);
    lane.close();
  });
});

describe('the own certificate', () => {
  const fetches = (): number => relay.log.requests.filter((request) => request.endsWith('/v1/sender-certificate')).length;

  test('is fetched once for many messages and people, and kept over a restart', async () => {
    const [ada, bob, eve] = [await member('Ada'), await member('Bob'), await member('Eve')];
    for (const other of [bob, eve]) await ada.client.addContact(await other.client.card());
    for (let i = 0; i < 3; i += 1) for (const to of ['Bob', 'Eve']) await ada.client.send(to, `${i}`);
    await until('sent', async () => (await ada.client.store.messages.counts()).sent === 6);
    expect(fetches()).toBe(1);
    await ada.close();
    opened.splice(opened.indexOf(ada), 1);
    const again = await open(ada.directory);
    await again.client.send('Bob', 'more');
    await until('sent', async () => (await again.client.store.messages.counts()).sent === 7);
    expect(fetches()).toBe(1);
  });

  test('is renewed when little of its life is left', async () => {
    relay.certificateLifeS = 3_600;
    const [ada, bob] = [await member('Ada'), await member('Bob')];
    await ada.client.addContact(await bob.client.card());
    for (const text of ['one', 'two']) {
      await ada.client.send('Bob', text);
      await until('sent', async () => (await ada.client.store.outbox.peers()).length === 0);
    }
    expect(fetches()).toBe(2);
  });

  test('of a relay that the invite does not vouch for is not used: nothing leaves', async () => {
    const other = await FakeRelay.start();
    const invite = relay.invite().replace(/&t=.*/, `&t=${other.trustRoot}`);
    const ada = await TestClient.join(invite, 'Ada');
    opened.push(ada);
    const bob = await member('Bob');
    await ada.client.addContact(await bob.client.card());
    await ada.client.send('Bob', 'x');
    await until('it is told', () => ada.events.some((event) => event.kind === 'trouble' && event.what.includes('trust root')));
    expect(relay.log.posts).toEqual([]);
    await other.stop();
  });
});

describe('files', () => {
  test('no file holds a text, a name or a key in plain', async () => {
    const [ada, bob] = [await member('CanaryName'), await member('Bob')];
    await ada.client.addContact(await bob.client.card());
    await ada.client.send('Bob', 'canary-of-the-coal-mine');
    await bob.client.start({ receive: true });
    await until('read', async () => (await bob.texts()).length === 1);
    const { secret, identity } = await bob.client.account();
    let files = 0;
    const check = (): void => {
      for (const directory of [ada.directory, bob.directory]) {
        for (const file of readdirSync(directory)) {
          const content = readFileSync(path.join(directory, file));
          files += 1;
          expect(content.subarray(0, 15).toString('latin1'), file).not.toBe('SQLite format 3');
          for (const canary of ['canary-of-the-coal-mine', 'CanaryName', 'CREATE TABLE']) expect(content.includes(canary), `${canary} in ${file}`).toBe(false);
          for (const key of [secret, identity]) expect(content.includes(Buffer.from(key)), `a key in ${file}`).toBe(false);
        }
      }
    };
    check(); // with the write-ahead log
    for (const client of [ada, bob]) await client.close();
    opened.splice(0);
    check(); // folded back
    expect(files).toBeGreaterThanOrEqual(5);
    for (const client of [ada, bob]) removeDirectory(client.directory);
  });

  test('the canary check can fail: an unencrypted database shows its content', async () => {
    const { default: Driver } = await import('better-sqlite3-multiple-ciphers');
    const directory = temporaryDirectory();
    const plain = new Driver(path.join(directory, 'plain.db'));
    plain.exec(`CREATE TABLE t (x); INSERT INTO t VALUES ('canary-of-the-coal-mine')`);
    plain.close();
    expect(readFileSync(path.join(directory, 'plain.db')).includes('canary-of-the-coal-mine')).toBe(true);
    removeDirectory(directory);
  });

  test('another key does not open it', async () => {
    const ada = await member('Ada');
    const file = path.join(ada.directory, 'messages.db');
    await ada.close();
    opened.splice(0);
    expect(() => openDatabase(file, new Uint8Array(32))).toThrow(CannotDo);
    removeDirectory(ada.directory);
  });

  test('a list of statements is written whole or not at all', async () => {
    const directory = temporaryDirectory();
    const database = openDatabase(path.join(directory, 'x.db'), TEST_KEY);
    await database.write([{ sql: 'CREATE TABLE t (x INTEGER PRIMARY KEY)' }]);
    const insert = { sql: 'INSERT INTO t VALUES (:x)', params: { x: 1 } };
    await expect(database.write([insert, insert])).rejects.toThrow();
    expect(await database.read({ sql: 'SELECT * FROM t' })).toEqual([]);
    await database.close();
    removeDirectory(directory);
  });

  test('a newer schema is left alone', async () => {
    const ada = await member('Ada');
    await ada.close();
    opened.splice(0);
    const database = openDatabase(path.join(ada.directory, 'messages.db'), TEST_KEY);
    await database.write([{ sql: 'PRAGMA user_version = 99' }]);
    await database.close();
    await expect(TestClient.open(ada.directory)).rejects.toMatchObject({ code: 'newer_database' });
    removeDirectory(ada.directory);
  });

  test('the key file is for its owner only, and survives being written again', async () => {
    const directory = temporaryDirectory();
    const vault = fileKeyVault(directory);
    expect(await vault.get('database')).toBeNull();
    await vault.put('database', Uint8Array.of(1, 2));
    await vault.put('database', Uint8Array.of(3));
    expect(await vault.get('database')).toEqual(Uint8Array.of(3));
    expect(statSync(path.join(directory, 'database.key')).mode & 0o777).toBe(0o600);
    expect(existsSync(path.join(directory, 'database.key.new'))).toBe(false);
    removeDirectory(directory);
  });

  test('a directory belongs to one process at a time', () => {
    const directory = temporaryDirectory();
    const release = lockDirectory(path.join(directory, 'lock'));
    expect(() => lockDirectory(path.join(directory, 'lock'))).toThrow('another process');
    release();
    lockDirectory(path.join(directory, 'lock'))();
    removeDirectory(directory);
  });
});
