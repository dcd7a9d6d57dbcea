import type { SocketEnding } from './ports.ts';

export type StopReason = 'superseded' | 'revoked' | 'unauthorized' | 'protocol';
export type Reconnect = { readonly kind: 'stop'; readonly reason: StopReason } | { readonly kind: 'again'; readonly inMs: number };

/** Half fixed, half random: a restarted relay is not hit by everybody in one second. `roll` is from 0 to 1. */
export function backoffMs(attempt: number, roll: number, firstMs = 1_000, mostMs = 60_000): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(whole / 2 + (whole / 2) * roll);
}

/** What an app does after a session ended: the table "Close codes" of docs/protocol.md. `attempt` counts failures in a row from 0. */
export function afterEnding(ending: SocketEnding, attempt: number, roll: number): Reconnect {
  if (ending.httpStatus === 401) return { kind: 'stop', reason: 'unauthorized' };
  switch (ending.code) {
    case 4401:
      return { kind: 'stop', reason: 'revoked' };
    case 4409:
      return { kind: 'stop', reason: 'superseded' };
    case 1012:
      return { kind: 'again', inMs: Math.max(500 + Math.round(2_500 * roll), attempt > 2 ? backoffMs(attempt, roll) : 0) };
    case 4429:
      return { kind: 'again', inMs: backoffMs(attempt, roll, 60_000, 600_000) };
    case 1009:
    case 4400:
      return { kind: 'again', inMs: backoffMs(attempt, roll, 30_000, 600_000) };
    default:
      return { kind: 'again', inMs: backoffMs(attempt, roll) };
  }
}
