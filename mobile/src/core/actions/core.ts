/** What the parts of the app share: the client that runs, its store, and how a change is told. */
import type { Client } from '../client.ts';
import { SottovoceError } from '../errors.ts';
import type { Change } from '../messenger.ts';
import type { Store } from '../storage/store.ts';

export interface Core {
  readonly client: Client;
  readonly store: Store;
  /** After what changed is on disk. */
  changed(...changes: readonly Change[]): void;
}

/** A part of the interface that this version does not have: said, never pretended. */
export class NotAvailable extends SottovoceError {
  constructor(what: string) {
    super('not_available', `${what} is not available in this version`);
  }
}

export function notAvailable(what: string): Promise<never> {
  return Promise.reject(new NotAvailable(what));
}
