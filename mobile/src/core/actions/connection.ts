/** Being connected, and what is known about it. */
import type { MailboxEvent } from '../mailbox_connection.ts';
import type { ConnectionView, Messenger } from '../messenger.ts';
import { notAvailable } from './core.ts';
import type { Core } from './core.ts';

export type ConnectionPart = Pick<Messenger, 'start' | 'stop' | 'setForeground' | 'reconnect' | 'connection' | 'probe'>;

export class ConnectionActions implements ConnectionPart {
  readonly #core: Core;
  #state: ConnectionView['state'] = 'off';
  #caughtUp = false;

  constructor(core: Core) {
    this.#core = core;
  }

  async start(): Promise<void> {
    if (this.#state !== 'off') return;
    await this.#core.client.running(); // not joined: said before anything changes
    this.#become('connecting');
    await this.#core.client.start({ receive: true });
  }

  async stop(): Promise<void> {
    await this.#core.client.stop();
    this.#become('off');
  }

  setForeground(): Promise<never> {
    return notAvailable('the background');
  }

  reconnect(): Promise<never> {
    return notAvailable('reconnecting');
  }

  async connection(): Promise<ConnectionView> {
    return { state: this.#state, caughtUp: this.#caughtUp, deliveredAt: null, probedAt: null, probeFailed: false };
  }

  probe(): Promise<never> {
    return notAvailable('delivery health');
  }

  /** What the mailbox session tells. */
  heard(event: MailboxEvent): void {
    switch (event.kind) {
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
