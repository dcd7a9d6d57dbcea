/** Every SQL statement of the core, by area. A unit of work is a list of statements of any areas, written as one transaction. */
import type { Database, Statement } from '../ports.ts';
import { AccountArea } from './account.ts';
import { CallArea } from './calls.ts';
import { ConversationArea } from './conversations.ts';
import { KeyArea } from './keys.ts';
import { LifecycleArea } from './lifecycle.ts';
import { MessageArea } from './messages.ts';
import { OutboxArea } from './outbox.ts';
import { PeopleArea } from './people.ts';

export class Store {
  readonly #database: Database;
  readonly account: AccountArea;
  readonly lifecycle: LifecycleArea;
  readonly keys: KeyArea;
  readonly people: PeopleArea;
  readonly messages: MessageArea;
  readonly conversations: ConversationArea;
  readonly outbox: OutboxArea;
  readonly calls: CallArea;

  constructor(database: Database) {
    this.#database = database;
    this.account = new AccountArea(database);
    this.lifecycle = new LifecycleArea(database);
    this.keys = new KeyArea(database);
    this.people = new PeopleArea(database);
    this.messages = new MessageArea(database);
    this.conversations = new ConversationArea(database);
    this.outbox = new OutboxArea(database);
    this.calls = new CallArea(database);
  }

  /** All statements or none, durable when the promise resolves. */
  write(statements: readonly Statement[]): Promise<void> {
    return this.#database.write(statements);
  }
}
