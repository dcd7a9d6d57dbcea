/** Each case of a call by itself, on a network that does what the case says. */
import { expect, test } from 'vitest';

import { turn } from '../../src/core/calls/machine.ts';
import { CONNECT_MS, RECONNECT_MS, RING_MS } from '../../src/core/calls/events.ts';
import type { CallEvent, Effect, Signal } from '../../src/core/calls/events.ts';
import { IDLE, MOST_CANDIDATES } from '../../src/core/calls/state.ts';
import type { CallState } from '../../src/core/calls/state.ts';
import { World } from './model.ts';
import type { Faults, Name } from './model.ts';

const PERFECT: Faults = { loss: 0, doubling: 0, slowestMs: 20 };

function world(faults: Partial<Faults> = {}, seed = 7): World {
  return new World(seed, { ...PERFECT, ...faults });
}

function phases(w: World): readonly (string | null)[] {
  return [w.ends.ada.state.call?.phase ?? null, w.ends.bob.state.call?.phase ?? null];
}

/** Ada calls, Bob accepts after two seconds. */
function talking(w: World): World {
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(2_000);
  w.act('bob', { kind: 'accept' });
  w.run(1_500);
  expect(phases(w)).toEqual(['connected', 'connected']);
  return w;
}

function outcomes(w: World, call = '500-call'): readonly unknown[] {
  return [w.ends.ada.log.get(call)?.outcome, w.ends.bob.log.get(call)?.outcome];
}

/** Nothing is left, and both know the same. */
function over(w: World, reasons?: readonly [string, string]): void {
  expect(phases(w)).toEqual([null, null]);
  if (reasons) expect([w.ends.ada.state.last?.reason, w.ends.bob.state.last?.reason]).toEqual(reasons);
  expect(w.verdict()).toEqual([]);
  for (const end of [w.ends.ada, w.ends.bob]) expect([end.peer, end.microphones.size, end.ringing.size, end.timers.size]).toEqual([null, 0, 0, 0]);
}

test('a call: dial, ring, accept, talk, hang up', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(500);
  expect(phases(w)).toEqual(['ringing', 'ringing']);
  expect(w.ends.bob.ringing.size).toBe(1);
  expect([w.ends.ada.microphones.size, w.ends.bob.peer]).toEqual([0, null]); // nothing is opened or gathered yet
  w.act('bob', { kind: 'accept' });
  w.run(1_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
  expect(w.flows()).toBe(true);
  w.run(600_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
  w.act('bob', { kind: 'hang_up' });
  w.run(1_000);
  over(w, ['they_hung_up', 'hung_up']);
  expect(outcomes(w)).toEqual(['answered', 'answered']);
});

test('declined', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(500);
  w.act('bob', { kind: 'hang_up' });
  w.run(500);
  over(w, ['they_declined', 'declined']);
  expect(outcomes(w)).toEqual(['declined', 'declined']);
});

test('a decline that was lost is said again to who still rings', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(5);
  w.faults = { ...PERFECT, slowestMs: 1 };
  w.run(300);
  w.faults = { ...PERFECT, loss: 1 };
  w.act('bob', { kind: 'hang_up' });
  w.run(100);
  w.faults = PERFECT;
  expect(phases(w)).toEqual(['ringing', null]);
  w.feed(w.ends.bob, { kind: 'received', peer: 'ada', signal: { type: 'offer', call: '500-call', generation: 0, sdp: 'x', at: w.now }, now: w.now });
  w.run(500);
  over(w);
  expect(outcomes(w)).toEqual(['declined', 'declined']);
});

test('nobody answers for a minute: one missed call, also when only the letter about it arrives', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(RING_MS - 500);
  expect(phases(w)).toEqual(['ringing', 'ringing']);
  w.run(1_000);
  over(w);
  expect(outcomes(w)).toEqual(['no_answer', 'missed']);

  const dead = world({ loss: 1 });
  dead.act('ada', { kind: 'dial', id: '500-call' });
  dead.run(RING_MS + 1_000);
  expect(outcomes(dead)).toEqual(['no_answer', 'missed']);
  expect(dead.endedByMail).toHaveLength(1);
});

test('who hangs up before anybody answered leaves a missed call too', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(3_000);
  w.act('ada', { kind: 'hang_up' });
  w.run(500);
  over(w, ['hung_up', 'they_hung_up']);
  expect(outcomes(w)).toEqual(['no_answer', 'missed']);
  expect(w.endedByMail).toEqual([{ to: 'bob', call: '500-call' }]);
});

test('a phone that comes online within the ring time rings, for what is left of it', () => {
  const w = world();
  w.act('bob', { kind: 'kill' });
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(40_000);
  expect(phases(w)).toEqual(['dialing', null]);
  w.act('bob', { kind: 'revive' });
  w.run(3_000);
  expect(phases(w)).toEqual(['ringing', 'ringing']);
  expect(Math.max(...w.ends.bob.timers.values()) - w.now).toBeLessThan(20_000);
  w.act('bob', { kind: 'accept' });
  w.run(1_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
});

test.each([
  ['500-ada', '400-bob', 'ada'],
  ['400-ada', '500-bob', 'bob'],
] as const)('glare: of %s and %s the higher one rings on', (ada, bob, winner) => {
  for (const slowestMs of [20, 4_000]) {
    const w = world({ slowestMs });
    w.act('ada', { kind: 'dial', id: ada });
    w.act('bob', { kind: 'dial', id: bob });
    w.run(9_000);
    const loser: Name = winner === 'ada' ? 'bob' : 'ada';
    expect(w.ends[winner].state.call?.id).toBe(winner === 'ada' ? ada : bob);
    expect(w.ends[loser].state.call).toMatchObject({ id: winner === 'ada' ? ada : bob, outgoing: false, phase: 'ringing' });
    expect(w.ends[winner].log.size + w.ends[loser].log.size).toBe(3); // and the winner knows nothing of a missed call
    w.act(loser, { kind: 'accept' });
    w.run(20_000);
    expect(phases(w)).toEqual(['connected', 'connected']);
    expect(w.verdict()).toEqual([]);
  }
});

test('glare with equal ids: both drop at once', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.act('bob', { kind: 'dial', id: '500-call' });
  w.run(1_000);
  over(w, ['glare', 'glare']);
});

test('glare in which the first offer was lost: the winner says it again', () => {
  const w = world({ loss: 1 });
  w.act('ada', { kind: 'dial', id: '500-ada' });
  w.run(1_000);
  w.faults = PERFECT;
  w.act('bob', { kind: 'dial', id: '400-bob' });
  w.run(1_000);
  expect(w.ends.bob.state.call).toMatchObject({ id: '500-ada', phase: 'ringing' });
});

// --- one machine, with a third person

const EVE = 'eve';

function through(...events: readonly CallEvent[]): { readonly state: CallState; readonly effects: readonly Effect[] } {
  let state = IDLE;
  const effects: Effect[] = [];
  for (const event of events) {
    const turned = turn(state, event);
    state = turned.state;
    effects.push(...turned.effects);
  }
  return { state, effects };
}

const received = (signal: Signal, now = 1_000, peer = EVE): CallEvent => ({ kind: 'received', peer, signal, now });
const offer = (call: string, at = 1_000, generation = 0): Signal => ({ type: 'offer', call, generation, sdp: 'sdp', at });
const sent = (effects: readonly Effect[]): readonly Signal[] => effects.flatMap((effect) => (effect.kind === 'send' ? [effect.signal] : []));
const rows = (effects: readonly Effect[]) => effects.flatMap((effect) => (effect.kind === 'record' ? [effect.row] : []));

test('busy: the third one is told, and leaves a missed call', () => {
  const { state, effects } = through(received(offer('a'), 1_000, 'bob'), received(offer('b')), received(offer('b')));
  expect(state.call).toMatchObject({ id: 'a', phase: 'ringing' });
  expect(sent(effects)).toEqual([{ type: 'ringing', call: 'a' }, { type: 'busy', call: 'b' }, { type: 'hangup', call: 'b', reason: 'busy' }]);
  expect(rows(effects).filter(({ call }) => call === 'b')).toMatchObject([{ peer: EVE, outcome: 'missed' }]);
  const caller = through({ kind: 'dial', call: 'c', peer: EVE, now: 0 }, received({ type: 'busy', call: 'c' }));
  expect(caller.state.last).toMatchObject({ outcome: 'busy', reason: 'busy' });
});

test('an id is known with its peer only: another one cannot end or answer the call', () => {
  const strangers: Signal[] = [
    { type: 'hangup', call: 'a', reason: 'normal' },
    { type: 'busy', call: 'a' },
    { type: 'answer', call: 'a', generation: 0, sdp: 'x' },
    { type: 'ended', call: 'a', at: 0 },
    { type: 'restart', call: 'a', generation: 0 },
  ];
  const { state } = through(
    { kind: 'dial', call: 'a', peer: 'bob', now: 0 },
    { kind: 'offer_made', call: 'a', generation: 0, sdp: 'offer' },
    ...strangers.map((signal) => received(signal)),
  );
  expect(state.call).toMatchObject({ id: 'a', phase: 'dialing' });
});

test('a stale offer does not ring and leaves a missed call', () => {
  const { state, effects } = through(received(offer('a', 1_000), 1_000 + RING_MS));
  expect(state.call).toBeNull();
  expect(rows(effects)).toMatchObject([{ call: 'a', outcome: 'missed', at: 1_000 }]);
  expect(effects.some(({ kind }) => kind === 'ring')).toBe(false);
});

test('an offer from the future rings for a minute, not longer', () => {
  const { effects } = through(received(offer('a', 9e12), 1_000));
  expect(effects).toContainEqual({ kind: 'set_timer', timer: 'ring', ms: RING_MS });
});

test('a hang-up that overtakes its offer is kept: the call is missed and never rings', () => {
  const { state, effects } = through(received({ type: 'hangup', call: 'a', reason: 'normal' }), received(offer('a')));
  expect(state.call).toBeNull();
  expect(effects.some(({ kind }) => kind === 'ring')).toBe(false);
  expect(rows(effects)).toMatchObject([{ call: 'a', outcome: 'missed' }]);
});

test('candidates that overtake their offer are kept, and applied after it', () => {
  const candidate = { candidate: 'candidate:1', mid: '0', line: 0 };
  const { state, effects } = through(
    received({ type: 'ice', call: 'a', generation: 0, candidates: [candidate] }),
    received(offer('a')),
    { kind: 'accept', call: 'a', now: 2_000 },
    { kind: 'answer_made', call: 'a', generation: 0, sdp: 'answer' },
    received({ type: 'ice', call: 'a', generation: 0, candidates: [candidate, { ...candidate, candidate: 'candidate:2' }] }),
  );
  expect(state.call?.theirs).toHaveLength(2);
  expect(effects.filter(({ kind }) => kind === 'add_candidates')).toEqual([
    { kind: 'add_candidates', call: 'a', candidates: [candidate] },
    { kind: 'add_candidates', call: 'a', candidates: [{ ...candidate, candidate: 'candidate:2' }] },
  ]);
});

test('made-up calls and candidates are forgotten, not hoarded', () => {
  const many = Array.from({ length: 200 }, (_, i) => ({ candidate: `candidate:${i}`, mid: '0', line: 0 }));
  const events = Array.from({ length: 200 }, (_, i) => received({ type: 'ice', call: `x${i}`, generation: 0, candidates: many }));
  const { state } = through(...events);
  expect(state.early.length).toBeLessThan(10);
  for (const early of state.early) expect(early.candidates).toHaveLength(MOST_CANDIDATES);
  expect(through(...events, received(offer('y'), 1_000 + RING_MS)).state.early).toEqual([]);
});

test.each(['answer', 'ringing', 'restart'] as const)('%s of a call that is not known here ends it there', (type) => {
  const signal = { type, call: 'a', generation: 0, sdp: 'x' } as Signal;
  expect(sent(through(received(signal)).effects)).toEqual([{ type: 'hangup', call: 'a', reason: 'normal' }]);
  expect(sent(through(received(offer('a', 1_000, 3))).effects)).toEqual([{ type: 'hangup', call: 'a', reason: 'normal' }]);
  expect(sent(through(received({ type: 'hangup', call: 'a', reason: 'normal' })).effects)).toEqual([]); // nobody answers a hang-up
});

test('an answer that comes twice opens one microphone', () => {
  const answer: Signal = { type: 'answer', call: 'a', generation: 0, sdp: 'x' };
  const { effects } = through(
    { kind: 'dial', call: 'a', peer: EVE, now: 0 },
    { kind: 'offer_made', call: 'a', generation: 0, sdp: 'offer' },
    received(answer),
    received(answer),
  );
  expect(effects.filter(({ kind }) => kind === 'open_microphone')).toHaveLength(1);
  expect(effects.filter(({ kind }) => kind === 'apply_answer')).toHaveLength(1);
});

// --- trouble in a call

test('an answer that was lost is said again', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(2_000);
  w.faults = { ...PERFECT, loss: 1 };
  w.act('bob', { kind: 'accept' });
  w.run(1_000);
  w.faults = PERFECT;
  w.run(6_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
});

test('nothing gathered: the call fails at once, with the reason of the TURN server', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(2_000);
  w.act('ada', { kind: 'turn', up: false });
  w.act('bob', { kind: 'accept' });
  w.run(2_000);
  over(w);
  expect([w.ends.ada.state.last?.reason, w.ends.bob.state.last?.reason]).toContain('turn_unreachable');
  expect(outcomes(w)).toEqual(['failed', 'failed']);
});

test('media that never comes ends by itself', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(2_000);
  w.act('bob', { kind: 'accept' });
  w.faults = { ...PERFECT, loss: 1 };
  w.run(CONNECT_MS + RING_MS);
  over(w);
});

test.each(['ada', 'bob'] as const)('%s changes networks: a new generation, and the call goes on', (who) => {
  const w = talking(world());
  w.act(who, { kind: 'network_changed' });
  w.run(1_500); // before anybody has noticed that nothing comes any more
  expect(phases(w)).toEqual(['connected', 'connected']);
  expect(w.flows()).toBe(true);
  expect(w.ends.ada.state.call?.generation).toBe(1);
});

test('a TURN server that dies and comes back does not end the call', () => {
  const w = talking(world());
  w.act('ada', { kind: 'turn', up: false });
  w.run(12_000);
  expect(phases(w)).toEqual(['reconnecting', 'reconnecting']);
  expect(w.ends.ada.microphones.size).toBe(1);
  w.act('ada', { kind: 'turn', up: true });
  w.run(12_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
  expect(w.flows()).toBe(true);
});

test('signals that are all lost do not end a call that is heard', () => {
  const w = talking(world());
  w.faults = { ...PERFECT, loss: 1 };
  w.run(600_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
});

test('a peer that vanishes ends the call after a while, as answered', () => {
  const w = talking(world());
  w.act('bob', { kind: 'kill' });
  w.run(RECONNECT_MS + 5_000);
  expect(w.ends.ada.state.last).toMatchObject({ outcome: 'answered', reason: 'connection_lost' });
});

test('an app that was killed in a call ends it on both sides when it starts again', () => {
  const w = talking(world());
  w.act('bob', { kind: 'kill' });
  w.run(1_000);
  w.act('bob', { kind: 'revive' });
  w.run(1_000);
  over(w);
  expect(outcomes(w)).toEqual(['answered', 'answered']);
});

test('killed while dialing: who was called has a missed call', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.run(1_000);
  w.act('ada', { kind: 'kill' });
  w.run(1_000);
  w.act('ada', { kind: 'revive' });
  w.run(1_000);
  over(w);
  expect(outcomes(w)).toEqual(['no_answer', 'missed']);
});

test('they call again: the dead call gives way, and rings', () => {
  const w = talking(world());
  w.act('ada', { kind: 'kill' });
  w.ends.ada.log.clear(); // its storage is gone too, so it cannot say that it hangs up
  w.act('ada', { kind: 'revive' });
  w.act('ada', { kind: 'dial', id: '600-again' });
  w.run(500);
  expect(w.ends.bob.state.call).toMatchObject({ id: '600-again', phase: 'ringing' });
  expect(w.ends.bob.state.last).toMatchObject({ id: '500-call', outcome: 'answered', reason: 'replaced' });
  w.act('bob', { kind: 'accept' });
  w.run(2_000);
  expect(phases(w)).toEqual(['connected', 'connected']);
  expect(w.verdict()).toEqual([]);
});

test('an older offer that was only late does not end a call', () => {
  const w = talking(world());
  w.feed(w.ends.bob, { kind: 'received', peer: 'ada', signal: offer('499-late', w.now - 30_000), now: w.now });
  expect(phases(w)).toEqual(['connected', 'connected']);
  expect(w.ends.bob.log.get('499-late')?.outcome).toBe('missed');
});

test('muted stays muted: before the answer, after it, and through a new generation', () => {
  const w = world();
  w.act('ada', { kind: 'dial', id: '500-call' });
  w.act('ada', { kind: 'mute', muted: true });
  w.run(2_000);
  const { state, effects } = turn(w.ends.ada.state, { kind: 'received', peer: 'bob', signal: { type: 'answer', call: '500-call', generation: 0, sdp: 'x' }, now: w.now });
  expect(effects).toContainEqual({ kind: 'open_microphone', call: '500-call', muted: true });
  expect(turn(state, { kind: 'network_changed' }).state.call?.muted).toBe(true);
});

test('what comes for a call or generation that is over is nothing', () => {
  const late: CallEvent[] = [
    { kind: 'offer_made', call: 'a', generation: 0, sdp: 'x' },
    { kind: 'answer_made', call: 'a', generation: 0, sdp: 'x' },
    { kind: 'media', call: 'a', media: 'connected', now: 0 },
    { kind: 'gathered', call: 'a', generation: 0, count: 0, now: 0 },
    { kind: 'accept', call: 'a', now: 0 },
    { kind: 'hang_up', call: 'a', now: 0 },
    { kind: 'timer', timer: 'ring', now: 0 },
    { kind: 'network_changed' },
  ];
  for (const event of late) expect(turn(IDLE, event)).toEqual({ state: IDLE, effects: [] });
  const w = talking(world());
  const { state } = w.ends.ada;
  expect(turn(state, { kind: 'answer_made', call: '500-call', generation: 7, sdp: 'x' })).toEqual({ state, effects: [] });
  expect(turn(state, { kind: 'dial', call: 'b', peer: EVE, now: 0 })).toEqual({ state, effects: [] });
});
