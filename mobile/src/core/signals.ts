import { accessKeyOf } from './encrypting.ts';
import type { Encryptor } from './encrypting.ts';
import type { PostAnswer } from './post_connection.ts';
import type { PostConnections } from './post_connections.ts';
import type { Store } from './storage/store.ts';
import type { Content } from './wire/content.ts';

/** What is worthless after a minute: encrypted and sealed like a message, posted once, kept nowhere. */
export class SignalSender {
  readonly #deps: { readonly store: Store; readonly encryptor: Encryptor; readonly connections: PostConnections };

  constructor(deps: { readonly store: Store; readonly encryptor: Encryptor; readonly connections: PostConnections }) {
    this.#deps = deps;
  }

  /**
   * `ttlS` is 1 to 60. `begin`: whether a session is begun for it if there is none. Answers what the relay said; not tried again.
   * @throws what `Encryptor.encrypt` and `seal` throw
   */
  async send(peer: string, content: Content, ttlS: number, begin: boolean): Promise<PostAnswer> {
    const { store, encryptor, connections } = this.#deps;
    const encrypted = await encryptor.encrypt(peer, content, { session: begin ? 'keep' : 'never', also: () => [] });
    const { id, body } = await encryptor.seal(peer, encrypted);
    const access = accessKeyOf(await store.people.get(peer));
    return connections.to(peer).signal({ id, to: peer, access, body }, ttlS);
  }
}
