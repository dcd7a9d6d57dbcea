/**
 * What goes into the call machine and what comes out. The machine (machine.ts) is pure: `(state, event) -> {state, effects}`;
 * the driver (driver.ts) brings events and carries out effects. Times are milliseconds of the relay's clock.
 *
 * Roles. The *caller* is who dialed; for the whole call only the caller makes offers, so renegotiations cannot collide. A
 * *generation* numbers the offers of a call from 0; answers and candidates name the one they belong to, so what comes late or
 * twice is recognised. In a call that was not accepted nothing is gathered and no microphone is open, at either end.
 */
import type { CallOutcome } from '../messenger.ts';

export type Phase =
  /** Caller: offered, nothing heard yet. */
  | 'dialing'
  /** Caller: their phone rings. Callee: this phone rings. */
  | 'ringing'
  /** Accepted; media is being connected. */
  | 'connecting'
  | 'connected'
  /** Was connected; media is lost and being sought. */
  | 'reconnecting';

/** Why a call is over; `CallOutcome` is what the log shows, this is what a screen may add. */
export type Reason =
  | 'hung_up'
  | 'they_hung_up'
  | 'declined'
  | 'they_declined'
  | 'busy'
  | 'no_answer'
  | 'glare'
  | 'replaced'
  | 'interrupted'
  | 'no_connection'
  | 'connection_lost'
  | 'media_failed'
  | TurnReason;

/** What the TURN server had against it: credentials, a full quota, or silence. */
export type TurnReason = 'turn_refused' | 'turn_full' | 'turn_unreachable';

export interface Candidate {
  readonly candidate: string;
  readonly mid: string;
  readonly line: number;
}

export type HangupReason = 'normal' | 'declined' | 'busy' | 'failed';

/** What the two machines say to each other; signals.ts reads and writes it. */
export type Signal = { readonly call: string } & (
  /** `at`: when it was dialed; it rings for RING_MS from then. */
  | { readonly type: 'offer'; readonly generation: number; readonly sdp: string; readonly at: number }
  | { readonly type: 'ringing' }
  | { readonly type: 'busy' }
  | { readonly type: 'answer'; readonly generation: number; readonly sdp: string }
  /** All candidates of the generation so far, so that one that arrives makes up for those that were lost. */
  | { readonly type: 'ice'; readonly generation: number; readonly candidates: readonly Candidate[] }
  /** Callee to caller: offer again, this generation does not do any more. */
  | { readonly type: 'restart'; readonly generation: number }
  | { readonly type: 'hangup'; readonly reason: HangupReason }
  /** By mail: nobody answered. For who was not there while it rang. */
  | { readonly type: 'ended'; readonly at: number }
);

export type TimerName = 'ring' | 'connect' | 'reconnect' | 'resend';

export type CallEvent =
  // --- the person
  /** Source: the call button. Action: a peer connection and an offer are made; nothing is gathered. Ignored during a call. */
  | { readonly kind: 'dial'; readonly call: string; readonly peer: string; readonly now: number }
  /** Source: the answer button. Action: microphone, answer, gathering. Ignored unless this call rings here. */
  | { readonly kind: 'accept'; readonly call: string; readonly now: number }
  /** Source: the red button. Action: declines what rings here, else hangs up; a call nobody answered leaves a durable `ended`. */
  | { readonly kind: 'hang_up'; readonly call: string; readonly now: number }
  /** Source: the mute button. Action: the microphone sends silence. */
  | { readonly kind: 'mute'; readonly call: string; readonly muted: boolean }
  // --- the other end
  /** Source: the signal lane, after the mailbox was drained, or mail (`ended`). Action: see each signal. */
  | { readonly kind: 'received'; readonly peer: string; readonly signal: Signal; readonly now: number }
  // --- the peer connection; each is ignored when its call or generation is over
  /** Source: createOffer. Action: the offer leaves; it is applied only when it was answered. */
  | { readonly kind: 'offer_made'; readonly call: string; readonly generation: number; readonly sdp: string }
  /** Source: the callee's peer connection. Action: the answer leaves, kept candidates are applied. */
  | { readonly kind: 'answer_made'; readonly call: string; readonly generation: number; readonly sdp: string }
  /** Source: gathering, batched. `candidates` are all so far. Action: they leave. */
  | { readonly kind: 'candidates'; readonly call: string; readonly generation: number; readonly candidates: readonly Candidate[] }
  /** Source: gathering is over. Action: with nothing gathered a call that is being connected fails now, with the TURN server's reason. */
  | { readonly kind: 'gathered'; readonly call: string; readonly generation: number; readonly count: number; readonly now: number }
  /** Source: `icecandidateerror`. Action: remembered as the reason if the call fails. */
  | { readonly kind: 'turn_trouble'; readonly call: string; readonly reason: TurnReason }
  /** Source: connection state. Action: connected, or reconnecting with an ICE restart. */
  | { readonly kind: 'media'; readonly call: string; readonly media: 'connected' | 'lost'; readonly now: number }
  /** Source: the peer connection threw. Action: the call is over. */
  | { readonly kind: 'media_failed'; readonly call: string; readonly now: number }
  // --- the machine it runs on
  /** Source: the clock. Action: ring, connect and reconnect end the call; resend says again what may have been lost. */
  | { readonly kind: 'timer'; readonly timer: TimerName; readonly now: number }
  /** Source: the operating system. Action: ICE restart, asked for or made. */
  | { readonly kind: 'network_changed' }
  /** Source: the log, at start: the app was killed in this call. Action: the other end is told, the log is closed. */
  | { readonly kind: 'interrupted'; readonly call: string; readonly peer: string; readonly outgoing: boolean; readonly at: number; readonly connectedAt: number | null; readonly now: number };

export type Effect =
  /** To `peer`; `durable` by mail, else by signal with `ttlS`. */
  | { readonly kind: 'send'; readonly peer: string; readonly signal: Signal; readonly ttlS: number; readonly durable: boolean }
  | { readonly kind: 'create_peer'; readonly call: string }
  | { readonly kind: 'close_peer'; readonly call: string }
  /** Answered by `offer_made`. Gathers nothing. */
  | { readonly kind: 'make_offer'; readonly call: string; readonly generation: number; readonly restart: boolean }
  /** Remote offer, local answer; answered by `answer_made`, then gathers. */
  | { readonly kind: 'make_answer'; readonly call: string; readonly generation: number; readonly offer: string }
  /** Local offer and remote answer together; gathers. */
  | { readonly kind: 'apply_answer'; readonly call: string; readonly generation: number; readonly offer: string; readonly answer: string }
  | { readonly kind: 'add_candidates'; readonly call: string; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'open_microphone'; readonly call: string; readonly muted: boolean }
  | { readonly kind: 'close_microphone'; readonly call: string }
  | { readonly kind: 'mute'; readonly call: string; readonly muted: boolean }
  | { readonly kind: 'ring'; readonly call: string; readonly peer: string }
  | { readonly kind: 'stop_ringing'; readonly call: string }
  | { readonly kind: 'set_timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly kind: 'clear_timer'; readonly timer: TimerName }
  /** A row of the log. A row that has an outcome never changes again, so a call has exactly one, whatever comes twice. */
  | { readonly kind: 'record'; readonly row: RecordedCall };

export interface RecordedCall {
  readonly call: string;
  readonly peer: string;
  readonly outgoing: boolean;
  readonly at: number;
  readonly connectedAt: number | null;
  readonly endedAt: number | null;
  /** Null while it goes on. */
  readonly outcome: CallOutcome | null;
}

/** How long it rings. */
export const RING_MS = 60_000;
/** From accepting to media; a 401 of the TURN server shows only as an ICE error, so silence must end by itself. */
export const CONNECT_MS = 25_000;
/** Without media before a call is given up: a lift, a change of networks, a TURN server that is started again. */
export const RECONNECT_MS = 40_000;
/** What may have been lost is said again this often. */
export const RESEND_MS = 2_500;
