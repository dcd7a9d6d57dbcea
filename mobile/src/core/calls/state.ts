/** What the call machine remembers: at most one call, and a little about those that are not yet or no longer. */
import type { Candidate, HangupReason, Phase, Reason, TurnReason } from './events.ts';
import type { CallOutcome } from '../messenger.ts';

export interface Call {
  readonly id: string;
  readonly peer: string;
  readonly outgoing: boolean;
  readonly phase: Phase;
  /** When it was offered, by the caller's word. */
  readonly at: number;
  readonly connectedAt: number | null;
  readonly muted: boolean;
  /** Of the last offer made or taken. */
  readonly generation: number;
  /** The SDP of that offer. */
  readonly offer: string | null;
  /** Caller: it has not been answered. */
  readonly unanswered: boolean;
  /** Callee: the SDP of our answer to it, once it was made. */
  readonly answer: string | null;
  /** Callee: media of this generation was lost, or the network changed; the caller is asked for another. */
  readonly wantsRestart: boolean;
  /** Ours, of this generation. */
  readonly candidates: readonly Candidate[];
  /** Theirs, of this generation: applied ones, or kept ones while the description is not applied. */
  readonly theirs: readonly Candidate[];
  /** Both descriptions of this generation are applied, so candidates can be. */
  readonly described: boolean;
  /** Beats of the resend timer since this generation began. */
  readonly beats: number;
  readonly turn: TurnReason | null;
}

/** Of a call whose offer has not come (signals overtake each other). */
export interface Early {
  readonly key: string;
  readonly since: number;
  readonly hungUp: boolean;
  readonly candidates: readonly Candidate[];
}

/** A call that is over, and what to say to somebody who still believes in it. */
export interface Over {
  readonly key: string;
  readonly say: HangupReason;
}

/** The last call, for screens. */
export interface Last {
  readonly id: string;
  readonly peer: string;
  readonly outgoing: boolean;
  readonly outcome: CallOutcome;
  readonly reason: Reason;
  readonly connectedAt: number | null;
  readonly endedAt: number;
}

export interface CallState {
  readonly call: Call | null;
  readonly early: readonly Early[];
  readonly over: readonly Over[];
  readonly last: Last | null;
}

export const IDLE: CallState = { call: null, early: [], over: [], last: null };

/** More calls than a person makes within the minutes in which signals can be late. */
export const MOST_OVER = 64;
/** Offers that are awaited at once; a peer who sends candidates of made-up calls pushes out their own. */
export const MOST_EARLY = 8;
/** A relay-only generation has one or two; direct ones have an address for each interface. */
export const MOST_CANDIDATES = 32;

/** Ids are chosen by callers: the same id from somebody else is another call. */
export function keyOf(peer: string, call: string): string {
  return `${peer}/${call}`;
}

export function known(candidates: readonly Candidate[], one: Candidate): boolean {
  return candidates.some(({ candidate, mid }) => candidate === one.candidate && mid === one.mid);
}
