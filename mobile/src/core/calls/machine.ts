import type { CallOutcome } from '../messenger.ts';
import { accepted, connectedOr, Draft, merged } from './draft.ts';
import { CONNECT_MS, RECONNECT_MS, RESEND_MS, RING_MS } from './events.ts';
import type { CallEvent, Candidate, Effect, HangupReason, Reason, Signal, TimerName } from './events.ts';
import { keyOf, known, MOST_CANDIDATES } from './state.ts';
import type { Call, CallState } from './state.ts';

/** A generation that has not brought media after so many beats of the resend timer is tried again. */
const BEATS_A_GENERATION = 2;
/** Between offers while nobody has heard of the call. */
const REDIAL_MS = 4 * RESEND_MS;

export interface Turned {
  readonly state: CallState;
  readonly effects: readonly Effect[];
}

/** One step of the machine: no clock, no randomness, no I/O. Never throws. Every event is described in events.ts. */
export function turn(state: CallState, event: CallEvent): Turned {
  const step = new Step(state);
  step.run(event);
  return { state: step.state, effects: step.effects };
}

class Step extends Draft {
  run(event: CallEvent): void {
    switch (event.kind) {
      case 'dial':
        return this.#dial(event.call, event.peer, event.now);
      case 'received':
        return this.#received(event.peer, event.signal, event.now);
      case 'interrupted':
        return this.#interrupted(event);
      case 'timer':
        return this.#timer(event.timer, event.now);
      case 'network_changed':
        return this.#restart();
      default:
        return this.#ofCall(event);
    }
  }

  /** Events that name a call: of another one they are late, and nothing. */
  #ofCall(event: Extract<CallEvent, { kind: 'accept' | 'hang_up' | 'mute' | 'offer_made' | 'answer_made' | 'candidates' | 'gathered' | 'turn_trouble' | 'media' | 'media_failed' }>): void {
    const { call } = this.state;
    if (!call || call.id !== event.call) return;
    if ('generation' in event && event.generation !== call.generation) return;
    switch (event.kind) {
      case 'accept':
        return this.#accept(call);
      case 'hang_up':
        return this.#hangUp(call, event.now);
      case 'mute':
        this.change({ muted: event.muted });
        if (accepted(call)) this.do({ kind: 'mute', call: call.id, muted: event.muted });
        return;
      case 'offer_made':
        this.change({ offer: event.sdp });
        this.sendOffer({ ...call, offer: event.sdp });
        return this.setTimer('resend', accepted(call) ? RESEND_MS : REDIAL_MS);
      case 'answer_made':
        this.change({ answer: event.sdp });
        this.sendAnswer({ ...call, answer: event.sdp });
        this.#describedNow();
        return this.setTimer('resend', RESEND_MS);
      case 'candidates':
        this.change({ candidates: event.candidates.slice(0, MOST_CANDIDATES) });
        this.sendCandidates();
        return this.setTimer('resend', RESEND_MS);
      case 'gathered':
        if (event.count === 0 && call.phase === 'connecting') this.#fail(call, call.turn ?? 'turn_unreachable', event.now);
        return;
      case 'turn_trouble':
        return this.change({ turn: call.turn ?? event.reason });
      case 'media':
        return event.media === 'connected' ? this.#connected(call, event.now) : this.#lost(call);
      case 'media_failed':
        return this.#fail(call, 'media_failed', event.now);
    }
  }

  // --- the person

  #dial(id: string, peer: string, now: number): void {
    if (this.state.call) return;
    this.begin({ id, peer, outgoing: true, phase: 'dialing', at: now, offer: null, unanswered: true });
    this.do({ kind: 'create_peer', call: id });
    this.do({ kind: 'make_offer', call: id, generation: 0, restart: false });
    this.setTimer('ring', RING_MS);
  }

  #accept(call: Call): void {
    if (call.outgoing || call.phase !== 'ringing' || call.offer === null) return;
    this.change({ phase: 'connecting' });
    this.clearTimer('ring');
    this.do({ kind: 'stop_ringing', call: call.id });
    this.do({ kind: 'create_peer', call: call.id });
    this.do({ kind: 'open_microphone', call: call.id, muted: call.muted });
    this.do({ kind: 'make_answer', call: call.id, generation: call.generation, offer: call.offer });
    this.setTimer('connect', CONNECT_MS);
  }

  #hangUp(call: Call, now: number): void {
    if (accepted(call)) {
      this.say(call, 'normal');
      return this.end(call, connectedOr(call, 'failed'), 'hung_up', 'normal', now);
    }
    if (!call.outgoing) {
      this.say(call, 'declined');
      return this.end(call, 'declined', 'declined', 'declined', now);
    }
    this.#nobodyAnswered(call, 'hung_up', now);
  }

  // --- the other end

  #received(peer: string, signal: Signal, now: number): void {
    const { call } = this.state;
    this.forgetEarly(now);
    if (call && call.id === signal.call && call.peer === peer) return this.#ofThisCall(call, signal, now);
    const over = this.state.over.find(({ key }) => key === keyOf(peer, signal.call));
    switch (signal.type) {
      case 'offer':
        if (over) return this.sendTo(peer, { type: 'hangup', call: signal.call, reason: over.say });
        // A later generation of a call that this app does not know: it was killed in it.
        if (signal.generation > 0) return this.sendTo(peer, { type: 'hangup', call: signal.call, reason: 'normal' });
        return this.#offered(peer, signal.call, signal.sdp, signal.at, now);
      case 'answer':
      case 'ringing':
      case 'restart':
        // They believe in a call that is over here: one word ends it there too.
        return this.sendTo(peer, { type: 'hangup', call: signal.call, reason: over?.say ?? 'normal' });
      case 'hangup':
        if (!over) this.keepEarly(peer, signal.call, now, (early) => ({ ...early, hungUp: true }));
        return;
      case 'ice':
        if (!over && signal.generation === 0) {
          this.keepEarly(peer, signal.call, now, (early) => ({ ...early, candidates: merged(early.candidates, signal.candidates) }));
        }
        return;
      case 'ended':
        return this.missed(peer, signal.call, signal.at, now);
      case 'busy':
        return;
    }
  }

  /** The offer of a call that this app has not heard of. */
  #offered(peer: string, id: string, sdp: string, at: number, now: number): void {
    const { call } = this.state;
    const early = this.state.early.find(({ key }) => key === keyOf(peer, id));
    const left = Math.min(RING_MS, at + RING_MS - now);
    // Stale, or taken back before it came.
    if (left <= 0 || early?.hungUp) return this.missed(peer, id, at, now);
    if (call && call.peer !== peer) {
      this.sendTo(peer, { type: 'busy', call: id });
      this.missed(peer, id, at, now);
      return this.remember(peer, id, 'busy');
    }
    if (call?.outgoing && !accepted(call)) {
      // Glare. The higher id wins; with equal ids there is no telling, so both drop.
      if (id === call.id) return this.end(call, 'failed', 'glare', 'normal', now);
      if (id < call.id) {
        this.remember(peer, id, 'normal');
        if (call.offer !== null) this.sendOffer(call); // they may have lost the first one
        return;
      }
      this.end(call, 'no_answer', 'glare', 'normal', now);
    } else if (call) {
      // They call again: their end of this call is dead. But an older offer that was late is only late.
      if (at < call.at) return this.missed(peer, id, at, now);
      this.end(call, accepted(call) ? connectedOr(call, 'failed') : 'missed', 'replaced', 'normal', now);
    }
    this.begin({ id, peer, outgoing: false, phase: 'ringing', at, offer: sdp, unanswered: false });
    if (early) this.change({ theirs: early.candidates });
    this.state = { ...this.state, early: this.state.early.filter((one) => one !== early) };
    this.do({ kind: 'ring', call: id, peer });
    this.sendTo(peer, { type: 'ringing', call: id });
    this.setTimer('ring', left);
  }

  #ofThisCall(call: Call, signal: Signal, now: number): void {
    switch (signal.type) {
      case 'offer':
        return this.#offeredAgain(call, signal.generation, signal.sdp, now);
      case 'ringing':
        if (call.phase === 'dialing') {
          this.change({ phase: 'ringing' });
          this.clearTimer('resend');
        }
        return;
      case 'busy':
        if (call.outgoing && !accepted(call)) this.end(call, 'busy', 'busy', 'normal', now);
        return;
      case 'answer':
        return this.#answered(call, signal.generation, signal.sdp);
      case 'ice':
        if (signal.generation === call.generation) return this.#theirCandidates(call, signal.candidates);
        return;
      case 'restart':
        if (!call.outgoing || !accepted(call) || signal.generation !== call.generation) return;
        return call.unanswered ? this.sendOffer(call) : this.#nextGeneration(call);
      case 'hangup':
        return this.#theyHungUp(call, signal.reason, now);
      case 'ended':
        if (!call.outgoing && call.phase === 'ringing') this.end(call, 'missed', 'no_answer', 'normal', now);
        return;
    }
  }

  #offeredAgain(call: Call, generation: number, sdp: string, now: number): void {
    // Our own id back from them: both chose the same, which nobody can repair.
    if (call.outgoing) {
      if (!accepted(call)) this.end(call, 'failed', 'glare', 'normal', now);
      return;
    }
    if (!accepted(call)) return this.sendTo(call.peer, { type: 'ringing', call: call.id });
    if (generation === call.generation) {
      if (call.answer !== null) this.sendAnswer(call);
      return;
    }
    if (generation < call.generation) return;
    this.change({ generation, offer: sdp, answer: null, wantsRestart: false, candidates: [], theirs: [], described: false, beats: 0 });
    this.do({ kind: 'make_answer', call: call.id, generation, offer: sdp });
  }

  #answered(call: Call, generation: number, sdp: string): void {
    if (!call.outgoing || !call.unanswered || generation !== call.generation || call.offer === null) return;
    if (!accepted(call)) {
      this.change({ phase: 'connecting' });
      this.clearTimer('ring');
      this.do({ kind: 'open_microphone', call: call.id, muted: call.muted });
      this.setTimer('connect', CONNECT_MS);
    }
    this.change({ unanswered: false });
    this.do({ kind: 'apply_answer', call: call.id, generation, offer: call.offer, answer: sdp });
    this.#describedNow();
    this.setTimer('resend', RESEND_MS);
  }

  #theirCandidates(call: Call, candidates: readonly Candidate[]): void {
    const fresh = candidates.filter((one) => !known(call.theirs, one));
    this.change({ theirs: merged(call.theirs, candidates) });
    if (call.described && fresh.length > 0) this.do({ kind: 'add_candidates', call: call.id, candidates: fresh });
  }

  #theyHungUp(call: Call, reason: HangupReason, now: number): void {
    if (accepted(call)) return this.end(call, connectedOr(call, 'failed'), reason === 'failed' ? 'no_connection' : 'they_hung_up', 'normal', now);
    if (!call.outgoing) return this.end(call, 'missed', 'they_hung_up', 'normal', now);
    if (reason === 'declined') return this.end(call, 'declined', 'they_declined', 'normal', now);
    if (reason === 'busy') return this.end(call, 'busy', 'busy', 'normal', now);
    return this.end(call, 'no_answer', 'they_hung_up', 'normal', now);
  }

  // --- media

  #connected(call: Call, now: number): void {
    if (call.phase !== 'connecting' && call.phase !== 'reconnecting') return;
    this.change({ phase: 'connected', connectedAt: call.connectedAt ?? now, turn: null, wantsRestart: false });
    this.clearTimer('connect');
    this.clearTimer('reconnect');
    if (call.connectedAt === null) this.record(null, null);
  }

  #lost(call: Call): void {
    if (call.phase === 'connected') {
      this.change({ phase: 'reconnecting', beats: 0 });
      this.setTimer('reconnect', RECONNECT_MS);
      this.#restart();
    } else if (call.phase === 'connecting') {
      this.#restart(); // the connect timer goes on
    }
  }

  /** New candidates from new allocations. Only the caller offers; the callee asks. */
  #restart(): void {
    const { call } = this.state;
    if (!call || !accepted(call)) return;
    if (call.outgoing) {
      if (call.unanswered) this.sendOffer(call);
      else this.#nextGeneration(call);
      return;
    }
    this.change({ wantsRestart: true });
    this.send(call, { type: 'restart', call: call.id, generation: call.generation });
    this.setTimer('resend', RESEND_MS);
  }

  #nextGeneration(call: Call): void {
    const generation = call.generation + 1;
    this.change({ generation, offer: null, unanswered: true, candidates: [], theirs: [], described: false, beats: 0 });
    this.do({ kind: 'make_offer', call: call.id, generation, restart: true });
    this.setTimer('resend', RESEND_MS);
  }

  #describedNow(): void {
    const { call } = this.state;
    if (!call) return;
    this.change({ described: true });
    if (call.theirs.length > 0) this.do({ kind: 'add_candidates', call: call.id, candidates: call.theirs });
  }

  // --- time

  #timer(timer: TimerName, now: number): void {
    const { call } = this.state;
    if (!call) return;
    if (timer === 'ring' && !accepted(call)) {
      if (call.outgoing) this.#nobodyAnswered(call, 'no_answer', now);
      else this.end(call, 'missed', 'no_answer', 'normal', now);
    } else if (timer === 'connect' && call.phase === 'connecting') {
      // WebRTC goes on asking a TURN server that is silent for longer than anybody waits.
      this.#fail(call, call.turn ?? (call.candidates.length === 0 ? 'turn_unreachable' : 'no_connection'), now);
    } else if (timer === 'reconnect' && call.phase === 'reconnecting') {
      this.#fail(call, 'connection_lost', now);
    } else if (timer === 'resend') {
      this.#resend(call);
    }
  }

  /** Signals are not stored for long and a phone may lose its network: whatever is not settled is said again. */
  #resend(call: Call): void {
    this.change({ beats: call.beats + 1 });
    if (!accepted(call)) {
      if (call.phase !== 'dialing') return;
      this.sendOffer(call);
      return this.setTimer('resend', REDIAL_MS); // a phone that is not there finds one of a few, not one of many
    }
    const stuck = call.phase === 'reconnecting' && call.beats >= BEATS_A_GENERATION;
    const settled = call.phase === 'connected' && !call.unanswered && !call.wantsRestart;
    if (settled && call.beats >= BEATS_A_GENERATION) return;
    if (call.outgoing && call.unanswered) {
      this.sendOffer(call);
    } else if (call.outgoing && stuck) {
      return this.#nextGeneration(call);
    } else {
      if (!settled) this.sendAnswer(call);
      this.sendCandidates();
      if (!call.outgoing && (call.wantsRestart || stuck)) this.send(call, { type: 'restart', call: call.id, generation: call.generation });
    }
    this.setTimer('resend', RESEND_MS);
  }

  // --- endings

  #nobodyAnswered(call: Call, reason: Reason, now: number): void {
    this.say(call, 'normal');
    this.sendEnded(call.peer, call.id, call.at);
    this.end(call, 'no_answer', reason, 'normal', now);
  }

  #fail(call: Call, reason: Reason, now: number): void {
    this.say(call, 'failed');
    // A caller whose phone failed before anybody answered leaves a missed call behind, like one who gave up.
    if (call.outgoing && !accepted(call)) {
      this.sendEnded(call.peer, call.id, call.at);
    }
    this.end(call, connectedOr(call, 'failed'), reason, 'failed', now);
  }

  #interrupted(event: Extract<CallEvent, { kind: 'interrupted' }>): void {
    const { call, peer, outgoing, at, connectedAt, now } = event;
    this.sendTo(peer, { type: 'hangup', call, reason: 'normal' });
    if (outgoing && connectedAt === null) this.sendEnded(peer, call, at);
    const outcome: CallOutcome = connectedAt !== null ? 'answered' : outgoing ? 'no_answer' : 'missed';
    this.do({ kind: 'record', row: { call, peer, outgoing, at, connectedAt, endedAt: connectedAt ?? now, outcome } });
    this.remember(peer, call, 'normal');
  }
}
