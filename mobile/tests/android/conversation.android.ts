/**
 * The client core on the phone's own ports: Kotlin engine, Kotlin network, mailbox keeper, SQLCipher by expo-sqlite's calls; Android's part is
 * played by a JVM. It talks to a client on Node's ports, through a relay.
 */
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { fakeExpoDatabase } from '../support/expo_sqlite.ts';
import { openPhoneDatabase } from '../../src/phone/database.ts';
import { phoneLanes } from '../../src/phone/lanes.ts';
import { phoneClock, phoneRandom } from '../../src/phone/machine.ts';
import { Native } from '../../src/phone/native.ts';
import { PhoneSignalEngine } from '../../src/phone/signal_engine.ts';
import { openApp } from '../../src/core/app.ts';
import type { App } from '../../src/core/app.ts';
import { FakeRelay } from '../relay/fake_relay.ts';
import { TestApp } from '../support/apps.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY, until } from '../support/clients.ts';
import { startKotlinPhone } from './kotlin_phone.ts';

const module = startKotlinPhone();
const native = new Native(module);
let relay: FakeRelay;
const woken: string[] = [];
const states: string[] = [];

beforeAll(async () => {
  relay = await FakeRelay.start();
  module.addListener('phone', ({ json }) => {
    const { kind, state } = JSON.parse(json) as { kind: string; state?: string };
    if (kind === 'wake') woken.push(kind);
    if (kind === 'delivery' && state) states.push(state);
  });
});
afterAll(async () => {
  await module.stop();
  await relay.stop();
});

const directory = temporaryDirectory();
afterAll(() => removeDirectory(directory));

/** JavaScript of the phone: may come and go while the Kotlin stays. */
async function javaScript(): Promise<{ app: App; close: () => Promise<void> }> {
  const database = await openPhoneDatabase(fakeExpoDatabase(path.join(directory, 'messages.db')), TEST_KEY);
  const app = await openApp({ database, engine: new PhoneSignalEngine(native), clock: phoneClock(native), random: phoneRandom, preKeys: 4, ...phoneLanes(native) });
  return {
    app,
    close: async () => {
      await app.stop();
      await database.close();
    },
  };
}

const texts = async (app: App, peer: string): Promise<(string | null)[]> => (await app.messages(peer, { before: null, limit: 50 })).messages.map(({ text }) => text);

test('a phone joins, talks both ways, sleeps, is woken by its service, and has everything exactly once', async () => {
  await native.call('wanted', { wanted: true });
  await until('the service asks for a login', () => woken.length === 1);

  let phone = await javaScript();
  const { account } = await phone.app.join({ invite: relay.invite(), name: 'Ada', number: null });
  const bob = await TestApp.join(relay.invite(), 'Bob');
  const bobsId = await bob.id();
  await phone.app.addByCard(await bob.app.card(), true);
  await bob.app.addByCard(await phone.app.card(), true);
  await phone.app.start();
  await bob.app.start();

  await phone.app.send(bobsId, { text: 'from the phone', quotes: null });
  await until('Bob has it', async () => (await texts(bob.app, account)).includes('from the phone'));
  await bob.app.send(account, { text: 'from Node', quotes: null });
  await until('the phone has it', async () => (await texts(phone.app, bobsId)).includes('from Node'));
  expect(states).toContain('live');

  // JavaScript dies without a word; the service keeps the mailbox, holds what comes, and wakes it.
  await phone.close();
  await native.call('coreGone');
  woken.length = 0;
  states.length = 0;
  await until('the service is connected by itself', () => states.includes('live'));
  await bob.app.send(account, { text: 'while it slept', quotes: null });
  await bob.app.send(account, { text: 'and another', quotes: null });
  await until('the service wakes the core', () => woken.length === 1);

  phone = await javaScript();
  await phone.app.start();
  await until('both are there', async () => (await texts(phone.app, bobsId)).includes('and another'));
  expect(await texts(phone.app, bobsId)).toEqual(['from the phone', 'from Node', 'while it slept', 'and another']);
  await until('the relay was told', () => relay.account(account).mailbox.length === 0);

  // No TCP connection carried both lanes.
  const { identified, anonymous } = relay.log.ports;
  expect([...identified].filter((port) => anonymous.has(port))).toEqual([]);
  expect([identified.size, anonymous.size].every((count) => count > 1)).toBe(true);
  expect(relay.log.acked).toHaveLength(new Set(relay.log.acked).size); // nothing was acknowledged twice, or by the service

  await phone.close();
  await bob.close();
  removeDirectory(bob.directory);
});
