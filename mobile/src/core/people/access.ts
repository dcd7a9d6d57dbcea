/**
 * What follows when the relay lets a message in under no key we hold. The recipient may have changed the key and told us; that
 * word is read first. Then there may be the key of their number, for who is let in by it. Only then a person is asked.
 */
import { sameBytes } from '../bytes.ts';
import type { DiscoveryStore } from '../storage/discovery_store.ts';
import type { Store } from '../storage/store.ts';

export interface AccessDeps {
  readonly store: Store;
  readonly discovery: DiscoveryStore;
  /** Nothing is waiting for us at the relay that could hold a new key. */
  readonly drained: () => boolean;
}

/** `again`: there is another key now. `later`: their word may be waiting. `no_access`: there is nothing left to try. */
export type Verdict = 'again' | 'later' | 'no_access';

/** Until the mailbox is looked at again, seconds. */
export const LOOK_AGAIN_S = 15;

export class Access {
  readonly #deps: AccessDeps;

  constructor(deps: AccessDeps) {
    this.#deps = deps;
  }

  /** `used` did not open the mailbox of this peer. */
  async refused(peer: string, used: Uint8Array): Promise<Verdict> {
    const { store, discovery, drained } = this.#deps;
    const contact = await store.people.get(peer);
    if (contact?.accessKey && !sameBytes(contact.accessKey, used)) return 'again';
    if (!drained()) return 'later';
    const byNumber = (await discovery.byAccount(peer))?.accessKey ?? null;
    if (byNumber === null || sameBytes(byNumber, used)) return 'no_access';
    await store.write([store.people.save({ account: peer, accessKey: byNumber })]);
    return 'again';
  }
}
