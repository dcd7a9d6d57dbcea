/** What runs: an account, the outbox, the mailbox session, and everything that is due. Screens see it through app.ts. */
import { changeAccess, finishAccessChange } from './access_keys.ts';
import type { CallMachine } from './actions/calls.ts';
import type { AccessChange, AccessKeyDeps } from './access_keys.ts';
import { sameBytes } from './bytes.ts';
import { SenderCertificates } from './certificates.ts';
import { ownText } from './composing.ts';
import type { BookEntry, DiscoveryResult, DiscoverySettings } from './discovery/discovery.ts';
import { isE164 } from './discovery/numbers.ts';
import { Due } from './due.ts';
import { Encryptor } from './encrypting.ts';
import type { SignalEngine } from './engine.ts';
import { comeBack, findPeople, join } from './errands.ts';
import type { DiscoverOptions } from './errands.ts';
import { CannotDo, NotTrusted } from './errors.ts';
import type { CoreEvent } from './handlers/handler.ts';
import { KeyKeeper } from './key_keeper.ts';
import { parseContactLink, writeContactLink } from './links.ts';
import { MailboxConnection } from './mailbox_connection.ts';
import type { MailboxEvent } from './mailbox_connection.ts';
import type { AnonymousHttp, AnonymousSockets, Clock, Database, IdentifiedHttp, IdentifiedSockets, Random, Statement } from './ports.ts';
import { PostConnections } from './post_connections.ts';
import { Probe } from './probe.ts';
import { KeyedQueue } from './queue.ts';
import { Receiver } from './receiving.ts';
import type { Settled } from './receiving.ts';
import type { RecoveryClaim, RecoveryStep } from './recovery.ts';
import type { RegistrationStep } from './registration.ts';
import { AnonymousApi, bearer, IdentifiedApi, socketUrl } from './relay_api.ts';
import { RelayTime } from './relay_time.ts';
import { Access } from './people/access.ts';
import { profileNotices } from './people/notices.ts';
import { Sender } from './sending.ts';
import type { SendingEvent } from './sending.ts';
import { SignalSender } from './signals.ts';
import type { Account } from './storage/account.ts';
import { DiscoveryStore } from './storage/discovery_store.ts';
import type { Message } from './storage/messages.ts';
import type { Contact } from './storage/people.ts';
import { openSchema } from './storage/schema.ts';
import { Store } from './storage/store.ts';
import type { ArchiveFiles } from './transfer/archive.ts';
import { isUuid } from './uuid.ts';

export interface Machine {
  readonly database: Database;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  /** Two lanes, two sets of connections. */
  readonly identified: { readonly http: IdentifiedHttp; readonly sockets: IdentifiedSockets };
  readonly anonymous: { readonly http: AnonymousHttp; readonly sockets: AnonymousSockets };
  /** Where archives are written and read; without it there are none. */
  readonly files?: ArchiveFiles;
  /** Seconds over which contacts are told of a new name or key; 600 unless told. */
  readonly spreadS?: number;
  /** WebRTC and a ringer; without them calls are missed ones. */
  readonly calls?: CallMachine;
  /** What a look-up of numbers waits for, where it is not as usual. */
  readonly discovery?: Partial<DiscoverySettings>;
  /** One-time prekeys of each kind to make when joining and to top up to; at most 100. */
  readonly preKeys?: number;
}

export type ClientEvent =
  | CoreEvent
  | { readonly kind: 'sending'; readonly sending: SendingEvent }
  | { readonly kind: 'connection'; readonly connection: MailboxEvent }
  /** Delivery health is known anew. */
  | { readonly kind: 'health' }
  | { readonly kind: 'trouble'; readonly what: string };

export type Joined = Account & { readonly accountId: string };

/** What exists only with an account. */
export interface Running {
  readonly account: Joined;
  readonly time: RelayTime;
  readonly queue: KeyedQueue;
  readonly api: IdentifiedApi;
  readonly anonymousApi: AnonymousApi;
  readonly encryptor: Encryptor;
  readonly sender: Sender;
  readonly signals: SignalSender;
  readonly receiver: Receiver;
  readonly mailbox: MailboxConnection;
  readonly due: Due;
  readonly keys: KeyKeeper;
  readonly probe: Probe;
}

export class Client {
  readonly machine: Machine;
  readonly store: Store;
  readonly discovery: DiscoveryStore;
  readonly #onEvent: (event: ClientEvent) => void;
  #running: Running | null = null;

  private constructor(machine: Machine, onEvent: (event: ClientEvent) => void) {
    this.machine = machine;
    this.store = new Store(machine.database);
    this.discovery = new DiscoveryStore(machine.database);
    this.#onEvent = onEvent;
  }

  /** `onEvent` is called after what it tells is on disk. */
  static async open(machine: Machine, onEvent: (event: ClientEvent) => void = () => undefined): Promise<Client> {
    await openSchema(machine.database);
    return new Client(machine, onEvent);
  }

  /** May be repeated after any failure. `number` is E.164 and does not leave. @throws what `register` throws, CannotDo `bad_link` */
  async join(inviteLink: string, name: string, onStep?: (step: RegistrationStep) => void, number: string | null = null): Promise<Account> {
    return join(this, inviteLink, name, onStep, number);
  }

  /** Stops first: what runs, runs for the keys that are about to be replaced. May be repeated after any failure; see recovery.ts. */
  async recover(inviteLink: string, claim: RecoveryClaim, onStep?: (step: RecoveryStep) => void): Promise<Account> {
    await this.stop();
    return comeBack(this, inviteLink, claim, onStep);
  }

  /** Durable and resumable; see access_keys.ts. Answers the contact access key that counts from now on. */
  async changeAccess(change: AccessChange): Promise<Uint8Array> {
    return changeAccess(await this.#accessKeys(), change);
  }

  /** Goes on with a change of access keys that was begun; without one it asks nobody. @throws RelayUnreachable, RelayRefused */
  async finishAccessChange(): Promise<void> {
    await finishAccessChange(await this.#accessKeys());
    await this.#running?.sender.resume();
  }

  /** What tells contacts our name and key as they then are, at times spread out. */
  async notices(): Promise<readonly Statement[]> {
    const { time } = await this.running();
    return profileNotices(this.store, this.machine.random, time.nowS(), this.machine.spreadS);
  }

  async #accessKeys(): Promise<AccessKeyDeps> {
    const { random, identified } = this.machine;
    const { relayUrl } = await this.account();
    const { store, discovery } = this;
    // So that nobody is forgotten who holds the old key.
    const also = async (contactKey: Uint8Array | null): Promise<readonly Statement[]> => (contactKey === null ? [] : this.notices());
    return { store, discovery, random, api: new IdentifiedApi(identified.http, relayUrl), also };
  }

  /** Which of these numbers are members; they become contacts. See discovery/discovery.ts. @throws CannotDo `no_discovery`, `bad_number` */
  async discover(book: readonly BookEntry[], options: DiscoverOptions = {}): Promise<DiscoveryResult> {
    return findPeople(this, await this.account(), book, options);
  }

  /** @throws CannotDo `not_joined` */
  async account(): Promise<Joined> {
    const account = await this.store.account.get();
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
    const known = await this.store.people.get(card.account);
    if (known?.identityKey && !sameBytes(known.identityKey, card.identityKey)) {
      throw new NotTrusted('identity_changed', 'this link names another identity key than the one known for this contact: compare in person before trusting either');
    }
    const { account, name, identityKey, accessKey } = card;
    await this.store.write([
      this.store.people.save({ account, name: name ?? known?.name ?? null, identityKey, accessKey, pinned: true, request: false }),
      ...this.store.outbox.unblock(account),
    ]);
    this.#running?.sender.wake(account);
    return this.contact(account);
  }

  /** @throws CannotDo `no_contact` */
  async contact(account: string): Promise<Contact> {
    const contact = await this.store.people.get(account);
    if (!contact) throw new CannotDo('no_contact', 'no contact has this account id: add their contact link first');
    return contact;
  }

  /** By account id, by a number that was discovered, or by name if only one contact bears it. @throws CannotDo `no_contact`, `many_contacts` */
  async findContact(nameOrAccount: string): Promise<Contact> {
    const contacts = await this.store.people.all();
    const wanted = nameOrAccount.trim();
    const byNumber = isE164(wanted) ? ((await this.discovery.byNumber(wanted))?.account ?? null) : null;
    const found = contacts.filter((contact) => contact.account === (byNumber ?? wanted.toLowerCase()) || shownName(contact) === wanted);
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
    const { sender } = await this.running();
    const { timerS = 0 } = (await this.store.conversations.get(contact.account)) ?? {};
    const content = sender.content({ kind: 'text', text, quote: null, timerS });
    await sender.queue(contact.account, content, { statements: [ownText(this.store, contact.account, content)], about: content.id });
    return content.id;
  }

  /** Goes on with the outbox; with `receive` also keeps the mailbox session. */
  async start(options: { readonly receive: boolean }): Promise<void> {
    const running = await this.running();
    running.due.start();
    if (options.receive) {
      running.mailbox.start();
      running.keys.start();
      running.probe.start();
    }
    await running.sender.resume();
  }

  /** What is under way is finished or left for the next start; nothing is lost either way. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    await running.mailbox.stop();
    await running.due.stop();
    await running.keys.stop();
    await running.probe.stop();
    await running.sender.stop();
    this.#running = null;
  }

  /** Something that comes due by time was just written. */
  lookAtWhatIsDue(): void {
    this.#running?.due.look();
  }

  /** @throws CannotDo `not_joined` */
  async running(): Promise<Running> {
    if (this.#running) return this.#running;
    const account = await this.account();
    this.#running ??= this.#assemble(account); // another caller may have been faster
    return this.#running;
  }

  #assemble(account: Joined): Running {
    const { engine, clock, random, identified, anonymous } = this.machine;
    const { store } = this;
    const time = new RelayTime(clock);
    const queue = new KeyedQueue();
    const api = new IdentifiedApi(identified.http, account.relayUrl);
    const anonymousApi = new AnonymousApi(anonymous.http, account.relayUrl);
    const certificates = new SenderCertificates({ store, engine, api, time });
    const receiver = new Receiver({ store, engine, queue, time, random, account });
    const access = new Access({ store, discovery: this.discovery, drained: () => this.#running?.mailbox.drained ?? true });
    const encryptor = new Encryptor({
      store,
      access,
      engine,
      queue,
      time,
      random,
      api: anonymousApi,
      certificates,
      account,
      onIdentityChanged: (peer) => this.#tell({ kind: 'contact', peer }, { kind: 'conversation', peer }),
    });
    const post = { sockets: anonymous.sockets, clock, time, url: socketUrl(account.relayUrl, '/v1/post') };
    const connections = new PostConnections(post);
    const sender = new Sender({
      store,
      encryptor,
      access,
      connections,
      time,
      clock,
      random,
      onEvent: (sending) => {
        this.lookAtWhatIsDue(); // the time of one that disappears runs from now
        this.#tell({ kind: 'sending', sending });
      },
      onTrouble: (what) => this.#tell({ kind: 'trouble', what }),
    });
    const probe = new Probe({
      store,
      engine,
      clock,
      random,
      time,
      api: anonymousApi,
      encryptor,
      post,
      account,
      onChange: () => this.#tell({ kind: 'health' }),
    });
    const due = new Due({
      store,
      clock,
      time,
      sender,
      onChange: (peer) => this.#tell({ kind: 'conversation', peer }),
      onTrouble: (what) => this.#tell({ kind: 'trouble', what }),
    });
    const { preKeys } = this.machine;
    const keys = new KeyKeeper({
      store,
      engine,
      clock,
      random,
      api,
      certificates,
      ...(preKeys !== undefined && { preKeys }),
      onTrouble: (what) => this.#tell({ kind: 'trouble', what }),
    });
    const mailbox = new MailboxConnection({
      sockets: identified.sockets,
      clock,
      random,
      time,
      url: socketUrl(account.relayUrl, '/v1/mailbox'),
      authorization: bearer(account.accountId, account.secret),
      receive: async ({ id, at, body }) => this.#settled(sender, probe, await receiver.receive(body, { lane: 'mail', id, at })),
      receiveSignal: async ({ id, body }) => this.#settled(sender, probe, await receiver.receive(body, { lane: 'signal', id, at: time.nowS() })),
      onEvent: (event) => {
        if (event.kind === 'prekeys_low') keys.runLow();
        this.#tell({ kind: 'connection', connection: event });
      },
    });
    const signals = new SignalSender({ store, encryptor, connections });
    return { account, time, queue, api, anonymousApi, encryptor, sender, signals, receiver, mailbox, due, keys, probe };
  }

  async #settled(sender: Sender, probe: Probe, { events, wake }: Settled): Promise<void> {
    for (const event of events) if (event.kind === 'probe') probe.arrived(event.id);
    if (wake !== null) sender.wake(wake);
    if (events.some(({ kind }) => kind === 'message')) this.lookAtWhatIsDue(); // a receipt may be owed
    this.#tell(...events);
    if (events.some(({ kind }) => kind === 'delivered')) await probe.delivered();
  }

  /** Something failed that nobody waits for. */
  trouble(what: string): void {
    this.#tell({ kind: 'trouble', what });
  }

  #tell(...events: readonly ClientEvent[]): void {
    for (const event of events) this.#onEvent(event);
  }

  /** In the order they became known here. */
  async history(nameOrAccount: string): Promise<readonly Message[]> {
    return this.store.messages.all((await this.findContact(nameOrAccount)).account);
  }
}

/** The member's own choice, else the name they gave themselves. */
export function shownName(contact: Pick<Contact, 'name' | 'profileName'>): string | null {
  return contact.name ?? contact.profileName;
}
