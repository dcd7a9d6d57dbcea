/** Time that only moves when told, and a relay's end of a socket that does only what the test says. */
import type { Clock, Random, Socket, SocketEnding, SocketListener } from '../../src/core/ports.ts';

export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; run: () => void }[] = [];

  constructor(now = Date.UTC(2026, 10, 22)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on, running what comes due in its order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
    await settle();
  }

  get pending(): number {
    return this.#timers.length;
  }
}

/** Lets everything run that needs no timer and no I/O. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await Promise.resolve();
}

export const steadyRandom: Random = { bytes: (count) => new Uint8Array(count).fill(128) };

export class ScriptedSocket implements Socket {
  readonly url: string;
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | null = null;
  readonly #listener: SocketListener;

  constructor(url: string, listener: SocketListener) {
    this.url = url;
    this.#listener = listener;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(code: number): void {
    this.closedWith ??= code;
  }

  // --- the relay's end

  says(frame: unknown): void {
    this.#listener.received(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  hello(fields: Record<string, unknown> = {}): void {
    this.says({ type: 'hello', protocol: 1, now: Math.floor(Date.UTC(2026, 10, 22) / 1000), ping_every_s: 25, answer_within_s: 10, ...fields });
  }

  ends(code: number, httpStatus: SocketEnding['httpStatus'] = null): void {
    this.#listener.closed({ code, httpStatus });
  }
}

export class ScriptedSockets {
  readonly opened: ScriptedSocket[] = [];
  readonly authorizations: string[] = [];

  get last(): ScriptedSocket {
    const socket = this.opened.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  readonly identified = {
    open: (url: string, authorization: string, listener: SocketListener): Socket => {
      this.authorizations.push(authorization);
      return this.#open(url, listener);
    },
  };

  readonly anonymous = { open: (url: string, listener: SocketListener): Socket => this.#open(url, listener) };

  #open(url: string, listener: SocketListener): ScriptedSocket {
    const socket = new ScriptedSocket(url, listener);
    this.opened.push(socket);
    return socket;
  }
}

/** The machine's clock, which a test may move on: timers that come due by that run at once. With real sockets, so real time goes on as well. */
export class SkippingClock implements Clock {
  #skipped = 0;
  readonly #timers = new Set<{ at: number; run: () => void; timeout: NodeJS.Timeout }>();

  now(): number {
    return Date.now() + this.#skipped;
  }

  after(ms: number, run: () => void): () => void {
    const end = (): void => {
      clearTimeout(timer.timeout);
      this.#timers.delete(timer);
    };
    const timer = {
      at: this.now() + ms,
      run: () => {
        end();
        run();
      },
      timeout: setTimeout(() => timer.run(), Math.min(ms, 2 ** 31 - 1)),
    };
    this.#timers.add(timer);
    return end;
  }

  skip(ms: number): void {
    this.#skipped += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) if (timer.at <= this.now()) timer.run();
  }
}
