/**
 * How somebody stands to a member: request, blocked, pinned, verified, and an identity key that may change. The rules cross each other, so they are
 * tried in random order against a model that is written down apart from the code. Real tables, no network.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openApp } from '../src/core/app.ts';
import type { App } from '../src/core/app.ts';
import { RelayUnreachable } from '../src/core/errors.ts';
import { writeContactLink } from '../src/core/links.ts';
import type { ContactView } from '../src/core/messenger.ts';
import type { Database } from '../src/core/ports.ts';
import { openScratch } from '../src/node/database.ts';
import { systemRandom } from '../src/node/machine.ts';
import { NodeSignalEngine } from '../src/node/signal_engine.ts';

const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';
const ADA = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01';
const engine = new NodeSignalEngine();
const away = () => Promise.reject(new RelayUnreachable('no network in this test'));
const shut = { open: () => ({ send: () => undefined, close: () => undefined }) };

let database: Database;
let app: App;
let keys: readonly Uint8Array[];

beforeAll(async () => {
  database = openScratch();
  const machine = { database, engine, random: systemRandom, clock: { now: () => Date.now(), after: () => () => undefined } };
  app = await openApp({ ...machine, identified: { http: { request: away }, sockets: shut }, anonymous: { http: { request: away }, sockets: shut } });
  const { identity, publicKey } = await engine.generateIdentity();
  keys = await Promise.all([0, 1, 2].map(async () => (await engine.generateIdentity()).publicKey));
  const own = { relayUrl: 'https://relay.example', trustRoot: new Uint8Array(33), inviteCode: 'x'.repeat(24), name: 'Ada', secret: new Uint8Array(32), recoveryCode: new Uint8Array(32) };
  const { store } = app.client;
  await store.write([
    store.account.create({ ...own, identity, identityKey: publicKey, registrationId: 1, contactAccessKey: new Uint8Array(16), nextKeyId: 1 }),
    store.account.registered(ADA),
  ]);
});

afterAll(async () => {
  await app.stop();
  await database.close();
});

interface Model {
  key: number;
  identity: ContactView['identity'];
  /** The key came from the person, not from the relay. */
  pinned: boolean;
  verified: boolean;
  request: boolean;
  blocked: boolean;
}

type Step =
  | { readonly do: 'card' | 'scan' | 'hear'; readonly key: number }
  | { readonly do: 'accept' | 'block' | 'unblock' | 'verify' | 'unverify' | 'confirm' | 'write' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('card' as const, 'scan' as const), key: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('hear' as const), key: fc.nat(2) }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constantFrom('write' as const, 'write' as const, 'accept' as const, 'block' as const, 'unblock' as const, 'verify' as const, 'unverify' as const, 'confirm' as const, 'write' as const) }) },
);

/** What should come of it; null: refused, and nothing is different. */
function expected(model: Model | null, act: Step): Model | null {
  switch (act.do) {
    case 'card':
    case 'scan': {
      if (model && model.key !== act.key) return null;
      const before = model ?? { key: act.key, identity: 'same' as const, pinned: false, verified: false, request: false, blocked: false };
      // A link vouches for a key, but only a scan from their screen says that a person looked.
      return { ...before, pinned: true, request: false, ...(act.do === 'scan' && { verified: true, identity: 'same' as const }) };
    }
    case 'hear':
      if (!model) return { key: act.key, identity: 'same', pinned: false, verified: false, request: true, blocked: false };
      if (model.key === act.key) return model;
      return { ...model, key: act.key, identity: model.pinned || model.verified || model.identity === 'unconfirmed' ? 'unconfirmed' : 'changed', pinned: false, verified: false };
    case 'write':
      return model && !model.blocked && model.identity !== 'unconfirmed' ? { ...model, request: false } : null;
    case 'accept':
      return model && { ...model, request: false };
    case 'block':
    case 'unblock':
      return model && { ...model, blocked: act.do === 'block' };
    case 'verify':
      return model && { ...model, verified: true, identity: 'same' };
    case 'unverify':
      return model && { ...model, verified: false };
    case 'confirm':
      return model && { ...model, identity: 'same' };
  }
}

/** As receiving does it for a message that was read under this key (opening.ts). */
async function hear(key: Uint8Array): Promise<void> {
  const { store } = app.client;
  const contact = await store.people.get(BOB);
  const changed = contact?.identityKey && !Buffer.from(contact.identityKey).equals(Buffer.from(key));
  await store.write([
    ...(changed ? [store.people.changeIdentity(BOB, key)] : []),
    store.people.save({ account: BOB, identityKey: key, accessKey: new Uint8Array(16), answered: true, ...(contact ? {} : { request: true }) }),
  ]);
}

async function perform(act: Step): Promise<void> {
  const key = 'key' in act ? (keys[act.key] ?? new Uint8Array()) : new Uint8Array();
  if (act.do === 'card' || act.do === 'scan') {
    await app.addByCard(writeContactLink({ account: BOB, identityKey: key, accessKey: new Uint8Array(16), name: 'Bob' }), act.do === 'scan');
  } else if (act.do === 'hear') await hear(key);
  else if (act.do === 'write') await app.send(BOB, { text: 'x', quotes: null });
  else if (act.do === 'verify' || act.do === 'unverify') await app.setVerified(BOB, act.do === 'verify');
  else await { accept: app.acceptRequest, block: app.block, unblock: app.unblock, confirm: app.confirmIdentity }[act.do](BOB);
}

async function standing(): Promise<Omit<Model, 'pinned'> | null> {
  const contact = await app.client.store.people.get(BOB);
  if (!contact) return null;
  const { verified, request, blocked, identity } = await app.contact(BOB);
  return { key: keys.findIndex((key) => Buffer.from(key).equals(Buffer.from(contact.identityKey ?? []))), identity, verified, request, blocked };
}

test('whatever the order, they stand as the rules say, and nobody is written to whom a person has not seen', async () => {
  let written = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      await database.write(['contact', 'message', 'outbox', 'conversation', 'access_change'].map((table) => ({ sql: `DELETE FROM ${table}` })));
      let model: Model | null = null;
      /** Another key came for somebody whose key a person had vouched for, and no person has looked since. */
      let unseen = false;
      for (const act of steps) {
        const after: Model | null = expected(model, act);
        const refused = await perform(act).then(
          () => false,
          () => true,
        );
        expect(refused, JSON.stringify(act)).toBe(after === null);
        const vouched: boolean = model !== null && (model.pinned || model.verified);
        if (act.do === 'hear' && vouched && model?.key !== act.key) unseen = true;
        if (after && (act.do === 'scan' || act.do === 'verify' || act.do === 'confirm')) unseen = false;
        model = after ?? model;
        const found = await standing();
        const { pinned: _, ...wanted } = model ?? { pinned: false };
        expect(found, JSON.stringify(act)).toEqual(model && wanted);

        if (model?.verified) expect(model.identity).toBe('same');
        if (act.do !== 'write' || refused) continue;
        written += 1;
        expect(unseen || model?.blocked, JSON.stringify(steps)).toBe(false);
      }
    }),
    { numRuns: 400 },
  );
  expect(written).toBeGreaterThan(30); // 60 to 150 usually
}, 120_000);

test('a key is verified only if it is the one that was compared: another may come while a person looks', async () => {
  await database.write([{ sql: 'DELETE FROM contact' }]);
  const [first, second] = keys as [Uint8Array, Uint8Array];
  await hear(first);
  const { store } = app.client;
  await hear(second);
  await store.write([store.people.verify(BOB, first)]); // the comparison was of the first
  expect(await app.contact(BOB)).toMatchObject({ verified: false, identity: 'changed' });
});
