/**
 * Which numbers of an address book are members. Two halves that nothing of ours joins: numbers are evaluated on the identified lane,
 * blinded; the tokens that come of it are looked up on the anonymous lane, later, shuffled, a hundred at a time whatever their number.
 * Every answer is on disk before the next question, so an interrupted run goes on where it was.
 */
import { readU32be } from '../bytes.ts';
import { RelayRefused } from '../errors.ts';
import type { Clock, Random } from '../ports.ts';
import { LOOKED_UP_AT_ONCE, MOST_ELEMENTS } from '../relay_api.ts';
import type { AnonymousApi, IdentifiedApi } from '../relay_api.ts';
import type { DiscoveryStore, KnownNumber, Wanted } from '../storage/discovery_store.ts';
import { evaluateNumbers, pause } from './evaluation.ts';
import { requireE164 } from './numbers.ts';
import type { DiscoveryKeys } from './numbers.ts';

export interface DiscoverySettings {
  /** Numbers in one evaluation, at most 100. Fewer keep a slow phone's screen alive: checking a proof is one long breath. */
  readonly evaluationChunk: number;
  /** Before each look-up, drawn anew: so that a look-up does not follow its evaluation at once, nor one another in step. */
  readonly lookUpDelayMs: { readonly least: number; readonly most: number };
  /** When a number that was looked up is looked up again: who was no member may have become one. */
  readonly lookUpAgainAfterS: number;
  /** The longest wait for a used-up budget within a run; a longer one ends the run, and the next goes on. */
  readonly patienceS: number;
}

export const DISCOVERY_DEFAULTS: DiscoverySettings = {
  evaluationChunk: 25,
  lookUpDelayMs: { least: 2_000, most: 20_000 },
  lookUpAgainAfterS: 7 * 86_400,
  patienceS: 120,
};

export type DiscoveryStep = 'evaluating' | 'looking_up' | 'waiting';

export interface DiscoveryProgress {
  readonly step: DiscoveryStep;
  /** Numbers of this step that are done, and all of them. */
  readonly done: number;
  readonly total: number;
  /** With `waiting`: seconds that the relay asked for. */
  readonly waitS: number | null;
}

export interface DiscoveryDeps {
  readonly store: DiscoveryStore;
  readonly identified: IdentifiedApi;
  readonly anonymous: AnonymousApi;
  readonly random: Random;
  readonly clock: Clock;
  readonly keys: DiscoveryKeys;
  /** The bearer token. */
  readonly authorization: string;
  /** The own account, which is no contact. */
  readonly account: string;
  /** Seconds since 1970 by the relay's clock. */
  readonly nowS: () => number;
  readonly settings?: Partial<DiscoverySettings>;
  readonly onProgress?: (progress: DiscoveryProgress) => void;
  readonly stopped?: () => boolean;
}

export interface BookEntry {
  /** E.164. */
  readonly number: string;
  readonly name: string | null;
}

export interface DiscoveryResult {
  /** Everybody who was found, by this run or an earlier one, within the book that was asked about. */
  readonly found: readonly KnownNumber[];
  readonly evaluated: number;
  readonly lookedUp: number;
  /** Numbers that are left for the next run: the budget is used up, or the run was stopped. */
  readonly left: number;
  /** Seconds that the relay asked to wait, when that is why. */
  readonly waitS: number | null;
  /** Milliseconds in all, by step. */
  readonly times: Readonly<Record<'blind' | 'evaluate' | 'finalize' | 'look_up' | 'wait', number>>;
}

/**
 * @throws CannotDo `bad_number` before anything is asked; NotTrusted `foreign_oprf_key`: nothing of that answer was kept;
 * RelayRefused, RelayUnreachable: what was answered so far is kept
 */
export async function discover(deps: DiscoveryDeps, book: readonly BookEntry[]): Promise<DiscoveryResult> {
  const { store } = deps;
  const entries = book.map(({ number, name }) => ({ number: requireE164(number), name }));
  await store.write(entries.map(({ number, name }) => store.addKnownNumber(number, name)));
  const run = new Run(deps);
  await run.evaluate();
  await run.lookUp();
  const asked = new Set(entries.map(({ number }) => number));
  return run.result((await store.members()).filter(({ number, account }) => asked.has(number) && account !== deps.account));
}

class Run {
  readonly #deps: DiscoveryDeps;
  readonly #settings: DiscoverySettings;
  readonly #times = { blind: 0, evaluate: 0, finalize: 0, look_up: 0, wait: 0 };
  #evaluated = 0;
  #lookedUp = 0;
  #waitS: number | null = null;
  #left = 0;

  constructor(deps: DiscoveryDeps) {
    this.#deps = deps;
    this.#settings = { ...DISCOVERY_DEFAULTS, ...deps.settings };
  }

  async evaluate(): Promise<void> {
    const { store, identified: api, random, clock, keys, authorization } = this.#deps;
    const numbers = shuffled(await store.unevaluated(), random);
    const onTime = (part: 'blind' | 'evaluate' | 'finalize', ms: number): void => {
      this.#times[part] += ms;
    };
    const size = Math.min(this.#settings.evaluationChunk, MOST_ELEMENTS);
    for (let done = 0; done < numbers.length; ) {
      this.#tell('evaluating', done, numbers.length);
      const chunk = numbers.slice(done, done + size);
      const secrets = await this.#patiently(numbers.length - done, () => evaluateNumbers({ api, random, clock, keys, authorization, onTime }, chunk));
      if (!secrets) {
        this.#left += numbers.length - done;
        return;
      }
      await store.write(secrets.map((one, index) => store.numberEvaluated(chunk[index] ?? '', one)));
      done += chunk.length;
      this.#evaluated += chunk.length;
      this.#tell('evaluating', done, numbers.length);
    }
  }

  async lookUp(): Promise<void> {
    const { store, random, nowS } = this.#deps;
    const wanted = shuffled(await store.toLookUp(nowS() - this.#settings.lookUpAgainAfterS), random);
    for (let done = 0; done < wanted.length; ) {
      this.#tell('looking_up', done, wanted.length);
      const chunk = wanted.slice(done, done + LOOKED_UP_AT_ONCE);
      const answered = await this.#patiently(wanted.length - done, () => this.#lookUpChunk(chunk));
      if (!answered) {
        this.#left += wanted.length - done;
        return;
      }
      done += chunk.length;
      this.#lookedUp += chunk.length;
      this.#tell('looking_up', done, wanted.length);
    }
  }

  async #lookUpChunk(chunk: readonly Wanted[]): Promise<true> {
    const { store, anonymous, random, clock, nowS, account: own } = this.#deps;
    const { least, most } = this.#settings.lookUpDelayMs;
    await this.#wait(least + below(random, Math.max(1, most - least + 1)));
    // A random token cannot be told from one of a number, so the relay does not see how many there are.
    const padding = Array.from({ length: LOOKED_UP_AT_ONCE - chunk.length }, () => ({ number: null, phoneToken: random.bytes(32) }));
    const asked = shuffled([...chunk, ...padding], random);
    const began = clock.now();
    const accounts = await anonymous.lookUp(asked.map(({ phoneToken }) => phoneToken));
    this.#times.look_up += clock.now() - began;
    const now = nowS();
    await store.write(asked.flatMap(({ number }, index) => (number === null ? [] : store.numberLookedUp(number, accounts[index] ?? null, now, own))));
    return true;
  }

  /** Runs it, and again after a wait when the relay asks for one. Null when it is left for another run. */
  async #patiently<T>(left: number, work: () => Promise<T>): Promise<T | null> {
    for (;;) {
      if (this.#deps.stopped?.() === true) return null;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof RelayRefused) || error.status !== 429) throw error;
        const waitS = Math.max(1, error.retryAfterS ?? 60);
        if (waitS > this.#settings.patienceS) {
          this.#waitS = waitS;
          return null;
        }
        this.#tell('waiting', 0, left, waitS);
        await this.#wait(waitS * 1000);
      }
    }
  }

  /** In short steps, so that a run that is stopped ends soon. */
  async #wait(ms: number): Promise<void> {
    const { clock, stopped } = this.#deps;
    for (let left = ms; left > 0 && stopped?.() !== true; left -= 500) await pause(clock, Math.min(left, 500));
    this.#times.wait += ms;
  }

  #tell(step: DiscoveryStep, done: number, total: number, waitS: number | null = null): void {
    this.#deps.onProgress?.({ step, done, total, waitS });
  }

  result(found: readonly KnownNumber[]): DiscoveryResult {
    return { found, evaluated: this.#evaluated, lookedUp: this.#lookedUp, left: this.#left, waitS: this.#waitS, times: this.#times };
  }
}

/** Uniform from 0 to `bound - 1`, `bound` at most 2^32: what would make low values likelier is drawn again. */
function below(random: Random, bound: number): number {
  const whole = 2 ** 32;
  for (;;) {
    const value = readU32be(random.bytes(4));
    if (value < whole - (whole % bound)) return value % bound;
  }
}

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i -= 1) {
    const j = below(random, i + 1);
    [mixed[i], mixed[j]] = [mixed[j] as T, mixed[i] as T];
  }
  return mixed;
}
