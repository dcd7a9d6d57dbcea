/**
 * An app that dies at a chosen step, as `kill -9` would have it: every return of a port (database, HTTP, socket frame, timer) is a
 * step, and once dead nothing of it has any effect any more. What it had written stays, what it had sent is sent.
 */
import type { AnonymousSockets, Clock, Database, IdentifiedSockets, SocketListener, Socket } from '../../src/core/ports.ts';
import type { HttpAnswer } from '../../src/core/ports.ts';
import { systemClock } from '../../src/node/machine.ts';
import { anonymousLane, identifiedLane, Lane } from '../../src/node/network.ts';
import { TestApp } from './apps.ts';

export class DyingApp {
  steps = 0;
  readonly death: Promise<void>;
  readonly #dieAt: number;
  #died: () => void = () => undefined;
  #dead = false;
  readonly #sockets = new Set<Socket>();

  constructor(dieAt: number) {
    this.#dieAt = dieAt;
    this.death = new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** False from the step at which it dies. */
  step(): boolean {
    if (this.#dead) return false;
    this.steps += 1;
    if (this.steps === this.#dieAt) {
      this.#dead = true;
      for (const socket of this.#sockets) socket.close(1000); // what the kernel does
      this.#died();
    }
    return !this.#dead;
  }

  async #point(): Promise<void> {
    if (!this.step()) await new Promise<never>(() => undefined);
  }

  database(real: Database): Database {
    return {
      read: async (statement) => {
        if (this.#dead) await this.#point();
        const rows = await real.read(statement);
        await this.#point();
        return rows;
      },
      write: async (statements) => {
        await this.#point();
        await real.write(statements);
        await this.#point();
      },
      close: () => real.close(),
    };
  }

  readonly clock: Clock = {
    now: () => systemClock.now(),
    after: (ms, run) => systemClock.after(ms, () => !this.#dead && run()),
  };

  async #request(request: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    await this.#point();
    const answer = await request();
    await this.#point();
    return answer;
  }

  #open(open: (listener: SocketListener) => Socket, listener: SocketListener): Socket {
    const real = open({
      opened: () => !this.#dead && listener.opened(),
      received: (text) => {
        if (this.step()) listener.received(text);
      },
      closed: (ending) => {
        this.#sockets.delete(real);
        if (!this.#dead) listener.closed(ending);
      },
    });
    this.#sockets.add(real);
    return {
      send: (text) => {
        if (this.step()) real.send(text);
      },
      close: (code) => real.close(code),
    };
  }

  /** The app in this directory, and how to clear it away once it is dead or done. */
  async open(directory: string): Promise<{ readonly test: TestApp; bury(): Promise<void> }> {
    const lanes = [new Lane(), new Lane()] as const;
    const [identified, anonymous] = [identifiedLane(lanes[0]), anonymousLane(lanes[1])];
    let real: Database | null = null;
    const test = await TestApp.open(
      directory,
      {
        clock: this.clock,
        identified: {
          http: { request: (request) => this.#request(() => identified.http.request(request)) },
          sockets: { open: (url, authorization, listener) => this.#open((inner) => identified.sockets.open(url, authorization, inner), listener) } satisfies IdentifiedSockets,
        },
        anonymous: {
          http: { request: (request) => this.#request(() => anonymous.http.request(request)) },
          sockets: { open: (url, listener) => this.#open((inner) => anonymous.sockets.open(url, inner), listener) } satisfies AnonymousSockets,
        },
      },
      (database) => {
        real = database;
        return this.database(database);
      },
    );
    return {
      test,
      bury: async () => {
        await Promise.race([test.close(), this.death]); // it may die while it ends
        if (this.#dead) await (real as Database | null)?.close();
        for (const lane of lanes) lane.close();
      },
    };
  }
}
