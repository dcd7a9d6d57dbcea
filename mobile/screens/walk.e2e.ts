/**
 * A walk through the app as somebody takes it: join by invite, write a first message, compare safety numbers, answer a call.
 * The screens are the web export in Chromium; behind them is the real core in this process, through the bridge, with the real
 * relay and a friend who has a core of their own. `npm run export:web` comes first.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { serveMessenger } from '../src/bridge/server.ts';
import type { Bridge } from '../src/bridge/server.ts';
import { systemRandom } from '../src/node/machine.ts';
import { NodePeerConnections } from '../src/node/peer_connections.ts';
import { tone, Voice } from '../tests/calls/voices.ts';
import { startRealRelay } from '../tests/relay/real_relay.ts';
import type { RealRelay } from '../tests/relay/real_relay.ts';
import { TestApp } from '../tests/support/apps.ts';
import { removeDirectory, until } from '../tests/support/clients.ts';
import { launch, phone } from './browser.ts';
import { serve } from './serve.ts';
import type { Served } from './serve.ts';

const EXPORT = path.resolve(import.meta.dirname, '../dist/web');
const PATIENCE_MS = 60_000;

let relay: RealRelay;
let mine: TestApp;
let friend: TestApp;
let bridge: Bridge;
let served: Served;
let browser: Browser;
let page: Page;
const broken: string[] = [];

const calls = () => ({ peers: new NodePeerConnections(new Voice(() => tone(440))), ringer: { ring: () => undefined, stop: () => undefined } });

beforeAll(async () => {
  if (!existsSync(path.join(EXPORT, 'index.html'))) throw new Error('no web export: npm run export:web comes first');
  relay = await startRealRelay();
  mine = await TestApp.open(undefined, { calls: calls() });
  friend = await TestApp.join(await relay.invite(), 'Marta', undefined, { calls: calls() });
  await friend.app.changeSettings({ directCalls: true });
  await friend.app.start();
  bridge = await serveMessenger(mine.app, { random: systemRandom });
  served = await serve(EXPORT);
  browser = await launch();
  page = await (await phone(browser)).newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('pageerror', (error) => broken.push(error.message));
  await page.goto(`${served.url}/?bridge=${encodeURIComponent(bridge.url)}&token=${bridge.token()}`);
});

afterAll(async () => {
  await browser?.close();
  await served?.close();
  await bridge?.close();
  for (const app of [mine, friend]) {
    await app?.close();
    if (app) removeDirectory(app.directory);
  }
  await relay?.stop();
});

/** What is on the screen; screens below it in the stack stay in the page, hidden. */
const seen = (id: string) => page.getByTestId(id).filter({ visible: true }).last();
const says = (words: string | RegExp) => page.getByText(words).filter({ visible: true }).last();

test('join: invite, name, keys, recovery code written down and confirmed', async () => {
  await seen('join').click();
  await seen('invite').fill(await relay.invite());
  await seen('next').click();
  await seen('name').fill('Nadia');
  await seen('join-now').click();
  await seen('written').waitFor();
  const code = await mine.app.recoveryCode();
  await seen('written').click();
  await seen('code').fill(code.toLowerCase());
  await seen('check').click();
  await says('It is quiet here').waitFor();
  expect(await mine.app.account()).toMatchObject({ name: 'Nadia', recoveryConfirmed: true });
});

test('a first message: add by link, write, and the answer comes in', async () => {
  await says('New chat').click();
  await seen('add-link').click();
  await seen('contact-link').fill(await friend.app.card());
  await seen('add').click();
  await seen('compose').fill('Good evening, Marta');
  await seen('send').click();
  const me = await mine.id();
  await until('the friend has it', async () => (await friend.app.conversations({ archived: false })).some(({ peer, preview }) => peer === me && preview?.text === 'Good evening, Marta'), PATIENCE_MS);
  await friend.app.acceptRequest(me);
  await friend.app.send(me, { text: 'Good evening to you', quotes: null });
  await says('Good evening to you').waitFor();
  await until('it is read', async () => (await mine.app.conversation(await friend.id())).unread === 0, PATIENCE_MS);
});

test('the safety number: both see the same, and the scanned code verifies', async () => {
  await seen('chat-header').click();
  await seen('safety').click();
  const theirs = await friend.app.safetyNumber(await mine.id());
  for (const group of theirs.groups) await says(group).waitFor();
  await seen('scan').click();
  await page.getByText('Hold the camera over the safety code').filter({ visible: true }).waitFor();
  await page.evaluate((code) => window.dispatchEvent(new CustomEvent('scanned', { detail: code })), theirs.code);
  await says('It fits. Marta is verified.').waitFor();
  expect((await mine.app.contact(await friend.id())).verified).toBe(true);
});

test('a call comes in, is answered and ended', async () => {
  await mine.app.changeSettings({ directCalls: true });
  await friend.app.startCall(await mine.id());
  await seen('answer').waitFor();
  await says('Incoming call').waitFor();
  await seen('answer').click();
  await until('both are connected', async () => (await friend.app.call())?.state === 'connected' && (await mine.app.call())?.state === 'connected', PATIENCE_MS);
  await says('Encrypted, with somebody you verified').waitFor();
  await says('Direct: they can see your network address').waitFor();
  await seen('mute').click();
  await until('muted', async () => (await mine.app.call())?.muted === true, PATIENCE_MS);
  await seen('hang-up').click();
  await until('it is over', async () => [null, undefined, 'ended'].includes((await friend.app.call())?.state), PATIENCE_MS);
  expect((await mine.app.calls())[0]).toMatchObject({ outgoing: false, outcome: 'answered' });
});

test('no screen threw on the way', () => {
  expect(broken).toEqual([]);
});
