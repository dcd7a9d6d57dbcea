import { backoffMs } from './backoff.ts';
import type { SenderCertificates } from './certificates.ts';
import type { Random } from './ports.ts';
import { refillPreKeys, rotateSignedKeys, WANTED } from './prekeys.ts';
import type { PreKeyDeps } from './prekeys.ts';

export interface KeyKeeperDeps extends PreKeyDeps {
  readonly random: Random;
  readonly certificates: SenderCertificates;
  /** One-time keys of each kind to top up to. */
  readonly preKeys?: number;
  readonly onTrouble: (what: string) => void;
}

/** Often enough for keys of two days and certificates of one, and never because of a message. */
const LOOK_EVERY_MS = 4 * 3_600_000;

/** Keeps everything of the account at the relay fresh that runs out: signed and last-resort keys, one-time keys, the certificate. */
export class KeyKeeper {
  readonly #deps: KeyKeeperDeps;
  #running = false;
  #working: Promise<void> | null = null;
  #again = false;
  #low = false;
  #failures = 0;
  #cancel: () => void = () => undefined;

  constructor(deps: KeyKeeperDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = true;
    this.look();
  }

  /** The relay says that one-time keys run short. */
  runLow(): void {
    this.#low = true;
    this.look();
  }

  look(): void {
    if (!this.#running) return;
    this.#again = true;
    this.#working ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel();
    await this.#working;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // so that `#working` is set before it can be cleared
    const { clock, random, onTrouble } = this.#deps;
    let waitMs = LOOK_EVERY_MS;
    while (this.#running && this.#again) {
      this.#again = false;
      this.#cancel();
      try {
        await this.#keep();
        this.#failures = 0;
        waitMs = LOOK_EVERY_MS;
      } catch (error) {
        if (!this.#running) break; // connections were closed under it
        onTrouble(`keys were not renewed: ${error instanceof Error ? error.message : 'unknown'}`);
        waitMs = backoffMs(this.#failures, (random.bytes(1)[0] ?? 0) / 255, 10_000, LOOK_EVERY_MS);
        this.#failures += 1;
      }
    }
    this.#working = null; // in the same turn as the last look at `#again`
    if (this.#running) this.#cancel = clock.after(waitMs, () => this.look());
  }

  async #keep(): Promise<void> {
    // First: as long as a change of keys is under way, the relay's digest may be that of the old ones or of the new.
    await rotateSignedKeys(this.#deps);
    if (this.#low) {
      this.#low = false;
      await refillPreKeys(this.#deps, this.#deps.preKeys ?? WANTED).catch((error: unknown) => {
        this.#low = true;
        throw error;
      });
    }
    await this.#deps.certificates.current();
  }
}
