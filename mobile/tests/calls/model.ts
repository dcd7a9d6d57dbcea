/**
 * Two call machines, a channel that loses, doubles, delays and reorders, a crude model of media, and a clock that is turned by
 * hand. Everything comes from one seed, so a failing scenario can be run again.
 */
import { turn } from '../../src/core/calls/machine.ts';
import type { CallEvent, Candidate, Effect, RecordedCall, Signal, TimerName } from '../../src/core/calls/events.ts';
import { IDLE, MOST_EARLY, MOST_OVER } from '../../src/core/calls/state.ts';
import type { CallState } from '../../src/core/calls/state.ts';

export type Name = 'ada' | 'bob';

export type Action =
  | { readonly kind: 'dial'; readonly id?: string }
  | { readonly kind: 'accept' | 'hang_up' | 'network_changed' | 'kill' | 'revive' }
  | { readonly kind: 'mute'; readonly muted: boolean }
  /** Media of everybody, as by a TURN server that goes and comes back. */
  | { readonly kind: 'turn'; readonly up: boolean };

export interface Faults {
  /** Shares from 0 to 1, of signals; mail is never lost. */
  readonly loss: number;
  readonly doubling: number;
  readonly slowestMs: number;
}

interface Peer {
  readonly call: string;
  generation: number;
  /** The network under it when this generation was applied; another one by now makes it useless. */
  epoch: number;
  described: boolean;
  candidates: number;
  reported: 'new' | 'connected' | 'lost';
  brokenSince: number | null;
}

const MEDIA_EVERY_MS = 250;
const LOST_AFTER_MS = 2_000;

class End {
  readonly name: Name;
  state: CallState = IDLE;
  alive = true;
  epoch = 0;
  peer: Peer | null = null;
  readonly microphones = new Set<string>();
  readonly ringing = new Set<string>();
  readonly timers = new Map<TimerName, number>();
  readonly log = new Map<string, RecordedCall>();
  mail: Signal[] = [];

  constructor(name: Name) {
    this.name = name;
  }
}

export class World {
  now = 1_000_000_000;
  faults: Faults;
  turnUp = true;
  readonly ends: Readonly<Record<Name, End>> = { ada: new End('ada'), bob: new End('bob') };
  /** Breaches of what must hold at every step. */
  readonly breaches: string[] = [];
  readonly trace: string[] = [];
  readonly accepted = new Set<string>();
  readonly endedByMail: { readonly to: Name; readonly call: string }[] = [];
  /** The generation whose media goes between them, and the networks it was made for. */
  #path: { readonly call: string; readonly generation: number; readonly ada: number; readonly bob: number } | null = null;
  #queue: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;
  #random: number;
  #calls = 0;

  constructor(seed: number, faults: Faults) {
    this.#random = seed >>> 0 || 1;
    this.faults = faults;
    this.#later(MEDIA_EVERY_MS, () => this.#media());
  }

  /** xorshift32: small, and the same everywhere. */
  #roll(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random / 2 ** 32;
  }

  #later(ms: number, run: () => void): void {
    this.#order += 1;
    this.#queue.push({ at: this.now + ms, order: this.#order, run });
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const [next] = this.#queue.sort((a, b) => a.at - b.at || a.order - b.order);
      if (!next || next.at > end) break;
      this.#queue.shift();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  act(name: Name, action: Action): void {
    const end = this.ends[name];
    const { call } = end.state;
    if (action.kind === 'turn') {
      this.turnUp = action.up;
      return;
    }
    if (action.kind === 'revive') return this.#revive(end);
    if (!end.alive) return;
    switch (action.kind) {
      case 'dial': {
        this.#calls += 1;
        const id = action.id ?? `${(Math.floor(this.#roll() * 900) + 100).toString()}-${this.#calls}-${name}`;
        return this.feed(end, { kind: 'dial', call: id, peer: other(name), now: this.now });
      }
      case 'accept':
        if (!call) return;
        if (!call.outgoing && call.phase === 'ringing') this.accepted.add(call.id);
        return this.feed(end, { kind: 'accept', call: call.id, now: this.now });
      case 'hang_up':
        return call ? this.feed(end, { kind: 'hang_up', call: call.id, now: this.now }) : undefined;
      case 'mute':
        return call ? this.feed(end, { kind: 'mute', call: call.id, muted: action.muted }) : undefined;
      case 'network_changed':
        end.epoch += 1;
        return this.feed(end, { kind: 'network_changed' });
      case 'kill':
        end.alive = false;
        end.state = IDLE;
        end.peer = null;
        end.microphones.clear();
        end.ringing.clear();
        end.timers.clear();
        return;
    }
  }

  #revive(end: End): void {
    if (end.alive) return;
    end.alive = true;
    for (const row of end.log.values()) {
      if (row.outcome !== null) continue;
      const { call, peer, outgoing, at, connectedAt } = row;
      this.feed(end, { kind: 'interrupted', call, peer, outgoing, at, connectedAt, now: this.now });
    }
    for (const signal of end.mail.splice(0)) this.feed(end, { kind: 'received', peer: other(end.name), signal, now: this.now });
  }

  feed(end: End, event: CallEvent): void {
    const before = end.state.call;
    const { state, effects } = turn(end.state, event);
    end.state = state;
    const told = event.kind === 'received' ? `${event.signal.type} ${event.signal.call}` : event.kind === 'timer' ? `timer ${event.timer}` : event.kind;
    this.trace.push(`${this.now} ${end.name} ${before?.phase ?? '-'} --${told}--> ${state.call?.phase ?? '-'} [${effects.map(({ kind }) => kind).join(' ')}]`);
    for (const effect of effects) this.#carryOut(end, effect);
    this.#judge(end);
  }

  #carryOut(end: End, effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return effect.durable ? this.#post(end, effect.signal) : this.#signal(end, effect.signal, effect.ttlS);
      case 'create_peer':
        if (end.peer) this.breaches.push(`${end.name}: a second peer connection`);
        end.peer = { call: effect.call, generation: -1, epoch: end.epoch, described: false, candidates: 0, reported: 'new', brokenSince: null };
        return;
      case 'close_peer':
        if (end.peer?.call !== effect.call) this.breaches.push(`${end.name}: closed a peer connection that is not there`);
        end.peer = null;
        return;
      case 'make_offer':
        return this.#soon(end, effect.call, () => ({ kind: 'offer_made', call: effect.call, generation: effect.generation, sdp: `offer ${effect.generation}` }));
      case 'make_answer':
        this.#gathers(end, effect.call, effect.generation);
        return this.#soon(end, effect.call, () => ({ kind: 'answer_made', call: effect.call, generation: effect.generation, sdp: `answer ${effect.generation}` }));
      case 'apply_answer':
        return this.#gathers(end, effect.call, effect.generation);
      case 'add_candidates':
        if (!end.peer?.described) this.breaches.push(`${end.name}: candidates before a description`);
        else end.peer.candidates += effect.candidates.length;
        return;
      case 'open_microphone':
        end.microphones.add(effect.call);
        return;
      case 'close_microphone':
        end.microphones.delete(effect.call);
        return;
      case 'ring':
        end.ringing.add(effect.call);
        return;
      case 'stop_ringing':
        end.ringing.delete(effect.call);
        return;
      case 'set_timer': {
        const at = this.now + effect.ms;
        end.timers.set(effect.timer, at);
        this.#later(effect.ms, () => {
          if (!end.alive || end.timers.get(effect.timer) !== at) return;
          end.timers.delete(effect.timer);
          this.feed(end, { kind: 'timer', timer: effect.timer, now: this.now });
        });
        return;
      }
      case 'clear_timer':
        end.timers.delete(effect.timer);
        return;
      case 'record': {
        const held = end.log.get(effect.row.call);
        if (!held || held.outcome === null) end.log.set(effect.row.call, effect.row);
        return;
      }
      case 'mute':
        return;
    }
  }

  /** Both descriptions are applied: from here on the network is asked for candidates. */
  #gathers(end: End, call: string, generation: number): void {
    if (!this.accepted.has(call)) this.breaches.push(`${end.name}: gathers for a call that nobody accepted`);
    if (!end.peer) {
      this.breaches.push(`${end.name}: a description without a peer connection`);
      return;
    }
    Object.assign(end.peer, { generation, epoch: end.epoch, described: true, candidates: 0 });
    const candidate: Candidate = { candidate: `${end.name} ${generation} ${end.epoch}`, mid: '0', line: 0 };
    const up = this.turnUp;
    this.#soon(end, call, () => (up ? { kind: 'candidates', call, generation, candidates: [candidate] } : { kind: 'turn_trouble', call, reason: 'turn_unreachable' }));
    this.#soon(end, call, () => ({ kind: 'gathered', call, generation, count: up ? 1 : 0, now: this.now }));
  }

  /** What a peer connection answers, in order, a moment later; never after it was closed. */
  #soon(end: End, call: string, event: () => CallEvent): void {
    const { peer } = end;
    this.#later(5 + Math.floor(this.#roll() * 40), () => {
      if (end.alive && end.peer === peer && peer?.call === call) this.feed(end, event());
    });
  }

  #post(from: End, signal: Signal): void {
    const to = this.ends[other(from.name)];
    this.endedByMail.push({ to: to.name, call: signal.call });
    this.#later(Math.floor(this.#roll() * this.faults.slowestMs), () => {
      if (to.alive) this.feed(to, { kind: 'received', peer: from.name, signal, now: this.now });
      else to.mail.push(signal);
    });
  }

  #signal(from: End, signal: Signal, ttlS: number): void {
    if (ttlS < 1 || ttlS > 60) this.breaches.push(`${from.name}: a ttl of ${ttlS}`);
    const to = this.ends[other(from.name)];
    const copies = this.#roll() < this.faults.loss ? 0 : this.#roll() < this.faults.doubling ? 2 : 1;
    const sent = this.now;
    const arrive = (): void => {
      if (to.alive) this.feed(to, { kind: 'received', peer: from.name, signal, now: this.now });
      // A relay keeps it for a phone that is not there.
      else if (this.now + 1_000 < sent + ttlS * 1_000) this.#later(1_000, arrive);
    };
    for (let i = 0; i < copies; i += 1) this.#later(Math.floor(this.#roll() * this.faults.slowestMs), arrive);
  }

  #media(): void {
    this.#later(MEDIA_EVERY_MS, () => this.#media());
    const { ada, bob } = this.ends;
    const [one, two] = [ada.peer, bob.peer];
    if (one && two && one.call === two.call && one.described && two.described && one.generation === two.generation && one.candidates > 0 && two.candidates > 0) {
      this.#path = { call: one.call, generation: one.generation, ada: one.epoch, bob: two.epoch };
    }
    for (const end of [ada, bob]) {
      const { peer } = end;
      if (!peer) continue;
      if (this.flows()) {
        peer.brokenSince = null;
        if (peer.reported === 'connected') continue;
        peer.reported = 'connected';
        this.feed(end, { kind: 'media', call: peer.call, media: 'connected', now: this.now });
      } else if (peer.reported === 'connected') {
        peer.brokenSince ??= this.now;
        if (this.now - peer.brokenSince < LOST_AFTER_MS) continue;
        peer.reported = 'lost';
        this.feed(end, { kind: 'media', call: peer.call, media: 'lost', now: this.now });
      }
    }
  }

  /** Whether one hears the other. */
  flows(): boolean {
    const { ada, bob } = this.ends;
    const path = this.#path;
    return path !== null && this.turnUp && ada.peer?.call === path.call && bob.peer?.call === path.call && ada.epoch === path.ada && bob.epoch === path.bob;
  }

  #judge(end: End): void {
    const { call, over, early } = end.state;
    const breach = (what: string): void => void this.breaches.push(`${end.name}: ${what}`);
    const open = call !== null && ['connecting', 'connected', 'reconnecting'].includes(call.phase);
    if (end.microphones.size !== (open ? 1 : 0)) breach(`${end.microphones.size} microphones in ${call?.phase ?? 'no call'}`);
    if (open && !end.microphones.has(call.id)) breach('the microphone of another call');
    if ((end.peer !== null) !== (call !== null && (call.outgoing || open))) breach(`a peer connection ${end.peer ? 'left over' : 'missing'} in ${call?.phase ?? 'no call'}`);
    if (end.ringing.size !== (call?.phase === 'ringing' && !call.outgoing ? 1 : 0)) breach('rings, or does not, when it should not, or should');
    if (!call && end.timers.size > 0) breach(`timers left: ${[...end.timers.keys()].join(' ')}`);
    if (call && end.timers.size === 0 && call.phase !== 'connected') breach(`nothing would ever end ${call.phase}`);
    if (over.length > MOST_OVER || early.length > MOST_EARLY) breach('memory without bound');
  }

  /** What must hold when nothing has happened for long and the network is well. */
  verdict(): readonly string[] {
    const found = [...this.breaches];
    const { ada, bob } = this.ends;
    const [one, two] = [ada.state.call, bob.state.call];
    if ((one === null) !== (two === null) || one?.id !== two?.id) found.push(`no agreement: ${one?.phase ?? 'over'} ${one?.id ?? ''}, ${two?.phase ?? 'over'} ${two?.id ?? ''}`);
    for (const call of [one, two]) if (call && call.phase !== 'connected') found.push(`still ${call.phase}`);
    if (one && two && !this.flows()) found.push('both say connected and nobody hears anything');
    for (const end of [ada, bob]) {
      for (const row of end.log.values()) if (row.outcome === null && row.call !== end.state.call?.id) found.push(`${end.name}: the log of ${row.call} is open`);
    }
    for (const { to, call } of this.endedByMail) if (!this.ends[to].log.has(call)) found.push(`${to}: no row for ${call}, which nobody answered`);
    return found;
  }

  /** The network is well, nobody does anything, everybody is there. */
  calm(ms: number): void {
    this.faults = { loss: 0, doubling: 0, slowestMs: 50 };
    this.turnUp = true;
    for (const name of ['ada', 'bob'] as const) this.act(name, { kind: 'revive' });
    this.run(ms);
  }
}

export function other(name: Name): Name {
  return name === 'ada' ? 'bob' : 'ada';
}
