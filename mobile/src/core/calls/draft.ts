/** The state while one event is handled and the effects so far, with the small moves that every event is made of. */
import type { CallOutcome } from '../messenger.ts';
import { CONNECT_MS, RING_MS } from './events.ts';
import type { Candidate, Effect, HangupReason, Reason, Signal, TimerName } from './events.ts';
import { keyOf, known, MOST_CANDIDATES, MOST_EARLY, MOST_OVER } from './state.ts';
import type { Call, CallState, Early } from './state.ts';

const TIMERS: readonly TimerName[] = ['ring', 'connect', 'reconnect', 'resend'];

export class Draft {
  state: CallState;
  readonly effects: Effect[] = [];

  constructor(state: CallState) {
    this.state = state;
  }

  /** A call that never rang here. If it has a row already, that one stays. */
  protected missed(peer: string, id: string, at: number, now: number): void {
    this.do({ kind: 'record', row: { call: id, peer, outgoing: false, at, connectedAt: null, endedAt: now, outcome: 'missed' } });
    this.remember(peer, id, 'normal');
  }

  /** The one way out: nothing of a call is left after it. */
  protected end(call: Call, outcome: CallOutcome, reason: Reason, say: HangupReason, now: number): void {
    for (const timer of TIMERS) this.clearTimer(timer);
    if (!call.outgoing && call.phase === 'ringing') this.do({ kind: 'stop_ringing', call: call.id });
    if (accepted(call)) this.do({ kind: 'close_microphone', call: call.id });
    if (call.outgoing || accepted(call)) this.do({ kind: 'close_peer', call: call.id });
    this.record(outcome, now);
    const { id, peer, outgoing, connectedAt } = call;
    this.state = { ...this.state, call: null, last: { id, peer, outgoing, outcome, reason, connectedAt, endedAt: now } };
    this.remember(peer, id, say);
  }

  protected begin(call: Pick<Call, 'id' | 'peer' | 'outgoing' | 'phase' | 'at' | 'offer' | 'unanswered'>): void {
    const blank = { connectedAt: null, muted: false, generation: 0, answer: null, wantsRestart: false, candidates: [], theirs: [], described: false, beats: 0, turn: null };
    this.state = { ...this.state, call: { ...blank, ...call } };
    this.record(null, null);
  }

  protected change(change: Partial<Call>): void {
    const { call } = this.state;
    if (call) this.state = { ...this.state, call: { ...call, ...change } };
  }

  do(effect: Effect): void {
    this.effects.push(effect);
  }

  protected setTimer(timer: TimerName, ms: number): void {
    this.do({ kind: 'set_timer', timer, ms });
  }

  protected clearTimer(timer: TimerName): void {
    this.do({ kind: 'clear_timer', timer });
  }

  /** An offer rings for as long as it has left; everything else is worthless when the other end has given up. */
  protected sendTo(peer: string, signal: Signal): void {
    const ttlS = signal.type === 'offer' && signal.generation === 0 ? RING_MS / 1000 : CONNECT_MS / 1000;
    this.do({ kind: 'send', peer, signal, ttlS, durable: false });
  }

  protected send(call: Call, signal: Signal): void {
    this.sendTo(call.peer, signal);
  }

  protected say(call: Call, reason: HangupReason): void {
    this.send(call, { type: 'hangup', call: call.id, reason });
  }

  protected sendOffer(call: Call): void {
    if (call.offer !== null) this.send(call, { type: 'offer', call: call.id, generation: call.generation, sdp: call.offer, at: call.at });
  }

  protected sendAnswer(call: Call): void {
    if (call.answer !== null) this.send(call, { type: 'answer', call: call.id, generation: call.generation, sdp: call.answer });
  }

  protected sendCandidates(): void {
    const { call } = this.state;
    if (call && call.candidates.length > 0) this.send(call, { type: 'ice', call: call.id, generation: call.generation, candidates: call.candidates });
  }

  protected record(outcome: CallOutcome | null, endedAt: number | null): void {
    const { call } = this.state;
    if (!call) return;
    const { id, peer, outgoing, at, connectedAt } = call;
    this.do({ kind: 'record', row: { call: id, peer, outgoing, at, connectedAt, endedAt, outcome } });
  }

  protected remember(peer: string, id: string, say: HangupReason): void {
    const key = keyOf(peer, id);
    const others = this.state.over.filter((one) => one.key !== key);
    this.state = { ...this.state, over: [...others, { key, say }].slice(-MOST_OVER) };
  }

  protected keepEarly(peer: string, id: string, now: number, change: (early: Early) => Early): void {
    const key = keyOf(peer, id);
    const early = this.state.early.find((one) => one.key === key) ?? { key, since: now, hungUp: false, candidates: [] };
    const others = this.state.early.filter((one) => one.key !== key);
    this.state = { ...this.state, early: [...others, change(early)].slice(-MOST_EARLY) };
  }

  protected forgetEarly(now: number): void {
    const early = this.state.early.filter(({ since }) => now - since < RING_MS);
    if (early.length < this.state.early.length) this.state = { ...this.state, early };
  }

  /** By mail, for who was not there while it rang. */
  protected sendEnded(peer: string, id: string, at: number): void {
    this.do({ kind: 'send', peer, signal: { type: 'ended', call: id, at }, ttlS: 0, durable: true });
  }
}

export function accepted({ phase }: Call): boolean {
  return phase === 'connecting' || phase === 'connected' || phase === 'reconnecting';
}

export function connectedOr({ connectedAt }: Call, otherwise: CallOutcome): CallOutcome {
  return connectedAt === null ? otherwise : 'answered';
}

export function merged(held: readonly Candidate[], more: readonly Candidate[]): readonly Candidate[] {
  return [...held, ...more.filter((one) => !known(held, one))].slice(0, MOST_CANDIDATES);
}
