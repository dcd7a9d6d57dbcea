/** When receipts leave. */
import type { Random } from './ports.ts';

const LEAST_S = 2;
const MOST_S = 60;

/** A random moment from 2 to 60 s from now, in seconds: a prompt receipt would let a server pair the two ends. */
export function dueWithin(now: number, random: Random): number {
  const [high = 0, low = 0] = random.bytes(2);
  return now + LEAST_S + Math.floor((((high << 8) | low) / 65_536) * (MOST_S - LEAST_S + 1));
}
