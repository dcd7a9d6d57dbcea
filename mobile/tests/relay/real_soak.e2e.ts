/** The short version of `make soak`: every kind of trouble once. */
import { expect, test } from 'vitest';

import { soak } from '../soak/soak.ts';

test('two people write while processes are killed, wires are cut and the relay is killed and restarted: all is there once and read', async () => {
  if (process.env['SOTTOVOCE_RELAY_URL'] !== undefined) return; // somebody else's relay is not killed
  const log: string[] = [];
  const { wrong, happened } = await soak({ messages: 200, seed: 7, troubles: 5, deadlineS: 240, say: (line) => log.push(line) });
  expect(wrong, log.join('\n')).toEqual([]);
  expect(Object.keys(happened)).toHaveLength(5);
}, 300_000);
