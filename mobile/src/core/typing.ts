/** Who is writing right now: told by signal, known for seconds, stored nowhere. */
import type { Client } from './client.ts';
import type { Clock } from './ports.ts';
import { readSettings } from './settings.ts';

/** Without another word from them, they have stopped. */
const SHOWN_FOR_MS = 12_000;
/** Told again while it goes on. */
const TELL_EVERY_MS = 8_000;
const TTL_S = 10;

export class Typing {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #onChange: (peer: string) => void;
  /** Peers who are typing, and how to stop the clock on each. */
  readonly #theirs = new Map<string, () => void>();
  #foreground = true;
  /** When a peer was last told that we are, ms. */
  readonly #ours = new Map<string, number>();

  constructor(client: Client, clock: Clock, onChange: (peer: string) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Nobody types where nobody looks. */
  setForeground(foreground: boolean): void {
    this.#foreground = foreground;
    if (!foreground) this.#ours.clear();
  }

  isTyping(peer: string): boolean {
    return this.#theirs.has(peer);
  }

  heard(peer: string, typing: boolean): void {
    const was = this.#theirs.get(peer);
    was?.();
    this.#theirs.delete(peer);
    if (typing) {
      const stop = this.#clock.after(SHOWN_FOR_MS, () => {
        this.#theirs.delete(peer);
        this.#onChange(peer);
      });
      this.#theirs.set(peer, stop);
    }
    if (typing !== (was !== undefined)) this.#onChange(peer);
  }

  /** Tells an accepted contact with whom there is a session; anything else is let be, and so is a failure: it is worth nothing a moment later. */
  async tell(peer: string, typing: boolean): Promise<void> {
    const told = this.#ours.get(peer);
    const now = this.#clock.now();
    if (typing ? told !== undefined && now - told < TELL_EVERY_MS : told === undefined) return;
    if (!this.#foreground) return;
    const { store } = this.#client;
    const contact = await store.people.get(peer);
    if (!(await readSettings(store)).typing || !contact || contact.request || contact.blocked || contact.identityState !== 'same') return;
    if (typing) this.#ours.set(peer, now);
    else this.#ours.delete(peer);
    const { sender, signals } = await this.#client.running();
    await signals.send(peer, sender.content({ kind: 'typing', typing }), TTL_S, false).catch(() => undefined);
  }

  /** A message says enough. */
  sent(peer: string): void {
    this.#ours.delete(peer);
  }

  stop(): void {
    for (const stop of this.#theirs.values()) stop();
    this.#theirs.clear();
    this.#ours.clear();
  }
}
