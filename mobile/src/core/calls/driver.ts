import { Malformed } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { RelayTime } from '../relay_time.ts';
import type { Store } from '../storage/store.ts';
import type { CallSignal } from '../wire/call.ts';
import type { CallEvent, Candidate, Effect, RecordedCall, Signal, TimerName } from './events.ts';
import { turn } from './machine.ts';
import type { PeerConnection, PeerConnections, Quality, TurnServer } from './ports.ts';
import { permittedCandidate, voiceSdp } from './sdp.ts';
import { decodeSignal, encodeSignal } from './signals.ts';
import { IDLE, MOST_CANDIDATES } from './state.ts';
import type { CallState } from './state.ts';

/** The phone's own way to ring; a headless client prints. Called after the log has the call. */
export interface Ringer {
  ring(call: string, peer: string): void;
  stop(call: string): void;
}

export interface CallDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly time: RelayTime;
  readonly peers: PeerConnections;
  readonly ringer: Ringer;
  /** Credentials that were fetched ahead; null: none. */
  readonly turnServer: () => TurnServer | null;
  /** By the signal lane, once. Rejects when it did not leave: the machine says again what matters. */
  readonly signal: (peer: string, signal: CallSignal, ttlS: number) => Promise<unknown>;
  /** By mail. */
  readonly post: (peer: string, signal: CallSignal) => Promise<void>;
  /** Told after the log was written, and when the call's state, mute or quality changed. */
  readonly onChange: (what: 'call' | 'log', peer: string) => void;
  readonly onTrouble: (what: string) => void;
}

interface Peer {
  readonly call: string;
  readonly connection: PeerConnection;
  /** Of the descriptions applied last. */
  generation: number;
  candidates: Candidate[];
  cancelBatch: () => void;
}

/** Candidates that come this close together leave in one signal. */
const BATCH_MS = 60;
const QUALITY_EVERY_MS = 5_000;

/** Signals that the relay has not answered for; past it, nothing more is said until it does. What matters is said again. */
const MOST_UNANSWERED = 32;

/**
 * Brings events to the machine and carries out what it says. What is done with a peer connection is done in order, one thing
 * after the other, and so is the log. Signals do not wait for each other: one that is stuck must not hold up a hang-up.
 */
export class Calls {
  readonly #deps: CallDeps;
  #state: CallState = IDLE;
  /** Of the call that is going on. */
  #relayOnly = true;
  #peer: Peer | null = null;
  #quality: Quality | null = null;
  #cancelQuality: () => void = () => undefined;
  readonly #timers = new Map<TimerName, () => void>();
  #media: Promise<void> = Promise.resolve();
  #log: Promise<void> = Promise.resolve();
  readonly #saying = new Set<Promise<void>>();

  constructor(deps: CallDeps) {
    this.#deps = deps;
  }

  get state(): CallState {
    return this.#state;
  }

  get relayOnly(): boolean {
    return this.#relayOnly;
  }

  get quality(): Quality | null {
    return this.#quality;
  }

  /** Once, after a start: calls in which the app was killed are ended at the other end and in the log. */
  async recover(): Promise<void> {
    for (const { id, peer, outgoing, startedAt, connectedAt } of await this.#deps.store.calls.open()) {
      if (this.#state.call?.id === id) continue;
      const at = { at: startedAt * 1000, connectedAt: connectedAt === null ? null : connectedAt * 1000 };
      this.#feed({ kind: 'interrupted', call: id, peer, outgoing, ...at, now: this.#now() });
    }
    await this.#log;
  }

  /** `direct`: addresses of this phone may be shown to the peer. */
  dial(call: string, peer: string, direct: boolean): void {
    this.#relayOnly = !direct;
    this.#feed({ kind: 'dial', call, peer, now: this.#now() });
  }

  accept(call: string, direct: boolean): void {
    this.#relayOnly = !direct;
    this.#feed({ kind: 'accept', call, now: this.#now() });
  }

  hangUp(call: string): void {
    this.#feed({ kind: 'hang_up', call, now: this.#now() });
  }

  mute(call: string, muted: boolean): void {
    this.#feed({ kind: 'mute', call, muted });
  }

  networkChanged(): void {
    this.#feed({ kind: 'network_changed' });
  }

  /** A content of kind `call`. What cannot be read is dropped: it may be of a newer app. */
  heard(peer: string, signal: CallSignal): void {
    let read: Signal;
    try {
      read = decodeSignal(signal);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#deps.onTrouble(`a call signal could not be read (${error.where})`);
      return;
    }
    this.#feed({ kind: 'received', peer, signal: read, now: this.#now() });
  }

  /** Hangs up, and resolves when everything is said, closed and written. */
  async stop(): Promise<void> {
    const { call } = this.#state;
    if (call) this.hangUp(call.id);
    for (const timer of [...this.#timers.keys()]) this.#clearTimer(timer);
    await this.#media;
    await Promise.all(this.#saying);
    await this.#log;
  }

  #now(): number {
    return this.#deps.time.nowMs();
  }

  #feed(event: CallEvent): void {
    const before = this.#state;
    const { state, effects } = turn(before, event);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    if (state.call?.phase === 'connected' && before.call?.phase !== 'connected') this.#watchQuality();
    if (state !== before) this.#deps.onChange('call', (state.call ?? before.call ?? state.last)?.peer ?? '');
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.#say(effect.peer, encodeSignal(effect.signal, this.#relayOnly), effect.ttlS, effect.durable);
      case 'create_peer':
        return this.#create(effect.call);
      case 'close_peer':
        return this.#close();
      case 'make_offer':
        return this.#withPeer(effect.call, async ({ connection }) => {
          const sdp = voiceSdp(await connection.offer(effect.restart));
          return { kind: 'offer_made', call: effect.call, generation: effect.generation, sdp };
        });
      case 'make_answer':
        return this.#withPeer(effect.call, async (peer) => {
          this.#begins(peer, effect.generation);
          const sdp = voiceSdp(await peer.connection.answer(effect.offer));
          return { kind: 'answer_made', call: effect.call, generation: effect.generation, sdp };
        });
      case 'apply_answer':
        return this.#withPeer(effect.call, async (peer) => {
          this.#begins(peer, effect.generation);
          await peer.connection.applyAnswer(effect.offer, effect.answer);
          return null;
        });
      case 'add_candidates':
        return this.#withPeer(effect.call, async ({ connection }) => {
          for (const candidate of effect.candidates) await connection.addCandidate(candidate);
          return null;
        });
      case 'open_microphone':
        return this.#withPeer(effect.call, async ({ connection }) => {
          await connection.openMicrophone(this.#state.call?.muted ?? effect.muted);
          return null;
        });
      case 'close_microphone': // closed with its connection, in the same breath
        return;
      case 'mute':
        return this.#peer?.call === effect.call ? this.#peer.connection.setMuted(effect.muted) : undefined;
      case 'ring':
        return void this.#log.then(() => this.#deps.ringer.ring(effect.call, effect.peer));
      case 'stop_ringing':
        return void this.#log.then(() => this.#deps.ringer.stop(effect.call));
      case 'set_timer':
        this.#clearTimer(effect.timer);
        this.#timers.set(effect.timer, this.#deps.clock.after(effect.ms, () => this.#feed({ kind: 'timer', timer: effect.timer, now: this.#now() })));
        return;
      case 'clear_timer':
        return this.#clearTimer(effect.timer);
      case 'record':
        return this.#record(effect.row);
    }
  }

  // --- the peer connection

  #create(call: string): void {
    const alive = (): Peer | null => (this.#peer?.call === call ? this.#peer : null);
    try {
      const connection = this.#deps.peers.create({
        turn: this.#deps.turnServer(),
        relayOnly: this.#relayOnly,
        listener: {
          candidate: (candidate) => this.#candidate(alive(), candidate),
          gathered: () => this.#gathered(alive()),
          turnTrouble: (reason) => this.#feed({ kind: 'turn_trouble', call, reason }),
          media: (media) => this.#feed({ kind: 'media', call, media, now: this.#now() }),
        },
      });
      this.#peer = { call, connection, generation: 0, candidates: [], cancelBatch: () => undefined };
    } catch (error) {
      this.#mediaFailed(call, error);
    }
  }

  #close(): void {
    this.#peer?.cancelBatch();
    this.#peer?.connection.close();
    this.#peer = null;
    this.#quality = null;
    this.#cancelQuality();
  }

  /** In order. What a connection answers after it was closed, or fails with, is nobody's. */
  #withPeer(call: string, work: (peer: Peer) => Promise<CallEvent | null>): void {
    this.#media = this.#media.then(async () => {
      const peer = this.#peer;
      if (!peer || peer.call !== call) return;
      try {
        const event = await work(peer);
        if (event && this.#peer === peer) this.#feed(event);
      } catch (error) {
        if (this.#peer === peer) this.#mediaFailed(call, error);
      }
    });
  }

  #mediaFailed(call: string, error: unknown): void {
    this.#deps.onTrouble(`the call's media failed: ${error instanceof Error ? error.name : 'unknown'}`); // its text may hold addresses
    void Promise.resolve().then(() => this.#feed({ kind: 'media_failed', call, now: this.#now() }));
  }

  #begins(peer: Peer, generation: number): void {
    peer.cancelBatch();
    peer.generation = generation;
    peer.candidates = [];
  }

  #candidate(peer: Peer | null, candidate: Candidate): void {
    const permitted = permittedCandidate(candidate, this.#relayOnly);
    if (!peer || !permitted || peer.candidates.length >= MOST_CANDIDATES) return;
    peer.candidates = [...peer.candidates, permitted];
    peer.cancelBatch();
    peer.cancelBatch = this.#deps.clock.after(BATCH_MS, () => this.#flush(peer));
  }

  #flush(peer: Peer): void {
    peer.cancelBatch();
    const { call, generation, candidates } = peer;
    if (this.#peer === peer && candidates.length > 0) this.#feed({ kind: 'candidates', call, generation, candidates });
  }

  #gathered(peer: Peer | null): void {
    if (!peer) return;
    this.#flush(peer);
    const { call, generation, candidates } = peer;
    this.#feed({ kind: 'gathered', call, generation, count: candidates.length, now: this.#now() });
  }

  #watchQuality(): void {
    this.#cancelQuality();
    this.#cancelQuality = this.#deps.clock.after(QUALITY_EVERY_MS, () => {
      const peer = this.#peer;
      if (!peer) return;
      void peer.connection.quality().then(
        (quality) => {
          if (this.#peer !== peer) return;
          this.#quality = quality;
          this.#deps.onChange('call', this.#state.call?.peer ?? '');
          this.#watchQuality();
        },
        () => undefined, // closed meanwhile
      );
    });
  }

  // --- what leaves, and what is written

  #say(peer: string, signal: CallSignal, ttlS: number, durable: boolean): void {
    if (!durable && this.#saying.size >= MOST_UNANSWERED) return;
    const { post, signal: send, onTrouble } = this.#deps;
    const mine = (durable ? post(peer, signal) : send(peer, signal, ttlS)).then(
      () => undefined,
      (error: unknown) => onTrouble(`a call signal did not leave: ${error instanceof Error ? error.message : 'unknown'}`),
    );
    this.#saying.add(mine);
    void mine.finally(() => this.#saying.delete(mine));
  }

  #record({ call, peer, outgoing, at, connectedAt, endedAt, outcome }: RecordedCall): void {
    const { store, time, onChange, onTrouble } = this.#deps;
    const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1000));
    const row = { id: call, peer, outgoing, startedAt: Math.floor(at / 1000), connectedAt: seconds(connectedAt), endedAt: seconds(endedAt), outcome };
    this.#log = this.#log.then(async () => {
      try {
        await store.write(store.calls.record(row, time.nowS()));
        onChange('log', peer);
      } catch (error) {
        onTrouble(`a call could not be logged: ${error instanceof Error ? error.message : 'unknown'}`);
      }
    });
  }

  #clearTimer(timer: TimerName): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }
}
