/** The client as a person meets it: an account, contacts, messages, and a connection that is on or off. */
import { changeAccess } from './access_keys.ts';
import type { AccessChange, AccessKeyDeps } from './access_keys.ts';
import { SenderCertificates } from './certificates.ts';
import { discover } from './discovery/discovery.ts';
import type { BookEntry, DiscoveryProgress, DiscoveryResult, DiscoverySettings } from './discovery/discovery.ts';
import { isE164 } from './discovery/numbers.ts';
import type { SignalEngine } from './engine.ts';
import { CannotDo, NotTrusted } from './errors.ts';
import { parseContactLink, parseInvite, writeContactLink } from './links.ts';
import { MailboxConnection } from './mailbox_connection.ts';
import type { MailboxEvent } from './mailbox_connection.ts';
import type { AnonymousHttp, AnonymousSockets, Clock, Database, IdentifiedHttp, IdentifiedSockets, Random } from './ports.ts';
import { refillPreKeys } from './prekeys.ts';
import { KeyedQueue } from './queue.ts';
import { Receiver } from './receiving.ts';
import type { Received } from './receiving.ts';
import { register } from './registration.ts';
import type { RegistrationStep } from './registration.ts';
import { AnonymousApi, bearer, IdentifiedApi, socketUrl } from './relay_api.ts';
import { RelayTime } from './relay_time.ts';
import { Sender } from './sending.ts';
import type { SendingEvent } from './sending.ts';
import { DiscoveryStore } from './storage/discovery_store.ts';
import type { Account, Contact, Message } from './storage/rows.ts';
import { openSchema } from './storage/schema.ts';
import { Store } from './storage/store.ts';
import { isUuid } from './uuid.ts';
import type { DeliveredEnvelope } from './wire/frames.ts';
import { sameBytes } from './bytes.ts';

export interface Machine {
  readonly database: Database;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  /** Two lanes, two sets of connections. */
  readonly identified: { readonly http: IdentifiedHttp; readonly sockets: IdentifiedSockets };
  readonly anonymous: { readonly http: AnonymousHttp; readonly sockets: AnonymousSockets };
  /** One-time prekeys of each kind to make when joining and to top up to; at most 100. */
  readonly preKeys?: number;
}

export type ClientEvent =
  | { readonly kind: 'received'; readonly envelope: string; readonly received: Received }
  | { readonly kind: 'sending'; readonly sending: SendingEvent }
  | { readonly kind: 'connection'; readonly connection: MailboxEvent }
  | { readonly kind: 'trouble'; readonly what: string };

export interface DiscoverOptions {
  readonly settings?: Partial<DiscoverySettings>;
  readonly onProgress?: (progress: DiscoveryProgress) => void;
  readonly stopped?: () => boolean;
}

type Joined = Account & { readonly accountId: string };

interface Running {
  readonly account: Joined;
  readonly sender: Sender;
  readonly mailbox: MailboxConnection;
  refilling: Promise<void> | null;
}

export class Client {
  readonly #machine: Machine;
  readonly #store: Store;
  readonly #discovery: DiscoveryStore;
  readonly #onEvent: (event: ClientEvent) => void;
  #running: Running | null = null;

  private constructor(machine: Machine, onEvent: (event: ClientEvent) => void) {
    this.#machine = machine;
    this.#store = new Store(machine.database);
    this.#discovery = new DiscoveryStore(machine.database);
    this.#onEvent = onEvent;
  }

  /** `onEvent` is called after what it tells is on disk. */
  static async open(machine: Machine, onEvent: (event: ClientEvent) => void = () => undefined): Promise<Client> {
    await openSchema(machine.database);
    return new Client(machine, onEvent);
  }

  get store(): Store {
    return this.#store;
  }

  get discovery(): DiscoveryStore {
    return this.#discovery;
  }

  /** May be repeated after any failure. `number` is E.164 and does not leave. @throws what `register` throws, CannotDo `bad_link` */
  async join(inviteLink: string, name: string, onStep?: (step: RegistrationStep) => void, number: string | null = null): Promise<Account> {
    const { engine, clock, random, identified, preKeys } = this.#machine;
    const deps = {
      store: this.#store,
      discovery: this.#discovery,
      engine,
      clock,
      random,
      api: (relayUrl: string) => new IdentifiedApi(identified.http, relayUrl),
      ...(onStep && { onStep }),
      ...(preKeys !== undefined && { preKeys }),
    };
    return register(deps, parseInvite(inviteLink), name, number);
  }

  /** Durable and resumable; see access_keys.ts. Answers the contact access key that counts from now on. */
  async changeAccess(change: AccessChange): Promise<Uint8Array> {
    return changeAccess(await this.#accessKeys(), change);
  }

  async #accessKeys(): Promise<AccessKeyDeps> {
    const { random, identified } = this.#machine;
    const { relayUrl } = await this.account();
    return { store: this.#store, discovery: this.#discovery, random, api: new IdentifiedApi(identified.http, relayUrl) };
  }

  /** Which of these numbers are members; they become contacts. See discovery/discovery.ts. @throws CannotDo `no_discovery`, `bad_number` */
  async discover(book: readonly BookEntry[], options: DiscoverOptions = {}): Promise<DiscoveryResult> {
    const { random, clock, identified, anonymous } = this.#machine;
    const account = await this.account();
    const keys = await this.#discovery.keys();
    if (!keys) throw new CannotDo('no_discovery', 'the invite that made this account carried no keys for phone numbers: ask the operator');
    return discover(
      {
        store: this.#discovery,
        identified: new IdentifiedApi(identified.http, account.relayUrl),
        anonymous: new AnonymousApi(anonymous.http, account.relayUrl),
        random,
        clock,
        keys,
        authorization: bearer(account.accountId, account.secret),
        account: account.accountId,
        nowS: () => Math.floor(clock.now() / 1000),
        ...options,
      },
      book,
    );
  }

  /** @throws CannotDo `not_joined` */
  async account(): Promise<Joined> {
    const account = await this.#store.account();
    if (!account) throw new CannotDo('not_joined', 'there is no account here yet: join with an invite first');
    const { accountId } = account;
    if (accountId === null) throw new CannotDo('not_joined', 'joining was begun but not answered: join again with the same invite');
    return { ...account, accountId };
  }

  /** What somebody else needs to write to us: to be given in person, or over a channel they trust. */
  async card(): Promise<string> {
    const { accountId, identityKey, contactAccessKey, name } = await this.account();
    return writeContactLink({ account: accountId, identityKey, accessKey: contactAccessKey, name });
  }

  /** @throws CannotDo `bad_link`, `own_card`, NotTrusted `identity_changed` */
  async addContact(link: string): Promise<Contact> {
    const card = parseContactLink(link);
    const { accountId } = await this.account();
    if (card.account === accountId) throw new CannotDo('own_card', 'this is your own contact link: give it to somebody else');
    const known = await this.#store.contact(card.account);
    if (known?.identityKey && !sameBytes(known.identityKey, card.identityKey)) {
      throw new NotTrusted('identity_changed', 'this link names another identity key than the one known for this contact: compare in person before trusting either');
    }
    const { account, name, identityKey, accessKey } = card;
    await this.#store.write([
      this.#store.saveContact({ account, name: name ?? known?.name ?? null, identityKey, accessKey }),
      ...this.#store.outboxUnblock(account),
    ]);
    this.#running?.sender.wake(account);
    return (await this.#store.contact(account)) ?? { ...card, answered: false };
  }

  /** By account id, by a number that was discovered, or by name if only one contact bears it. @throws CannotDo `no_contact`, `many_contacts` */
  async findContact(nameOrAccount: string): Promise<Contact> {
    const contacts = await this.#store.contacts();
    const wanted = nameOrAccount.trim();
    const byNumber = isE164(wanted) ? ((await this.#discovery.byNumber(wanted))?.account ?? null) : null;
    const found = contacts.filter((contact) => contact.account === (byNumber ?? wanted.toLowerCase()) || contact.name === wanted);
    const [only] = found;
    if (!only) {
      throw new CannotDo('no_contact', isUuid(wanted) ? 'no contact has this account id: add their contact link first' : `no contact is called "${wanted}": add their contact link first`);
    }
    if (found.length > 1) throw new CannotDo('many_contacts', `${found.length} contacts are called "${wanted}": use the account id`);
    return only;
  }

  /** Queues a text on disk and answers its content id. Works without a connection. @throws CannotDo, SottovoceError `too_long` */
  async send(to: string, text: string): Promise<string> {
    const contact = await this.findContact(to);
    return (await this.#prepare()).sender.send(contact.account, text);
  }

  /** Goes on with the outbox; with `receive` also keeps the mailbox session. */
  async start(options: { readonly receive: boolean }): Promise<void> {
    const running = await this.#prepare();
    if (options.receive) running.mailbox.start();
    await running.sender.resume();
  }

  /** What is under way is finished or left for the next start; nothing is lost either way. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    await running.mailbox.stop();
    await running.sender.stop();
    await running.refilling;
    this.#running = null;
  }

  async #prepare(): Promise<Running> {
    if (this.#running) return this.#running;
    const account = await this.account();
    if (this.#running) return this.#running; // another caller was faster
    const { engine, clock, random, identified, anonymous } = this.#machine;
    const store = this.#store;
    const time = new RelayTime(clock);
    const queue = new KeyedQueue();
    const api = new IdentifiedApi(identified.http, account.relayUrl);
    const receiver = new Receiver({ store, engine, queue, time, account });
    const sender = new Sender({
      store,
      engine,
      queue,
      time,
      clock,
      random,
      account,
      api: new AnonymousApi(anonymous.http, account.relayUrl),
      sockets: anonymous.sockets,
      certificates: new SenderCertificates({ store, engine, api, time }),
      onEvent: (sending) => this.#onEvent({ kind: 'sending', sending }),
      onTrouble: (what) => this.#onEvent({ kind: 'trouble', what }),
    });
    const mailbox = new MailboxConnection({
      sockets: identified.sockets,
      clock,
      random,
      time,
      url: socketUrl(account.relayUrl, '/v1/mailbox'),
      authorization: bearer(account.accountId, account.secret),
      receive: (envelope) => this.#receive(receiver, sender, envelope),
      onEvent: (event) => this.#connection(event, api),
    });
    this.#running = { account, sender, mailbox, refilling: null };
    return this.#running;
  }

  async #receive(receiver: Receiver, sender: Sender, envelope: DeliveredEnvelope): Promise<void> {
    const received = await receiver.receive(envelope);
    // Whoever wrote may have told the key that our own messages were waiting for.
    if (received.kind === 'message' && received.message.peer) sender.wake(received.message.peer);
    else if (received.kind === 'silent') await sender.resume();
    this.#onEvent({ kind: 'received', envelope: envelope.id, received });
  }

  #connection(event: MailboxEvent, api: IdentifiedApi): void {
    if (event.kind === 'prekeys_low') this.#refill(api);
    this.#onEvent({ kind: 'connection', connection: event });
  }

  #refill(api: IdentifiedApi): void {
    const running = this.#running;
    if (!running || running.refilling) return;
    const { engine, clock, preKeys } = this.#machine;
    running.refilling = refillPreKeys({ store: this.#store, engine, clock, api }, preKeys)
      .then(
        () => undefined,
        // The relay says `prekeys_low` again at the next connection.
        (error: unknown) => this.#onEvent({ kind: 'trouble', what: `prekeys were not topped up: ${error instanceof Error ? error.message : 'unknown'}` }),
      )
      .finally(() => {
        running.refilling = null;
      });
  }

  /** In the order they became known here. */
  async history(nameOrAccount: string): Promise<readonly Message[]> {
    return this.#store.messages((await this.findContact(nameOrAccount)).account);
  }
}
