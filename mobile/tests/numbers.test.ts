/** Joining with a number, being found by it, and who may write: against the fake relay, killed at every step. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Client } from '../src/core/client.ts';
import { DISCOVERY_DEFAULTS } from '../src/core/discovery/discovery.ts';
import type { BookEntry, DiscoveryProgress, DiscoverySettings } from '../src/core/discovery/discovery.ts';
import { NotTrusted, RelayUnreachable } from '../src/core/errors.ts';
import { parseInvite } from '../src/core/links.ts';
import { FakeRelay } from './relay/fake_relay.ts';
import { removeDirectory, temporaryDirectory, TestClient, until } from './support/clients.ts';
import { killedAtEveryStep } from './support/mortal.ts';

let relay: FakeRelay;
const opened: TestClient[] = [];
const directories: string[] = [];

async function open(directory = temporaryDirectory()): Promise<TestClient> {
  const client = await TestClient.open(directory, 2);
  opened.push(client);
  directories.push(directory);
  return client;
}

const numberOf = (n: number): string => `+4915110${String(n).padStart(6, '0')}`;

async function member(name: string, number: string | null): Promise<TestClient> {
  const client = await open();
  await client.client.join(relay.invite(), name, undefined, number);
  return client;
}

beforeEach(async () => {
  relay = await FakeRelay.start();
});

afterEach(async () => {
  for (const client of opened.splice(0)) await client.close();
  for (const directory of directories.splice(0)) removeDirectory(directory);
  await relay.stop();
});

const requests = (call: string): number => relay.log.requests.filter((one) => one === call).length;

describe('joining with a number', () => {
  test('the relay gets a token and the hash of a key, and neither number nor salt', async () => {
    const steps: string[] = [];
    const ada = await open();
    await ada.client.join(relay.invite(), 'Ada', (step) => steps.push(step), numberOf(1));
    expect(steps).toEqual(['keys', 'number', 'request', 'registered']);
    const account = relay.account((await ada.client.account()).accountId);
    const own = await ada.client.discovery.ownNumber();
    expect(own?.number).toBe(numberOf(1));
    expect(account.phoneToken).toBe(Buffer.from(own?.secrets?.phoneToken ?? []).toString('base64url'));
    expect(account.numberHash).not.toBeNull();
    const told = JSON.stringify([relay.accounts().map(({ phoneToken, numberHash }) => [phoneToken, numberHash]), relay.numbers.log]);
    expect(told).not.toContain(numberOf(1));
    expect(told).not.toContain(Buffer.from(relay.numbers.appSalt).toString('base64url'));
  });

  test('two members with one number in turn get one token; different ones differ', async () => {
    const [ada, bob] = [await member('Ada', numberOf(1)), await member('Bob', numberOf(2))];
    const tokens = relay.accounts().map(({ phoneToken }) => phoneToken);
    expect(new Set(tokens).size).toBe(2);
    await expect(member('Eve', numberOf(1))).rejects.toMatchObject({ code: 'number_taken' });
    expect([ada, bob]).toHaveLength(2);
  });

  test('a taken number says what to do, and the same invite joins without one, or with another', async () => {
    await member('Ada', numberOf(1));
    for (const [name, instead] of [['Bob', null], ['Eve', numberOf(2)]] as const) {
      const client = await open();
      const invite = relay.invite();
      await expect(client.client.join(invite, name, undefined, numberOf(1))).rejects.toMatchObject({ code: 'number_taken', message: expect.stringContaining('recovery code') });
      const { accountId } = await client.client.join(invite, name, undefined, instead);
      expect(relay.account(accountId ?? '').phoneToken === null).toBe(instead === null);
      expect((await client.client.discovery.ownNumber())?.number ?? null).toBe(instead);
    }
  });

  test('what is no number, or an invite without keys for numbers, is refused before anything is made', async () => {
    const ada = await open();
    await expect(ada.client.join(relay.invite(), 'Ada', undefined, '0151 1234567')).rejects.toMatchObject({ code: 'bad_number' });
    const plain = relay.invite().replace(/&v=.*/, '');
    expect(parseInvite(plain).discovery).toBeNull();
    await expect(ada.client.join(plain, 'Ada', undefined, numberOf(1))).rejects.toMatchObject({ code: 'no_discovery' });
    expect(relay.log.requests).toEqual([]);
    await ada.client.join(plain, 'Ada');
    await expect(ada.client.discover([{ number: numberOf(2), name: null }])).rejects.toMatchObject({ code: 'no_discovery' });
  });

  test('a relay that evaluates with another key is caught: nothing is stored, nothing is sent on', async () => {
    relay.numbers.faults.foreignKey = 1;
    const ada = await open();
    const invite = relay.invite();
    await expect(ada.client.join(invite, 'Ada', undefined, numberOf(1))).rejects.toBeInstanceOf(NotTrusted);
    expect((await ada.client.discovery.ownNumber())?.secrets).toBeNull();
    expect(requests('POST /v1/accounts')).toBe(0);
    await ada.client.join(invite, 'Ada', undefined, numberOf(1)); // an honest answer later is fine
  });

  test('killed at every step: one account with its number, evaluated once it was answered', async () => {
    const invites = new Map<string, string>();
    let invite = '';
    const steps = await killedAtEveryStep(
      async () => {
        const directory = temporaryDirectory();
        directories.push(directory);
        invite = relay.invite();
        invites.set(directory, invite);
        relay.numbers.log.elements.splice(0);
        return directory;
      },
      async (client: Client) => {
        const done = (await client.store.account.get())?.accountId; // killed after the last step: there is nothing left to do
        if (!done) await client.join(invite, 'Ada', undefined, numberOf(invites.size));
      },
      async (directory) => {
        const ada = await open(directory);
        const { accountId } = await ada.client.account();
        const own = await ada.client.discovery.ownNumber();
        const tokens = relay.accounts().filter(({ phoneToken }) => phoneToken === Buffer.from(own?.secrets?.phoneToken ?? []).toString('base64url'));
        expect(tokens.map(({ id }) => id)).toEqual([accountId]);
        expect(relay.accounts()).toHaveLength(invites.size);
        expect(relay.numbers.log.elements.length).toBeLessThanOrEqual(2);
        expect(new Set(relay.numbers.log.elements.flat()).size).toBe(relay.numbers.log.elements.length); // fresh blinds
      },
    );
    expect(steps).toBe(12); // schema, keys and number, evaluation, its answer, registration, its answer; before and after each
  }, 60_000);
});

const SOON: Partial<DiscoverySettings> = { lookUpDelayMs: { least: 1, most: 3 } };
const book = (...numbers: number[]): BookEntry[] => numbers.map((n) => ({ number: numberOf(n), name: `Person ${n}` }));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe('discovery', () => {
  test('finds members, asks for exactly 100 each time, and never for the same number twice', async () => {
    const [ada, bob, eve] = [await member('Ada', numberOf(1)), await member('Bob', numberOf(2)), await member('Eve', numberOf(120))];
    const progress: DiscoveryProgress[] = [];
    const before = relay.numbers.log.elements.length;
    const result = await ada.client.discover(book(...range(1, 131)), { settings: SOON, onProgress: (one) => progress.push(one) });
    const id = async (who: TestClient): Promise<string> => (await who.client.account()).accountId;
    expect(result.found.map(({ number, account }) => [number, account])).toEqual([[numberOf(2), await id(bob)], [numberOf(120), await id(eve)]]);
    expect(result).toMatchObject({ evaluated: 130, lookedUp: 130, left: 0 });
    expect((await ada.client.store.people.all()).map(({ name, account }) => [name, account])).toEqual([['Person 120', await id(eve)], ['Person 2', await id(bob)]]);

    const { elements, tokens, order } = relay.numbers.log;
    expect(elements.slice(before).map((chunk) => chunk.length)).toEqual([25, 25, 25, 25, 25, 5]);
    expect(tokens.map((chunk) => chunk.length)).toEqual([100, 100]);
    expect(new Set(tokens.flat()).size).toBe(200); // padding is random, and no token comes twice
    expect(order.slice(before)).toEqual([...Array.from({ length: 6 }, () => 'evaluate'), 'lookup', 'lookup']);
    expect(progress.filter(({ step, done, total }) => step === 'evaluating' && done === total)).toHaveLength(1);
    expect(progress.filter(({ step }) => step === 'looking_up').map(({ done }) => done)).toEqual([0, 100, 100, 130]);
    for (const port of relay.log.ports.anonymous) expect(relay.log.ports.identified.has(port)).toBe(false);

    await ada.client.discover(book(...range(1, 132)), { settings: SOON });
    expect(relay.numbers.log.elements.at(-1)).toHaveLength(1); // only the new one
    expect(relay.numbers.log.tokens).toHaveLength(3);
    await ada.client.discover(book(...range(1, 132)), { settings: SOON });
    expect(relay.numbers.log.tokens).toHaveLength(3); // nothing to ask
  });

  test('the order of a look-up says nothing of the order of the book', async () => {
    const ada = await member('Ada', null);
    await ada.client.discover(book(...range(1, 60)), { settings: SOON });
    const known = await Promise.all(range(1, 60).map(async (n) => ada.client.discovery.byNumber(numberOf(n))));
    expect(known.every((one) => one?.accessKey)).toBe(true);
    const wanted = await ada.client.discovery.toLookUp(Number.MAX_SAFE_INTEGER);
    const places = wanted.map(({ phoneToken }) => relay.numbers.log.tokens[0]?.indexOf(Buffer.from(phoneToken).toString('base64url')) ?? -1);
    expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...places)).toBeGreaterThan(60); // among the padding
    expect(places).not.toEqual([...places].sort((a, b) => a - b));
  });

  test('who becomes a member later is found by a look-up alone', async () => {
    const ada = await member('Ada', null);
    await ada.client.discover(book(7), { settings: SOON });
    const bob = await member('Bob', numberOf(7));
    const evaluated = relay.numbers.log.elements.length;
    expect((await ada.client.discover(book(7), { settings: SOON })).found).toEqual([]); // not yet time
    const { found } = await ada.client.discover(book(7), { settings: { ...SOON, lookUpAgainAfterS: -1 } });
    expect(found.map(({ account }) => account)).toEqual([(await bob.client.account()).accountId]);
    expect(relay.numbers.log.elements).toHaveLength(evaluated);
  });

  test('a used-up budget is waited for, or left for the next run', async () => {
    const ada = await member('Ada', null);
    await member('Bob', numberOf(30));
    relay.numbers.faults.evaluationsOver = [1];
    const progress: DiscoveryProgress[] = [];
    const waited = await ada.client.discover(book(...range(1, 4)), { settings: SOON, onProgress: (one) => progress.push(one) });
    expect(waited).toMatchObject({ evaluated: 3, left: 0, waitS: null });
    expect(progress).toContainEqual({ step: 'waiting', done: 0, total: 3, waitS: 1 });

    relay.numbers.faults.evaluationsOver = [86_400];
    const left = await ada.client.discover(book(...range(1, 31)), { settings: SOON });
    expect(left).toMatchObject({ evaluated: 0, left: 27, waitS: 86_400, found: [] });
    const next = await ada.client.discover(book(...range(1, 31)), { settings: SOON });
    expect(next).toMatchObject({ evaluated: 27, left: 0 });
    expect(next.found).toHaveLength(1);
  });

  test('another key in the middle of a run: what was good stays, of the rest nothing is stored or looked up', async () => {
    const ada = await member('Ada', null);
    await ada.client.discover(book(1), { settings: SOON });
    relay.numbers.faults.foreignKey = 1;
    const lookedUp = relay.numbers.log.tokens.length;
    await expect(ada.client.discover(book(1, 2, 3), { settings: SOON })).rejects.toMatchObject({ code: 'foreign_oprf_key' });
    expect(await ada.client.discovery.unevaluated()).toEqual([numberOf(2), numberOf(3)]);
    expect(relay.numbers.log.tokens).toHaveLength(lookedUp);
  });

  test('a number that is wrong is named before anything is asked', async () => {
    const ada = await member('Ada', null);
    const before = relay.log.requests.length;
    await expect(ada.client.discover([...book(1), { number: '110', name: 'Police' }])).rejects.toMatchObject({ code: 'bad_number' });
    expect(relay.log.requests).toHaveLength(before);
  });

  test('killed at every step: everybody is found, nothing that was answered is asked again', async () => {
    const bob = await member('Bob', numberOf(5));
    const { accountId } = await bob.client.account();
    const settings = { ...SOON, evaluationChunk: 4 };
    const steps = await killedAtEveryStep(
      async () => {
        const directory = temporaryDirectory();
        const ada = await open(directory);
        await ada.client.join(relay.invite(), 'Ada');
        relay.numbers.log.elements.splice(0);
        return directory;
      },
      (client: Client) => client.discover(book(...range(1, 11)), { settings }),
      async (directory) => {
        const ada = await open(directory);
        expect((await ada.client.discovery.members()).map(({ account }) => account)).toEqual([accountId]);
        expect((await ada.client.store.people.all()).map(({ account }) => account)).toEqual([accountId]);
        expect(await ada.client.discovery.unevaluated()).toEqual([]);
        expect(relay.numbers.log.elements.flat().length).toBeLessThanOrEqual(14); // at most one chunk twice
      },
    );
    expect(steps).toBeGreaterThan(16);
  }, 60_000);

  test('who knows only the number reaches the member, who can answer', async () => {
    const [ada, bob] = [await member('Ada', null), await member('Bob', numberOf(9))];
    await ada.client.discover([{ number: numberOf(9), name: 'Bob from the choir' }], { settings: SOON });
    await ada.client.send(numberOf(9), 'is this you?');
    await bob.client.start({ receive: true });
    await until('Bob reads it', async () => (await bob.texts()).length === 1);
    await ada.client.start({ receive: true });
    await bob.client.send('Ada', 'it is');
    await until('Ada reads it', async () => (await ada.texts()).length === 1);
    expect((await ada.client.findContact('Bob from the choir')).accessKey).toEqual((await bob.client.account()).contactAccessKey); // the better key took over
  });

  test('the own number in the book is no contact', async () => {
    const ada = await member('Ada', numberOf(1));
    expect((await ada.client.discover(book(1), { settings: SOON })).found).toEqual([]);
    expect(await ada.client.store.people.all()).toEqual([]);
  });

  test('the waits that keep the two halves apart are on unless a test turns them off', () => {
    expect(DISCOVERY_DEFAULTS.lookUpDelayMs.least).toBeGreaterThanOrEqual(1_000);
    expect(DISCOVERY_DEFAULTS.lookUpDelayMs.most).toBeGreaterThanOrEqual(5 * DISCOVERY_DEFAULTS.lookUpDelayMs.least);
  });
});

describe('changing who may write', () => {
  const lets = async (who: TestClient, key: Uint8Array | undefined): Promise<boolean> => {
    const { accountId } = await who.client.account();
    const response = await fetch(`${relay.url}/v1/prekeys/${accountId}/take`, { method: 'POST', headers: { 'Access-Key': Buffer.from(key ?? []).toString('base64url') } });
    return response.status === 200;
  };

  test('a new contact key shuts out the old one, strangers are closed out and let in again', async () => {
    const ada = await member('Ada', numberOf(1));
    const { contactAccessKey: old } = await ada.client.account();
    const byNumber = (await ada.client.discovery.ownNumber())?.secrets?.accessKey;
    expect([await lets(ada, old), await lets(ada, byNumber)]).toEqual([true, true]);
    const fresh = await ada.client.changeAccess({ newContactKey: true });
    expect((await ada.client.account()).contactAccessKey).toEqual(fresh);
    expect([await lets(ada, old), await lets(ada, fresh), await lets(ada, byNumber)]).toEqual([false, true, true]);
    await ada.client.changeAccess({ strangers: false });
    expect([await lets(ada, fresh), await lets(ada, byNumber)]).toEqual([true, false]);
    await ada.client.changeAccess({ strangers: true });
    expect(await lets(ada, byNumber)).toBe(true);
    expect(await ada.client.discovery.accessChange()).toBeNull();
  });

  test('without a number nobody can be let in by one', async () => {
    const ada = await member('Ada', null);
    await expect(ada.client.changeAccess({ strangers: true })).rejects.toMatchObject({ code: 'no_number' });
    expect(await ada.client.discovery.accessChange()).toBeNull();
  });

  test('an answer that was lost: the next call goes on with the same key, and so does another wish meanwhile', async () => {
    const ada = await member('Ada', numberOf(1));
    const { contactAccessKey: old } = await ada.client.account();
    relay.faults.loseAnswerOf.push('/v1/account/access');
    await expect(ada.client.changeAccess({ newContactKey: true })).rejects.toBeInstanceOf(RelayUnreachable);
    expect((await ada.client.account()).contactAccessKey).toEqual(old); // not until it was answered
    const planned = await ada.client.discovery.accessChange();
    const fresh = await ada.client.changeAccess({ strangers: false });
    expect(fresh).toEqual(planned?.contactKey);
    expect(await lets(ada, fresh)).toBe(true);
    expect(await lets(ada, (await ada.client.discovery.ownNumber())?.secrets?.accessKey)).toBe(false);
  });

  test('killed at every step: the key on disk is the one that opens', async () => {
    await killedAtEveryStep(
      async () => {
        const directory = temporaryDirectory();
        const ada = await open(directory);
        await ada.client.join(relay.invite(), 'Ada');
        return directory;
      },
      (client) => client.changeAccess({ newContactKey: true }),
      async (directory) => {
        const ada = await open(directory);
        expect(await ada.client.discovery.accessChange()).toBeNull();
        expect(await lets(ada, (await ada.client.account()).contactAccessKey)).toBe(true);
      },
    );
  }, 60_000);
});
