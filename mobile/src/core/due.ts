import type { Clock } from './ports.ts';
import type { RelayTime } from './relay_time.ts';
import type { Sender } from './sending.ts';
import { readSettings } from './settings.ts';
import type { Store } from './storage/store.ts';
import { MOST_IDS } from './wire/content.ts';

export interface DueDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly time: RelayTime;
  readonly sender: Sender;
  /** A conversation of this peer is different. */
  readonly onChange: (peer: string) => void;
  readonly onTrouble: (what: string) => void;
}

/** The clock may be set while we wait, and a phone's timers stop while it sleeps. */
const LOOK_AT_LEAST_EVERY_S = 900;
const AFTER_TROUBLE_S = 30;

/**
 * What comes due by time: messages that disappear, receipts that were put off. The dates are in the database and this only looks
 * at them, so nothing is forgotten by a restart, and what came due meanwhile is done at the next look.
 */
export class Due {
  readonly #deps: DueDeps;
  #running = false;
  #looking: Promise<void> | null = null;
  #again = false;
  #cancel: () => void = () => undefined;

  constructor(deps: DueDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = true;
    this.look();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel();
    await this.#looking;
  }

  /** Now, or as soon as a look that is under way is done. */
  look(): void {
    if (!this.#running) return;
    this.#again = true;
    this.#looking ??= this.#run();
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // so that `#looking` is set before it can be cleared
    let waitS = LOOK_AT_LEAST_EVERY_S;
    while (this.#running && this.#again) {
      this.#again = false;
      this.#cancel();
      try {
        waitS = await this.#doWhatIsDue();
      } catch (error) {
        this.#deps.onTrouble(error instanceof Error ? error.message : 'what was due could not be done');
        waitS = AFTER_TROUBLE_S;
      }
    }
    this.#looking = null; // in the same turn as the last look at `#again`
    if (this.#running) this.#cancel = this.#deps.clock.after(waitS * 1000, () => this.look());
  }

  /** Answers the seconds until something is due next. */
  async #doWhatIsDue(): Promise<number> {
    const { store, time } = this.#deps;
    await this.#expire(time.nowS());
    await this.#receipts(time.nowS());
    const next = [await store.messages.nextExpiry(), await store.conversations.nextReceipt()].filter((at) => at !== null);
    return Math.max(1, Math.min(LOOK_AT_LEAST_EVERY_S, ...next.map((at) => at - time.nowS())));
  }

  async #expire(now: number): Promise<void> {
    const { store, onChange } = this.#deps;
    const next = await store.messages.nextExpiry();
    if (next === null || next > now) return;
    const peers = await store.messages.expiredPeers(now);
    await store.write(store.messages.removeExpired(now));
    for (const peer of peers) onChange(peer);
  }

  /** Whatever else is owed to the same person goes along: fewer receipts say less. */
  async #receipts(now: number): Promise<void> {
    const { store, sender } = this.#deps;
    const settings = await readSettings(store);
    for (const { peer, status } of await store.conversations.receiptsDue(now)) {
      const contact = await store.people.get(peer);
      // Judged again when they leave: a switch or a block may have come in between.
      const wanted = status === 'read' ? settings.readReceipts : settings.deliveryReceipts;
      const allowed = wanted && contact !== null && !contact.request && !contact.blocked;
      for (let ids = await store.conversations.receiptsOwed(peer, status, MOST_IDS); ids.length > 0; ids = await store.conversations.receiptsOwed(peer, status, MOST_IDS)) {
        const given = store.conversations.receiptsGiven(peer, status, ids);
        if (allowed) await sender.queue(peer, sender.content({ kind: 'receipt', status, ids }), { statements: [given] });
        else await store.write([given]);
      }
    }
  }
}
