/** The long ones of `make calls`: how fast a voice is there, ten calls at once, and one for ten minutes with a relay that dies in it. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { until } from '../support/clients.ts';
import { acquainted, nothingLeft, talk } from './callers.ts';
import type { Caller } from './callers.ts';
import { openSite } from './coturn.ts';
import type { Site } from './coturn.ts';
import { figure } from './figures.ts';
import { HEARD, tone } from './voices.ts';

const TIMED_CALLS = 20;
const AT_ONCE = 10;
const MINUTES = Number(process.env['CALL_MINUTES'] ?? 10);
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

const heard = (ear: Caller, hertz: number) => (): boolean => ear.voice.hears(hertz) > HEARD;

test(`from accepting to the first sound, over ${TIMED_CALLS} calls`, { timeout: 600_000 }, async () => {
  const times: number[] = [];
  for (let i = 0; i < TIMED_CALLS; i += 1) {
    bob.voice.firstHeardAt = null;
    await ada.app.startCall(bob.id);
    const acceptedAt = await bob.answer();
    await until('Bob hears something', () => bob.voice.firstHeardAt !== null, 30_000);
    times.push((bob.voice.firstHeardAt ?? 0) - acceptedAt);
    await ada.hangUp();
    await nothingLeft(ada, bob);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
  figure(`accept to first sound, ${TIMED_CALLS} calls through coturn on loopback`, `median ${at(0.5)} ms, fastest ${at(0)}, slowest ${at(1)}`);
  expect(at(0.5)).toBeLessThan(5_000);
});

test('a TURN server that is not there: both ends say so within the connect time', async () => {
  await site.turn.stop();
  await ada.app.startCall(bob.id);
  await bob.answer();
  await until('it has failed', async () => (await ada.app.call())?.state === 'ended', 60_000);
  expect([(await ada.app.call())?.reason, (await bob.app.call())?.reason]).toContain('turn_unreachable');
  await nothingLeft(ada, bob);
  await site.turn.start();
});

test(`${AT_ONCE} calls at once are heard, and one more finds the quota full and says so`, { timeout: 600_000 }, async () => {
  await talk(ada, bob);
  await until('all candidates', () => ada.signals('ice').length > 0);
  // An allocation for each interface of this machine.
  const each = Math.max(...ada.signals('ice').map((text) => text.match(/typ relay/g)?.length ?? 0));
  await ada.hangUp();
  await nothingLeft(ada, bob);
  await site.turn.stop();
  await site.turn.start([`total-quota=${2 * AT_ONCE * each}`]);
  const pairs: (readonly [Caller, Caller])[] = [];
  try {
    for (let i = 0; i < AT_ONCE; i += 1) {
      const pair = await acquainted(site.relay, () => tone(300 + 100 * i), () => tone(350 + 100 * i));
      pairs.push(pair);
      await talk(...pair);
    }
    for (const [i, [one, two]] of pairs.entries()) {
      await until(`call ${i} is heard`, () => heard(two, 300 + 100 * i)() && heard(one, 350 + 100 * i)(), 60_000);
    }
    await ada.app.startCall(bob.id);
    await bob.answer();
    await until('the eleventh fails', async () => (await ada.app.call())?.state === 'ended', 60_000);
    expect([(await ada.app.call())?.reason, (await bob.app.call())?.reason]).toContain('turn_full');
    await nothingLeft(ada, bob);
    for (const [i, [one, two]] of pairs.entries()) {
      await until(`call ${i} is still heard`, () => heard(two, 300 + 100 * i)() && heard(one, 350 + 100 * i)(), 60_000);
    }
    await nothingLeft(ada, bob);
    figure(`${AT_ONCE} calls at once, and one more`, `${AT_ONCE} heard both ways; the next one fails with turn_full`);
  } finally {
    for (const [one, two] of pairs) {
      await one.hangUp();
      await nothingLeft(one, two);
      await one.close();
      await two.close();
    }
    await site.turn.stop();
    await site.turn.start();
  }
});

test(`${MINUTES} minutes, with a relay that is killed in the middle, are heard to the end`, { timeout: MINUTES * 60_000 + 300_000 }, async () => {
  await talk(ada, bob);
  await until('both ways', () => heard(bob, ADA_HZ)() && heard(ada, BOB_HZ)());
  const [began, lasts] = [performance.now(), MINUTES * 60_000];
  let silent = 0;
  let looks = 0;
  let killed: Promise<void> | null = null;
  while (performance.now() - began < lasts) {
    if (!killed && performance.now() - began > lasts / 2) killed = site.relay.crash();
    await new Promise((resolve) => setTimeout(resolve, 500));
    looks += 1;
    if (!heard(bob, ADA_HZ)() || !heard(ada, BOB_HZ)()) silent += 1;
  }
  await killed;
  figure(`a call of ${MINUTES} min, the relay killed in the middle`, `${looks} looks, a voice missing in ${silent}`);
  expect(silent / looks).toBeLessThan(0.05); // half a second is a tenth of a look: a busy machine may starve the microphone for once
  expect(await ada.current()).toMatchObject({ state: 'connected' });
  await ada.hangUp();
  await nothingLeft(ada, bob);
});
