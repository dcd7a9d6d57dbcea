import type { AnonymousSockets, Clock, SocketEnding } from './ports.ts';
import type { RelayTime } from './relay_time.ts';
import { runSession } from './session.ts';
import type { Session } from './session.ts';
import { parsePostFrame, postFrames, signalFrame } from './wire/frames.ts';
import type { PostedEnvelope, PostFrame } from './wire/frames.ts';

export type PostAnswer =
  | { readonly kind: 'posted' }
  | { readonly kind: 'refused'; readonly code: string; readonly retryAfterS: number | null }
  /** The session ended first, with this close code: whether the relay has it is not known. */
  | { readonly kind: 'lost'; readonly ending: number };

export interface PostDeps {
  readonly sockets: AnonymousSockets;
  readonly clock: Clock;
  readonly time: RelayTime;
  readonly url: string;
}

const IDLE_MS = 60_000;
const ANSWER_WITHIN_MS = 30_000;

interface Waiting {
  readonly settle: (answer: PostAnswer) => void;
}

/**
 * Post sessions to one recipient: one is opened when there is something to post and closed after a minute without use.
 * An instance must never be used for two recipients, since one session would tie them together.
 */
export class PostConnection {
  readonly #deps: PostDeps;
  #session: Session | null = null;
  #greeted = false;
  #toSend: string[] = [];
  readonly #waiting = new Map<string, Waiting>();
  #cancelIdle: () => void = () => undefined;
  #cancelWait: () => void = () => undefined;

  constructor(deps: PostDeps) {
    this.#deps = deps;
  }

  /** Never rejects. The answers are in the order of the envelopes. */
  post(envelopes: readonly PostedEnvelope[]): Promise<readonly PostAnswer[]> {
    return this.#submit(envelopes, postFrames(envelopes));
  }

  /** Never rejects. Not durable: gone after `ttlS` seconds, or when the relay dies. */
  async signal(signal: PostedEnvelope, ttlS: number): Promise<PostAnswer> {
    const [answer] = await this.#submit([signal], [signalFrame(signal, ttlS)]);
    return answer ?? { kind: 'lost', ending: 1006 };
  }

  #submit(envelopes: readonly PostedEnvelope[], frames: readonly string[]): Promise<readonly PostAnswer[]> {
    const answers = envelopes.map(
      ({ id }) =>
        new Promise<PostAnswer>((resolve) => {
          this.#waiting.set(id, { settle: resolve });
        }),
    );
    this.#toSend.push(...frames);
    this.#cancelIdle();
    if (!this.#session) this.#open();
    else if (this.#greeted) this.#flush();
    return Promise.all(answers);
  }

  close(): void {
    this.#session?.close();
  }

  #open(): void {
    const { sockets, clock, url, time } = this.#deps;
    this.#greeted = false;
    const session = runSession<PostFrame>((listener) => sockets.open(url, listener), parsePostFrame, clock, {
      hello: (hello) => {
        time.learn(hello.now);
        this.#greeted = true;
        this.#flush();
      },
      frame: (frame) => this.#frame(frame),
      ended: (ending) => this.#ended(session, ending),
      malformed: () => undefined,
    });
    this.#session = session;
  }

  #flush(): void {
    for (const frame of this.#toSend.splice(0)) this.#session?.send(frame);
    this.#cancelWait();
    // The heartbeat notices a dead relay; this notices one that lives and does not answer.
    this.#cancelWait = this.#deps.clock.after(ANSWER_WITHIN_MS, () => this.#session?.close());
  }

  #frame(frame: PostFrame): void {
    if (frame.type === 'posted') for (const id of frame.ids) this.#answer(id, { kind: 'posted' });
    if (frame.type === 'refused') {
      if (frame.now !== null) this.#deps.time.learn(frame.now);
      this.#answer(frame.id, { kind: 'refused', code: frame.code, retryAfterS: frame.retryAfterS });
    }
    if (this.#waiting.size === 0) {
      this.#cancelWait();
      this.#cancelIdle();
      this.#cancelIdle = this.#deps.clock.after(IDLE_MS, () => this.#session?.close());
    }
  }

  #answer(id: string, answer: PostAnswer): void {
    this.#waiting.get(id)?.settle(answer);
    this.#waiting.delete(id);
  }

  #ended(session: Session, ending: SocketEnding): void {
    if (this.#session !== session && this.#session !== null) return;
    this.#session = null;
    this.#toSend = [];
    this.#cancelIdle();
    this.#cancelWait();
    for (const id of [...this.#waiting.keys()]) this.#answer(id, { kind: 'lost', ending: ending.code });
  }
}
