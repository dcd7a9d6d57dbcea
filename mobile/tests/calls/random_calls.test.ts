/**
 * Random scenarios: whatever people do and the network loses, both ends agree in the end that the call is up or over, no microphone
 * stays open and nothing is left over. CALL_SCENARIOS sets how many; `make calls` runs thousands.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { other, World } from './model.ts';
import { figure } from './figures.ts';
import type { Action, Name } from './model.ts';

const SCENARIOS = Number(process.env['CALL_SCENARIOS'] ?? 200);

const name = fc.constantFrom<Name>('ada', 'bob');
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Action>({ kind: 'dial' }) },
  { weight: 8, arbitrary: fc.constant<Action>({ kind: 'accept' }) },
  { weight: 2, arbitrary: fc.constant<Action>({ kind: 'hang_up' }) },
  { weight: 3, arbitrary: fc.constant<Action>({ kind: 'network_changed' }) },
  { weight: 1, arbitrary: fc.constant<Action>({ kind: 'kill' }) },
  { weight: 2, arbitrary: fc.constant<Action>({ kind: 'revive' }) },
  { weight: 1, arbitrary: fc.boolean().map((muted): Action => ({ kind: 'mute', muted })) },
  { weight: 2, arbitrary: fc.boolean().map((up): Action => ({ kind: 'turn', up })) },
  { weight: 1, arbitrary: fc.constant<Action>({ kind: 'dial', id: '500-the-same' }) },
);
const step = fc.record({ name, action, afterMs: fc.oneof(fc.integer({ min: 0, max: 800 }), fc.integer({ min: 0, max: 20_000 })) });
/** Most scenarios begin with a call that could come about; chance alone would seldom make one. */
const opening = fc
  .tuple(name, fc.integer({ min: 300, max: 40_000 }))
  .map(([who, afterMs]) => [
    { name: who, action: { kind: 'dial' } as Action, afterMs: 0 },
    { name: other(who), action: { kind: 'accept' } as Action, afterMs },
  ]);
const scenario = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
  faults: fc.record({
    loss: fc.constantFrom(0, 0.1, 0.3, 0.6, 0.95),
    doubling: fc.constantFrom(0, 0.2, 0.5),
    slowestMs: fc.constantFrom(30, 500, 5_000, 30_000),
  }),
  opening: fc.oneof({ weight: 3, arbitrary: opening }, { weight: 1, arbitrary: fc.constant([]) }),
  steps: fc.array(step, { maxLength: 25 }),
});

let talked = 0;
let stands = 0;

test(`${SCENARIOS} random scenarios end in agreement`, { timeout: 60_000 + SCENARIOS * 100 }, () => {
  fc.assert(
    fc.property(scenario, ({ seed, faults, opening: first, steps }) => {
      const world = new World(seed, faults);
      for (const { name: who, action: what, afterMs } of [...first, ...steps]) {
        world.run(afterMs);
        world.act(who, what);
      }
      world.calm(200_000);
      const then = world.verdict();
      if (world.ends.ada.state.call) stands += 1;
      if ([...world.ends.ada.log.values()].some(({ connectedAt }) => connectedAt !== null)) talked += 1;
      for (const who of ['ada', 'bob'] as const) world.act(who, { kind: 'hang_up' });
      world.calm(30_000);
      const last = world.verdict();
      const left = [world.ends.ada, world.ends.bob].filter((end) => end.peer || end.microphones.size > 0 || end.timers.size > 0 || end.state.call);
      if (then.length > 0 || last.length > 0 || left.length > 0) {
        throw new Error(`${[...then, ...last].join('\n')}\n\n${world.trace.slice(-60).join('\n')}`);
      }
    }),
    { numRuns: SCENARIOS, seed: Number(process.env['CALL_SEED'] ?? 20_261_124) },
  );
  // A model in which no call ever comes about would pass too.
  expect(talked).toBeGreaterThan(SCENARIOS / 5);
  expect(stands).toBeGreaterThan(SCENARIOS / 50);
  expect(stands).toBeLessThan(SCENARIOS / 2);
  figure(`${SCENARIOS} random scenarios on a network with faults`, `all end in agreement, nothing left over; ${talked} were talked in`);
});
