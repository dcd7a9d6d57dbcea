/** What becomes of a message in the outbox after an answer: no I/O, one table, the refusals of docs/protocol.md. */
import { backoffMs } from './backoff.ts';
import type { PostAnswer } from './post_connection.ts';

export type Decision =
  /** The relay has it on disk. */
  | { readonly kind: 'sent' }
  /** The same envelope again, byte for byte and under the same id. */
  | { readonly kind: 'retry'; readonly inS: number }
  /** Around the same session ciphertext, a fresh certificate and a new id. */
  | { readonly kind: 'reseal'; readonly inS: number }
  /** Waits for something only a person or the recipient can bring, such as a new access key. */
  | { readonly kind: 'block'; readonly reason: string }
  | { readonly kind: 'fail'; readonly reason: string };

const LONGEST_WAIT_S = 3_600;

/** `attempts` counts earlier answers that were not final; `roll` is from 0 to 1. */
export function decide(answer: PostAnswer, attempts: number, roll: number): Decision {
  const backoffS = Math.ceil(backoffMs(attempts, roll, 1_000, 300_000) / 1000);
  if (answer.kind === 'posted') return { kind: 'sent' };
  if (answer.kind === 'lost') {
    const patience = { 4429: 60, 4400: 30, 1009: 30 }[answer.ending] ?? 0; // the table "Close codes"
    return { kind: 'retry', inS: Math.max(patience, backoffS) };
  }
  switch (answer.code) {
    case 'no_access':
      return { kind: 'block', reason: 'no_access' };
    case 'bad_size':
      return { kind: 'fail', reason: 'bad_size' };
    case 'conflict':
    case 'clock_skew':
      // At once the first time: the relay's clock has just been learnt. Then with patience, should both ends disagree for good.
      return { kind: 'reseal', inS: attempts === 0 ? 0 : backoffS };
    case 'mailbox_full':
    case 'rate_limited':
      return { kind: 'retry', inS: Math.min(LONGEST_WAIT_S, Math.max(1, answer.retryAfterS ?? backoffS)) };
    default:
      // `unavailable`, and what a newer relay may say: nothing is given up.
      return { kind: 'retry', inS: Math.min(LONGEST_WAIT_S, Math.max(backoffS, answer.retryAfterS ?? 0)) };
  }
}

/** An envelope is retried as it is while its certificate will still be good on arrival and its id's time is well within 48 hours. */
export function isFresh(sealedUntil: number, idTimeMs: number, nowS: number): boolean {
  return sealedUntil - nowS > 300 && nowS - idTimeMs / 1000 < 40 * 3_600;
}
