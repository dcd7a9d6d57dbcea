/**
 * Answers of the Messenger, kept while somebody looks at them. A change names a topic; what depends on it is asked for again,
 * once, however many changes come while the question is under way. Nothing is guessed: what is drawn was answered.
 */
import type { Change, Messenger } from '../../core/messenger.ts';

export interface Answer<T> {
  readonly data: T | undefined;
  /** The code of the last failure; null after a success. */
  readonly error: string | null;
  readonly loading: boolean;
}

export interface Question<T> {
  /** Questions with the same key are the same question. */
  readonly key: string;
  readonly ask: (messenger: Messenger) => Promise<T>;
  readonly dependsOn: (change: Change) => boolean;
}

interface Entry {
  question: Question<unknown>;
  answer: Answer<unknown>;
  readonly watchers: Set<() => void>;
  asking: boolean;
  again: boolean;
}

const NOTHING: Answer<never> = { data: undefined, error: null, loading: true };

/** Answers nobody looks at any more, kept so that going back shows them at once. */
const KEPT_UNWATCHED = 40;

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'failed';
}

export class Cache {
  readonly #messenger: Messenger;
  readonly #entries = new Map<string, Entry>();
  readonly #stop: () => void;

  constructor(messenger: Messenger) {
    this.#messenger = messenger;
    this.#stop = messenger.subscribe((change) => this.#changed(change));
  }

  close(): void {
    this.#stop();
    this.#entries.clear();
  }

  read<T>(key: string): Answer<T> {
    return (this.#entries.get(key)?.answer ?? NOTHING) as Answer<T>;
  }

  /** Asks, and calls `told` whenever the answer is another. The returned function ends it. */
  watch<T>(question: Question<T>, told: () => void): () => void {
    let entry = this.#entries.get(question.key);
    if (!entry) {
      entry = { question, answer: NOTHING, watchers: new Set(), asking: false, again: false };
      this.#entries.set(question.key, entry);
      this.#prune();
    }
    const watched = entry;
    watched.question = question;
    const first = watched.watchers.size === 0;
    watched.watchers.add(told);
    if (first) void this.#ask(watched);
    return () => watched.watchers.delete(told);
  }

  /** After a failure, by the person's wish. */
  retry(key: string): void {
    const entry = this.#entries.get(key);
    if (entry) void this.#ask(entry);
  }

  #changed(change: Change): void {
    for (const entry of this.#entries.values()) {
      if (entry.watchers.size > 0 && entry.question.dependsOn(change)) void this.#ask(entry);
    }
  }

  async #ask(entry: Entry): Promise<void> {
    if (entry.asking) {
      entry.again = true;
      return;
    }
    entry.asking = true;
    do {
      entry.again = false;
      try {
        const data = await entry.question.ask(this.#messenger);
        this.#answered(entry, { data, error: null, loading: false });
      } catch (error) {
        // What was there before stays: an old list is better than none.
        this.#answered(entry, { data: entry.answer.data, error: codeOf(error), loading: false });
      }
    } while (entry.again);
    entry.asking = false;
  }

  #answered(entry: Entry, answer: Answer<unknown>): void {
    entry.answer = answer;
    for (const told of [...entry.watchers]) told();
  }

  #prune(): void {
    const idle = [...this.#entries].filter(([, entry]) => entry.watchers.size === 0 && !entry.asking);
    for (const [key] of idle.slice(0, Math.max(0, idle.length - KEPT_UNWATCHED))) this.#entries.delete(key);
  }
}
