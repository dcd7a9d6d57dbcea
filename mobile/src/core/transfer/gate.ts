import type { Database, Statement } from '../ports.ts';

/**
 * A database whose writers can be made to wait, so that an archive is of one moment. Reads go on. Who closed the gate writes
 * through `inner`.
 */
export class GatedDatabase implements Database {
  readonly inner: Database;
  #open: Promise<void> | null = null;

  constructor(inner: Database) {
    this.inner = inner;
  }

  read(statement: Statement) {
    return this.inner.read(statement);
  }

  async write(statements: readonly Statement[]): Promise<void> {
    while (this.#open) await this.#open;
    return this.inner.write(statements);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  /** Runs `work` while nobody else writes; one at a time. */
  async alone<T>(work: (inner: Database) => Promise<T>): Promise<T> {
    while (this.#open) await this.#open;
    let opened: () => void = () => undefined;
    this.#open = new Promise<void>((resolve) => {
      opened = resolve;
    });
    try {
      return await work(this.inner);
    } finally {
      this.#open = null;
      opened();
    }
  }
}
