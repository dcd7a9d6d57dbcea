/**
 * The part of a conversation that is in memory: a chain of pages around what is on the screen, at most MOST_PAGES of them. A
 * conversation of 100,000 messages costs as much as one of 300: going on at one end lets go of the other.
 *
 * Pages hang together by cursors: each is fetched by the cursor that the newer page before it answered. So the way back to newer
 * messages is the list of cursors that led here.
 */
import type { MessagePage, MessageView, Messenger } from '../../core/messenger.ts';
import { codeOf } from './cache.ts';

export const PAGE = 50;
export const MOST_PAGES = 6;

export interface WindowView {
  /** Newest first, as an inverted list wants them. */
  readonly messages: readonly MessageView[];
  readonly loading: boolean;
  readonly error: string | null;
  /** There are older ones, and whether the newest of all are in the window. */
  readonly older: boolean;
  readonly atNewest: boolean;
}

export class MessageWindow {
  readonly #messenger: Pick<Messenger, 'messages'>;
  readonly #peer: string;
  /** The cursor each page was asked with, newest page first; the first is null where the window reaches the newest. */
  #cursors: (number | null)[] = [null];
  #pages: MessagePage[] = [];
  /** Cursors of newer pages that were let go, nearest last. */
  #newer: (number | null)[] = [];
  /** The window was set down in the middle: newer messages are there, and no cursor leads to them. */
  #adrift = false;
  #view: WindowView = { messages: [], loading: true, error: null, older: false, atNewest: true };
  #told: (() => void) | null = null;
  /** One thing after another: pages are only read in one order. */
  #work: Promise<void> = Promise.resolve();
  #refreshDue = false;

  constructor(messenger: Pick<Messenger, 'messages'>, peer: string) {
    this.#messenger = messenger;
    this.#peer = peer;
  }

  view = (): WindowView => this.#view;

  watch = (told: () => void): (() => void) => {
    this.#told = told;
    void this.refresh();
    return () => {
      this.#told = null;
    };
  };

  /** Reads the pages of the window again: something of the conversation is different. */
  refresh(): Promise<void> {
    if (this.#refreshDue) return this.#work;
    this.#refreshDue = true;
    return this.#queue(async () => {
      this.#refreshDue = false;
      const wanted = Math.max(1, this.#pages.length);
      const pages: MessagePage[] = [];
      const cursors: (number | null)[] = [];
      let cursor = this.#cursors[0] ?? null;
      while (pages.length < wanted) {
        const page = await this.#read(cursor);
        pages.push(page);
        cursors.push(cursor);
        if (page.before === null) break;
        cursor = page.before;
      }
      this.#pages = pages;
      this.#cursors = cursors;
    });
  }

  loadOlder(): Promise<void> {
    return this.#queue(async () => {
      const next = this.#pages.at(-1)?.before ?? null;
      if (next === null) return;
      const page = await this.#read(next);
      this.#pages.push(page);
      this.#cursors.push(next);
      while (this.#pages.length > MOST_PAGES) {
        this.#pages.shift();
        this.#newer.push(this.#cursors.shift() ?? null);
      }
    });
  }

  loadNewer(): Promise<void> {
    return this.#queue(async () => {
      if (this.#newer.length === 0 && !this.#adrift) return;
      // Null is a cursor too: of the newest page.
      const cursor = this.#newer.length > 0 ? (this.#newer.at(-1) ?? null) : await this.#cursorPast();
      const page = await this.#read(cursor);
      this.#newer.pop();
      this.#pages.unshift(page);
      this.#cursors.unshift(cursor);
      while (this.#pages.length > MOST_PAGES) {
        this.#pages.pop();
        this.#cursors.pop();
      }
    });
  }

  /** Back to the newest, letting go of what was on the screen. */
  toNewest(): Promise<void> {
    return this.#queue(async () => {
      const page = await this.#read(null);
      this.#pages = [page];
      this.#cursors = [null];
      this.#newer = [];
      this.#adrift = false;
    });
  }

  /** To a message that was found or quoted: the page that ends with it. */
  toRow(row: number): Promise<void> {
    return this.#queue(async () => {
      const page = await this.#read(row + 1);
      this.#pages = [page];
      this.#cursors = [row + 1];
      this.#newer = [];
      this.#adrift = true;
    });
  }

  /**
   * The cursor of a page that holds what comes right after the window. Rows ascend, and need not be dense: the step is doubled
   * until half the page is newer, and halved when the page no longer reaches back to the window.
   */
  async #cursorPast(): Promise<number | null> {
    const top = this.#pages[0]?.messages.at(-1)?.row ?? 0;
    const newest = (await this.#messenger.messages(this.#peer, { before: null, limit: 1 })).messages.at(-1)?.row ?? 0;
    let [low, high] = [top + 1, Infinity];
    let best: number | null = null;
    let cursor = Math.min(top + 1 + PAGE, newest + 1);
    for (;;) {
      const page = await this.#read(cursor);
      const newer = page.messages.filter(({ row }) => row > top).length;
      const reaches = page.before === null || (page.messages[0]?.row ?? 0) <= top + 1;
      if (cursor > newest && (reaches || newer === 0)) {
        this.#adrift = false;
        return null;
      }
      if (reaches && newer >= PAGE / 2) return cursor;
      if (reaches || newer === 0) {
        low = cursor;
        if (newer > 0) best = cursor;
      } else high = cursor;
      if (high - low <= 1) return best ?? cursor;
      cursor = high === Infinity ? Math.min(newest + 1, top + 1 + (cursor - top - 1) * 2) : Math.floor((low + high) / 2);
    }
  }

  #read(before: number | null): Promise<MessagePage> {
    return this.#messenger.messages(this.#peer, { before, limit: PAGE });
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(async () => {
      let error: string | null = null;
      try {
        await work();
      } catch (failure) {
        error = codeOf(failure);
      }
      this.#view = {
        messages: this.#joined(),
        loading: false,
        error,
        older: (this.#pages.at(-1)?.before ?? null) !== null,
        atNewest: this.#newer.length === 0 && !this.#adrift,
      };
      this.#told?.();
    });
    return this.#work;
  }

  /** Boundaries move when a message arrives or goes; a row that two pages hold is shown once. */
  #joined(): MessageView[] {
    const joined: MessageView[] = [];
    let last = Infinity;
    for (const page of this.#pages) {
      for (let at = page.messages.length - 1; at >= 0; at -= 1) {
        const message = page.messages[at] as MessageView;
        if (message.row >= last) continue;
        last = message.row;
        joined.push(message);
      }
    }
    return joined;
  }
}
