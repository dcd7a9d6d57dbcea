/** Prints what is new in conversations: rows that came to be, and how far own messages got. Knows the Messenger only. */
import type { MessageStatus, MessageView, Messenger } from '../core/messenger.ts';
import { explain, messageLine, messageObject } from './output.ts';
import type { Output } from './output.ts';

interface Seen {
  /** The last row that was printed, or was there before. */
  row: number;
  /** Of own messages that may still get further. */
  readonly statuses: Map<string, MessageStatus>;
}

const PAGE = 200;
const WAY: readonly MessageStatus[] = ['queued', 'sent', 'delivered', 'read'];

export class Follower {
  readonly #messenger: Messenger;
  readonly #out: Output;
  readonly #seen = new Map<string, Seen>();
  readonly #refs = new Map<string, unknown>();
  readonly #wanted = new Set<string>();
  #names = new Map<string, string>();
  #looking: Promise<void> = Promise.resolve();

  private constructor(messenger: Messenger, out: Output) {
    this.#messenger = messenger;
    this.#out = out;
  }

  /** What is there already is not printed. */
  static async begin(messenger: Messenger, out: Output): Promise<Follower> {
    const follower = new Follower(messenger, out);
    await follower.#readNames();
    for (const peer of follower.#names.keys()) {
      const { messages } = await messenger.messages(peer, { before: null, limit: PAGE });
      const statuses = new Map(messages.filter(({ mine, status }) => mine && status !== 'read').map(({ id, status }) => [id, status]));
      follower.#seen.set(peer, { row: messages.at(-1)?.row ?? 0, statuses });
    }
    return follower;
  }

  /** The `ref` that comes back with what is told of this message. */
  refers(id: string, ref: unknown): void {
    this.#refs.set(id, ref);
  }

  /** Level-triggered: many calls while one look is under way are one more look. */
  look(peer: string): void {
    if (this.#wanted.has(peer)) return;
    this.#wanted.add(peer);
    this.#looking = this.#looking.then(async () => {
      this.#wanted.delete(peer);
      await this.#look(peer);
    }).catch(() => undefined); // the next change looks again
  }

  lookAtContacts(): void {
    this.#looking = this.#looking.then(() => this.#readNames()).catch(() => undefined);
  }

  async settled(): Promise<void> {
    for (let before: Promise<void> | null = null; before !== this.#looking; ) {
      before = this.#looking;
      await before;
    }
  }

  async #readNames(): Promise<void> {
    this.#names = new Map((await this.#messenger.contacts()).map(({ peer, name }) => [peer, name]));
  }

  async #look(peer: string): Promise<void> {
    const seen = this.#seen.get(peer) ?? { row: 0, statuses: new Map<string, MessageStatus>() };
    this.#seen.set(peer, seen);
    let rows: readonly MessageView[] = [];
    for (let before: number | null = null, more = true; more; ) {
      const page = await this.#messenger.messages(peer, { before, limit: PAGE });
      rows = [...page.messages, ...rows];
      before = page.before;
      more = before !== null && (page.messages[0]?.row ?? 0) > seen.row;
    }
    if (!this.#names.has(peer)) await this.#readNames();
    for (const message of rows) {
      if (message.mine) this.#progress(peer, message, seen);
      else if (message.row > seen.row) this.#arrived(peer, message);
      else continue;
    }
    seen.row = Math.max(seen.row, rows.at(-1)?.row ?? 0);
  }

  #arrived(peer: string, message: MessageView): void {
    const name = this.#names.get(peer) ?? peer;
    const event = message.kind === 'text' ? 'message' : message.kind === 'undecryptable' ? 'undecryptable' : 'note';
    this.#out.result(messageLine(message, name), { event, ...messageObject(message, peer, name) });
  }

  /** Every step of its way once, also those that were passed between two looks. */
  #progress(peer: string, { id, row, status, reason, kind }: MessageView, seen: Seen): void {
    if (kind !== 'text') return;
    const before = seen.statuses.get(id) ?? (row > seen.row ? 'queued' : undefined);
    if (before === undefined || (before === status && (status !== 'queued' || reason === null))) {
      if (before !== undefined) seen.statuses.set(id, status);
      return;
    }
    seen.statuses.set(id, status);
    const ref = this.#refs.get(id);
    const steps = WAY.includes(status) && WAY.includes(before) && reason === null ? WAY.slice(WAY.indexOf(before) + 1, WAY.indexOf(status) + 1) : [reason !== null && status === 'queued' ? 'blocked' : status];
    for (const step of steps) {
      this.#out.result(reason === null ? `${step} to ${peer}` : `${step} to ${peer}: ${explain(reason)}`, { event: step, id, account: peer, reason, ...(ref !== undefined && { ref }) });
    }
  }
}
