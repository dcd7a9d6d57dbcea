/**
 * Credentials for the TURN server, fetched ahead. The relay sees who asks for them and when, so asking because of a call would
 * tell it that there is one, and two people who ask within seconds would be a pair. They are fetched some time after a
 * connection stands and again at a random time before they expire; a call takes what is there.
 */
import { backoffMs } from '../backoff.ts';
import { RelayRefused } from '../errors.ts';
import type { Clock, Random } from '../ports.ts';
import type { TurnCredentials } from '../relay_api.ts';
import type { RelayTime } from '../relay_time.ts';
import type { Store } from '../storage/store.ts';
import { Reader } from '../wire/reader.ts';
import type { TurnServer } from './ports.ts';

export interface TurnKeeperDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: RelayTime;
  readonly fetch: () => Promise<TurnCredentials>;
  /** Within which the first ones are fetched, for tests; null for what an app does. */
  readonly spreadS?: number | null;
  readonly onTrouble: (what: string) => void;
}

const NAME = 'turn';
/** For the first ones: soon enough to call within a minute of joining, and not at the moment of anything. */
const FIRST_WITHIN_MS = 20_000;
/** A call lasts; with less than this left it would not begin with them. */
const LEAST_LEFT_S = 600;
const NO_TURN_RETRY_MS = 6 * 3_600_000;

export class TurnKeeper {
  readonly #deps: TurnKeeperDeps;
  #held: TurnCredentials | null = null;
  #failures = 0;
  #running = false;
  #cancel: () => void = () => undefined;
  #fetching: Promise<void> | null = null;

  constructor(deps: TurnKeeperDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#held = parse(await this.#deps.store.account.setting(NAME));
    this.#schedule(this.current() ? this.#untilNextMs() : this.#roll() * this.#firstWithinMs());
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel();
    await this.#fetching;
  }

  /** What a call that begins now may use. */
  current(): TurnServer | null {
    const held = this.#held;
    if (!held || held.expiresAt - this.#deps.time.nowS() < LEAST_LEFT_S) return null;
    return { urls: held.urls, username: held.username, password: held.password };
  }

  /** Now. For tools and tests; the app waits for its time. @throws RelayRefused, RelayUnreachable */
  async fetchNow(): Promise<void> {
    const { store, fetch } = this.#deps;
    this.#held = await fetch();
    await store.write([store.account.setSetting(NAME, this.#held)]);
  }

  #schedule(ms: number): void {
    this.#cancel();
    this.#cancel = this.#deps.clock.after(ms, () => {
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = null;
      });
    });
  }

  #firstWithinMs(): number {
    const { spreadS } = this.#deps;
    return spreadS === null || spreadS === undefined ? FIRST_WITHIN_MS : spreadS * 1000;
  }

  async #fetch(): Promise<void> {
    let nextMs: number;
    try {
      await this.fetchNow();
      this.#failures = 0;
      nextMs = this.#untilNextMs();
    } catch (error) {
      this.#failures += 1;
      const refused = error instanceof RelayRefused;
      nextMs = Math.max(refused ? (error.retryAfterS ?? 0) * 1000 : 0, backoffMs(this.#failures, this.#roll(), 10_000, 1_800_000));
      if (refused && error.code === 'no_turn') nextMs = NO_TURN_RETRY_MS;
      else if (refused) this.#deps.onTrouble(`no credentials for calls: the relay answered ${error.code}`);
    }
    if (this.#running) this.#schedule(nextMs);
  }

  /** Between a quarter and three quarters of what is left. */
  #untilNextMs(): number {
    const leftMs = Math.max(0, (this.#held?.expiresAt ?? 0) * 1000 - this.#deps.time.nowMs());
    return leftMs * (0.25 + 0.5 * this.#roll());
  }

  #roll(): number {
    const [high = 0, low = 0] = this.#deps.random.bytes(2);
    return (high * 256 + low) / 65_535;
  }
}

/** What was stored by another version is fetched anew. */
function parse(stored: unknown): TurnCredentials | null {
  try {
    const reader = new Reader(stored, 'turn');
    const urls = reader.list('urls', 16).filter((url) => typeof url === 'string');
    return { username: reader.text('username'), password: reader.text('password'), expiresAt: reader.integer('expiresAt'), urls };
  } catch {
    return null;
  }
}
