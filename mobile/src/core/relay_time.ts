import type { Clock } from './ports.ts';

/** The relay's clock as far as it is known: envelope ids and certificates are judged by it, and a phone's clock may be off by years. */
export class RelayTime {
  readonly #clock: Clock;
  #offsetMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `now` as the relay just said it, seconds since 1970. */
  learn(now: number): void {
    this.#offsetMs = now * 1000 - this.#clock.now();
  }

  nowMs(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  nowS(): number {
    return Math.floor(this.nowMs() / 1000);
  }
}
