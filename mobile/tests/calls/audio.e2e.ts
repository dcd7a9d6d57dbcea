/** Real voices through Debian's coturn: run by `make calls`, and in a short version by `make test`. */
import { networkInterfaces } from 'node:os';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { until } from '../support/clients.ts';
import { acquainted, nothingLeft, talk } from './callers.ts';
import type { Caller } from './callers.ts';
import { openSite, TURN_HOST } from './coturn.ts';
import type { Site } from './coturn.ts';
import { HEARD, SILENT, tone } from './voices.ts';

const [ADA_HZ, BOB_HZ] = [440, 1_000];

let site: Site;
let ada: Caller;
let bob: Caller;

beforeAll(async () => {
  site = await openSite();
  [ada, bob] = await acquainted(site.relay, () => tone(ADA_HZ), () => tone(BOB_HZ));
}, 180_000);

afterAll(async () => {
  await ada?.close();
  await bob?.close();
  await site?.close();
});

async function heardBothWays(): Promise<void> {
  await until('Bob hears Ada', () => bob.voice.hears(ADA_HZ) > HEARD);
  await until('Ada hears Bob', () => ada.voice.hears(BOB_HZ) > HEARD);
}

test('a tone goes each way, through the TURN server alone', async () => {
  await ada.app.startCall(bob.id);
  await until('it rings', () => bob.ringing.size === 1);
  await until('Ada knows', async () => (await ada.state()) === 'ringing');
  // Nobody has accepted: no candidate, no microphone, and at the one who is called not even a connection.
  expect([ada.signals('ice'), bob.signals('ice'), ada.voice.microphoneOpened, bob.voice.microphoneOpened, bob.peers.open]).toEqual([[], [], 0, 0, 0]);
  await bob.answer();
  await heardBothWays();
  expect(bob.voice.hears(BOB_HZ)).toBeLessThan(HEARD / 1_000); // what is heard is the other one, no echo of oneself
  expect(ada.voice.hears(ADA_HZ)).toBeLessThan(HEARD / 1_000);
  for (const caller of [ada, bob]) {
    expect(await caller.current()).toMatchObject({ state: 'connected', relayOnly: true, verified: true, muted: false });
    const stats = await caller.peers.stats();
    const pair = stats.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated === true && state === 'succeeded');
    const used = stats.filter(({ id }) => id === pair?.['localCandidateId'] || id === pair?.['remoteCandidateId']);
    expect(used.map(({ candidateType }) => candidateType)).not.toContain('host');
    expect(used.map(({ candidateType }) => candidateType)).not.toContain('srflx');
  }
});

test('the voice is constant in size: 240 bytes every 60 ms, whatever is said, and no header extensions', async () => {
  const sent = async (): Promise<readonly number[]> => {
    const out = (await ada.peers.stats()).find(({ type }) => type === 'outbound-rtp');
    return ['packetsSent', 'bytesSent', 'headerBytesSent'].map((name) => Number(out?.[name]));
  };
  const [packets = 0, bytes = 0, headers = 0] = await sent();
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await ada.app.setMuted((await ada.current()).id, true);
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // silence is as large as speech
  const [morePackets = 0, moreBytes = 0, moreHeaders = 0] = await sent();
  const seconds = (performance.now() - began) / 1_000;
  expect(moreBytes - bytes).toBe(240 * (morePackets - packets));
  expect(moreHeaders - headers).toBe(12 * (morePackets - packets));
  expect((morePackets - packets) / seconds).toBeGreaterThan(12); // 16.7 on an idle machine
  expect((morePackets - packets) / seconds).toBeLessThan(21);
  await ada.app.setMuted((await ada.current()).id, false);
});

test('muted is silent, at once and until it is not', async () => {
  await heardBothWays();
  const { id } = await ada.current();
  await ada.app.setMuted(id, true);
  await until('Bob hears nothing', () => bob.voice.hears(ADA_HZ) < SILENT);
  expect((await ada.current()).muted).toBe(true);
  expect(ada.voice.hears(BOB_HZ)).toBeGreaterThan(HEARD); // and still hears
  await ada.app.setMuted(id, false);
  await until('Bob hears Ada again', () => bob.voice.hears(ADA_HZ) > HEARD);
});

test('another network: ICE starts again and the voices go on', async () => {
  const before = ada.signals('offer').length;
  bob.app.voice.networkChanged(); // whoever it is, the caller makes the offer
  await until('a new offer', () => ada.signals('offer').length > before);
  await until('new candidates', () => bob.signals('ice').some((text) => text.includes('"generation":1')));
  await heardBothWays();
});

test('quality is known', async () => {
  await until('figures', async () => (await ada.app.call())?.quality !== null, 30_000);
  const { quality } = await ada.current();
  expect(quality?.lossPercent).toBeLessThan(50);
  expect(quality?.roundTripMs).toBeLessThan(5_000);
});

test('starting once more does not take a call that stands for a dead one', async () => {
  await ada.app.start(); // the screens, beside the task that keeps the mailbox
  expect(await ada.current()).toMatchObject({ state: 'connected' });
  await heardBothWays();
});

test('after hanging up nothing is left, and both logs have one row', async () => {
  await bob.hangUp();
  await nothingLeft(ada, bob);
  const [[out], [into]] = [await ada.app.calls(), await bob.app.calls()];
  expect(out).toMatchObject({ outgoing: true, outcome: 'answered', name: 'Bob' });
  expect(into).toMatchObject({ outgoing: false, outcome: 'answered', name: 'Ada' });
  expect(into?.seconds).toBeGreaterThan(1);
  const lines = (await bob.app.messages(ada.id, { before: null, limit: 50 })).messages.filter(({ kind }) => kind === 'call');
  expect(lines).toHaveLength(1);
});

test('nothing that was sealed holds an address of this machine, or any candidate but those of the TURN server', () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  for (const caller of [ada, bob]) {
    const candidates = caller.signals('ice').flatMap((text) => [...text.matchAll(/candidate:[^"]+/g)].map(([found]) => found));
    expect(candidates.length).toBeGreaterThan(0);
    for (const candidate of candidates) {
      expect(candidate).toMatch(/ typ relay raddr 0\.0\.0\.0 rport 0 /);
      expect(candidate.split(' ')[4]).toBe(TURN_HOST);
    }
    for (const text of caller.said) {
      const rest = text.replaceAll('o=- ', '').replaceAll('2 IN IP4 127.0.0.1', ''); // the same in every description that was ever made
      for (const address of own) expect(rest).not.toContain(address);
    }
  }
});

test('declined, busy and unanswered calls leave their rows', async () => {
  await ada.app.startCall(bob.id);
  await until('it rings', () => bob.ringing.size === 1);
  await bob.hangUp();
  await nothingLeft(ada, bob);
  expect((await ada.app.calls()).map(({ outcome }) => outcome)).toContain('declined');
  await ada.app.startCall(bob.id);
  await until('it rings', () => bob.ringing.size === 1);
  await ada.hangUp();
  await nothingLeft(ada, bob);
  await until('a missed call', async () => (await bob.app.calls()).some(({ outcome }) => outcome === 'missed'));
  expect((await ada.app.calls()).map(({ outcome }) => outcome)).toContain('no_answer');
  expect((await bob.app.conversation(ada.id)).unread).toBe(1);
});

test('a relay that is killed and started again in a call does not end it', async () => {
  await talk(ada, bob);
  await heardBothWays();
  await site.relay.crash();
  await heardBothWays();
  await until('the connection stands again', async () => (await ada.app.connection()).caughtUp && (await bob.app.connection()).caughtUp, 90_000);
  await heardBothWays();
  await bob.hangUp();
  await nothingLeft(ada, bob);
});

test('a TURN server that is killed and started again does not end a call', async () => {
  await talk(ada, bob);
  await heardBothWays();
  await site.turn.stop();
  await until('the loss is noticed', async () => (await ada.state()) === 'reconnecting', 60_000);
  await site.turn.start();
  await until('both are connected again', async () => (await ada.state()) === 'connected' && (await bob.state()) === 'connected', 60_000);
  await heardBothWays();
  await ada.hangUp();
  await nothingLeft(ada, bob);
});
