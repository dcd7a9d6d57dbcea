/** Being connected, and what is known about it. */
import { backoffMs } from '../backoff.ts';
import { CannotDo, RelayRefused, RelayUnreachable } from '../errors.ts';
import type { MailboxEvent } from '../mailbox_connection.ts';
import type { ConnectionView, Messenger } from '../messenger.ts';
import { readHealth } from '../probe.ts';
import type { Transfer } from '../transfer/transfer.ts';
import type { Typing } from '../typing.ts';
import type { Core } from './core.ts';

export type ConnectionPart = Pick<Messenger, 'start' | 'stop' | 'setForeground' | 'reconnect' | 'connection' | 'probe'>;

export class ConnectionActions implements ConnectionPart {
  readonly #core: Core;
  readonly #typing: Typing;
  readonly #transfer: Transfer;
  #cancelRenewal: () => void = () => undefined;
  #started = false;
  #state: ConnectionView['state'] = 'off';
  #caughtUp = false;

  constructor(core: Core, typing: Typing, transfer: Transfer) {
    this.#core = core;
    this.#transfer = transfer;
    this.#typing = typing;
  }

  async start(): Promise<void> {
    await this.#core.client.running(); // not joined: said before anything changes
    if (this.#started) return;
    const stage = await this.#core.store.lifecycle.get();
    if (stage === 'deleting') return this.#transfer.delete();
    if (stage === 'moved') return this.#become('elsewhere'); // until a person says otherwise
    this.#started = true;
    if (stage === 'renewing') await this.#renewFirst(0);
    else await this.#core.client.start({ receive: true });
  }

  get started(): boolean {
    return this.#started;
  }

  /** After an import: mail for the other phone's keys could not be read here, so ours come first. Tries until the relay has them. */
  async #renewFirst(attempt: number): Promise<void> {
    const { client } = this.#core;
    this.#become('connecting');
    try {
      await this.#transfer.renew();
    } catch (error) {
      if (error instanceof RelayRefused && error.status === 401) return this.#become('revoked');
      if (!(error instanceof RelayUnreachable || error instanceof RelayRefused)) throw error;
      if (!this.#started) return;
      this.#become('waiting');
      const { clock, random } = client.machine;
      this.#cancelRenewal = clock.after(backoffMs(attempt, (random.bytes(1)[0] ?? 0) / 255), () => {
        // Another error is a fault of this machine; the next start shows it again.
        this.#renewFirst(attempt + 1).catch(() => this.#become('off'));
      });
      return;
    }
    if (this.#started) await client.start({ receive: true });
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#cancelRenewal();
    this.#typing.stop();
    await this.#core.client.stop();
    this.#become('off');
  }

  async setForeground(foreground: boolean): Promise<void> {
    this.#typing.setForeground(foreground);
    if (!this.#started) return;
    const { mailbox, sender } = await this.#core.client.running();
    mailbox.setForeground(foreground);
    if (foreground) await sender.resume(); // what waits for its next try need not wait while somebody looks
  }

  async reconnect(): Promise<void> {
    if (!this.#started) {
      await this.#transfer.stay(); // "go on here"
      return this.start();
    }
    const { mailbox, sender } = await this.#core.client.running();
    mailbox.reconnect();
    await sender.resume();
  }

  async connection(): Promise<ConnectionView> {
    return { state: this.#state, caughtUp: this.#caughtUp, ...(await readHealth(this.#core.store)) };
  }

  async probe(): Promise<ConnectionView> {
    if (this.#state !== 'online') throw new CannotDo('offline', 'there is no connection to the relay, so nothing can come back');
    await (await this.#core.client.running()).probe.run();
    return this.connection();
  }

  /** What the mailbox session tells. */
  heard(event: MailboxEvent): void {
    switch (event.kind) {
      case 'connecting':
        return this.#become('connecting');
      case 'live':
        return this.#become('online');
      case 'drained':
        return this.#become('online', true);
      case 'reconnecting':
        return this.#become('waiting');
      case 'stopped':
        return this.#become(event.reason === 'superseded' ? 'elsewhere' : event.reason === 'protocol' ? 'off' : 'revoked');
      default:
        return;
    }
  }

  #become(state: ConnectionView['state'], caughtUp = false): void {
    const same = this.#state === state && this.#caughtUp === caughtUp;
    this.#state = state;
    this.#caughtUp = caughtUp;
    if (!same) this.#core.changed({ topic: 'connection' });
  }
}
