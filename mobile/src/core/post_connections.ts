import { PostConnection } from './post_connection.ts';
import type { PostDeps } from './post_connection.ts';

/** One post session a recipient, shared by mail and signals to them, and by nobody else. */
export class PostConnections {
  readonly #deps: PostDeps;
  readonly #open = new Map<string, PostConnection>();

  constructor(deps: PostDeps) {
    this.#deps = deps;
  }

  to(peer: string): PostConnection {
    let connection = this.#open.get(peer);
    if (!connection) {
      connection = new PostConnection(this.#deps);
      this.#open.set(peer, connection);
    }
    return connection;
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
  }
}
