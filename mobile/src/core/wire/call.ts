/** What a `call` content carries: its own kind of signal, opaque to everything but the calls. */
import { Malformed } from '../errors.ts';
import type { Reader } from './reader.ts';

export const CALL_TYPES = ['offer', 'answer', 'ice', 'ringing', 'busy', 'hangup', 'ended', 'restart'] as const;
export type CallType = (typeof CALL_TYPES)[number];

export interface CallSignal {
  readonly type: CallType;
  /** The call's id, the same in all of its signals. */
  readonly call: string;
  /** What the type needs: JSON, judged by the calls. */
  readonly data: Readonly<Record<string, unknown>>;
}

export function encodeCall({ type, call, data }: CallSignal): Readonly<Record<string, unknown>> {
  return { type, call, data };
}

/** @throws Malformed */
export function parseCall(signal: Reader): CallSignal {
  const type = signal.text('type');
  const known = CALL_TYPES.find((one) => one === type);
  if (!known) throw new Malformed(signal.at('type'), 'a kind of call signal');
  return { type: known, call: signal.uuid('call'), data: signal.has('data') ? signal.record('data') : {} };
}
