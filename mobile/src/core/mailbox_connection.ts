import { afterEnding } from './backoff.ts';
import type { StopReason } from './backoff.ts';
import type { Clock, IdentifiedSockets, Random, SocketEnding } from './ports.ts';
import type { RelayTime } from './relay_time.ts';
import { runSession } from './session.ts';
import type { Session } from './session.ts';
import { ackFrames, parseMailboxFrame } from './wire/frames.ts';
import type { DeliveredEnvelope, DeliveredSignal, MailboxFrame } from './wire/frames.ts';

export type MailboxEvent =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'drained' }
  /** `inMs` until the next try. */
  | { readonly kind: 'reconnecting'; readonly inMs: number }
  | { readonly kind: 'stopped'; readonly reason: StopReason }
  | { readonly kind: 'prekeys_low' }
  | { readonly kind: 'mailbox_was_full' }
  | { readonly kind: 'trouble'; readonly what: string };

export interface MailboxDeps {
  readonly sockets: IdentifiedSockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: RelayTime;
  readonly url: string;
  readonly authorization: string;
  /** Settles one envelope on disk. Rejects when this machine failed: nothing is acknowledged then. */
  readonly receive: (envelope: DeliveredEnvelope) => Promise<void>;
  /** Settles one signal on disk; as for `receive`. */
  readonly receiveSignal: (signal: DeliveredSignal) => Promise<void>;
  readonly onEvent: (event: MailboxEvent) => void;
}

/** A page of the relay's deliver frames; fewer are acknowledged when the queue runs empty. */
const ACK_AT = 64;
/** Times as long between tries: a phone in a pocket spends its battery on a relay that is down. */
const BACKGROUND_PATIENCE = 4;

/** Each piece remembers the session it came on: only that one may be told that it is done. */
type Work = { readonly session: Session } & (
  | { readonly kind: 'envelope'; readonly envelope: DeliveredEnvelope }
  | { readonly kind: 'signal'; readonly signal: DeliveredSignal }
  | { readonly kind: 'drained' }
);

/** The one mailbox session: envelopes are settled one after the other, in order of arrival, and acknowledged after that. */
export class MailboxConnection {
  readonly #deps: MailboxDeps;
  #session: Session | null = null;
  #work: Work[] = [];
  /** Signals that came before `drained`. */
  #early: Work[] = [];
  #caughtUp = false;
  #working: Promise<void> | null = null;
  #attempt = 0;
  #foreground = true;
  #running = false;
  #cancelRetry: () => void = () => undefined;

  constructor(deps: MailboxDeps) {
    this.#deps = deps;
  }

  /** Nothing is waiting for us at the relay, or nobody is asking it. */
  get drained(): boolean {
    return !this.#running || (this.#caughtUp && this.#working === null);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  /** Where nobody looks, tries are further apart. Coming back to the foreground tries at once. */
  setForeground(foreground: boolean): void {
    const came = foreground && !this.#foreground;
    this.#foreground = foreground;
    if (came && this.#running && !this.#session) this.reconnect();
  }

  /** Now, whatever it was waiting for; also after another session had taken over. */
  reconnect(): void {
    if (this.#session) return;
    this.#cancelRetry();
    this.#attempt = 0;
    this.#running = true;
    this.#connect();
  }

  /** Resolves when what was being settled is settled and acknowledged. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelRetry();
    this.#work = [];
    await this.#working;
    this.#session?.close();
    this.#session = null;
  }

  #connect(): void {
    const { sockets, clock, url, authorization, onEvent } = this.#deps;
    this.#early = [];
    this.#caughtUp = false;
    onEvent({ kind: 'connecting' });
    const session: Session = runSession<MailboxFrame>((listener) => sockets.open(url, authorization, listener), parseMailboxFrame, clock, {
      hello: (hello) => {
        this.#deps.time.learn(hello.now);
        onEvent({ kind: 'live' });
      },
      frame: (frame) => this.#frame(session, frame),
      ended: (ending) => this.#ended(session, ending),
      malformed: (where) => onEvent({ kind: 'trouble', what: `the relay sent a frame this app cannot read (${where})` }),
    });
    this.#session = session;
  }

  #frame(session: Session, frame: MailboxFrame): void {
    const { onEvent } = this.#deps;
    switch (frame.type) {
      case 'deliver':
        for (const envelope of frame.envelopes) this.#work.push({ session, kind: 'envelope', envelope });
        break;
      case 'drained':
        this.#attempt = 0; // a session that got this far was a good one
        this.#work.push({ session, kind: 'drained' }, ...this.#early);
        this.#caughtUp = true;
        this.#early = [];
        break;
      case 'signal':
        // Before everything that waited is read, a call could ring that was over long ago.
        (this.#caughtUp ? this.#work : this.#early).push({ session, kind: 'signal', signal: frame });
        break;
      case 'prekeys_low':
      case 'mailbox_was_full':
        onEvent({ kind: frame.type });
        break;
      default:
        break;
    }
    this.#working ??= this.#settle();
  }

  async #settle(): Promise<void> {
    await Promise.resolve(); // so that `#working` is set before it can be cleared
    for (let work = this.#work.shift(); work; work = this.#work.shift()) {
      const { session } = work;
      if (work.kind === 'drained') {
        this.#deps.onEvent({ kind: 'drained' });
        continue;
      }
      if (work.kind === 'signal') {
        await this.#settleSignal(session, work.signal);
        continue;
      }
      const done: string[] = [];
      try {
        for (let next: Work | undefined = work; next?.kind === 'envelope'; next = this.#nextOf(session, done.length)) {
          await this.#deps.receive(next.envelope);
          done.push(next.envelope.id);
        }
      } catch (error) {
        // A closed session delivers again what was not acknowledged.
        for (const ack of ackFrames(done)) session.send(ack);
        this.#deps.onEvent({ kind: 'trouble', what: `a message could not be stored: ${error instanceof Error ? error.message : 'unknown'}` });
        session.close();
        continue;
      }
      for (const ack of ackFrames(done)) session.send(ack);
    }
    // In the same turn as the last look at the queue: a frame that comes a microtask later must find nobody working.
    this.#working = null;
  }

  async #settleSignal(session: Session, signal: DeliveredSignal): Promise<void> {
    try {
      await this.#deps.receiveSignal(signal);
      for (const ack of ackFrames([signal.id])) session.send(ack);
    } catch (error) {
      // Not acknowledged, so it comes again as long as it is worth something; the session and the mail on it are fine.
      this.#deps.onEvent({ kind: 'trouble', what: `a signal could not be stored: ${error instanceof Error ? error.message : 'unknown'}` });
    }
  }

  /** The next envelope of the same session, to be acknowledged in one frame with those before it. */
  #nextOf(session: Session, done: number): Work | undefined {
    const next = this.#work[0];
    return next?.kind === 'envelope' && next.session === session && done < ACK_AT ? this.#work.shift() : undefined;
  }

  #ended(session: Session, ending: SocketEnding): void {
    if (this.#session !== session && this.#session !== null) return;
    this.#session = null;
    this.#work = []; // not acknowledged, so it comes again
    this.#early = [];
    this.#caughtUp = false;
    if (!this.#running) return;
    const { clock, random, onEvent } = this.#deps;
    const next = afterEnding(ending, this.#attempt, (random.bytes(1)[0] ?? 0) / 255);
    this.#attempt += 1;
    if (next.kind === 'stop') {
      this.#running = false;
      onEvent({ kind: 'stopped', reason: next.reason });
      return;
    }
    const inMs = this.#foreground ? next.inMs : next.inMs * BACKGROUND_PATIENCE;
    onEvent({ kind: 'reconnecting', inMs });
    this.#cancelRetry = clock.after(inMs, () => {
      if (this.#running) this.#connect();
    });
  }
}
