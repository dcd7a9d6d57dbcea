/** People: contacts, names, requests, blocking, safety numbers. */
import { backoffMs } from '../backoff.ts';
import { sameBytes } from '../bytes.ts';
import { CannotDo, NotTrusted } from '../errors.ts';
import { parseContactLink } from '../links.ts';
import type { ContactView, Messenger, SafetyNumberView } from '../messenger.ts';
import { checkedName, contactView } from '../people/names.ts';
import { notice } from '../people/notices.ts';
import { fits, safetyNumber } from '../people/safety_number.ts';
import type { Person } from '../people/safety_number.ts';
import type { Statement } from '../ports.ts';
import type { Contact } from '../storage/people.ts';
import type { Store } from '../storage/store.ts';
import type { Core } from './core.ts';

export type PeoplePart = Pick<
  Messenger,
  | 'contacts'
  | 'contact'
  | 'card'
  | 'addByCard'
  | 'setContactName'
  | 'discover'
  | 'acceptRequest'
  | 'block'
  | 'unblock'
  | 'mute'
  | 'safetyNumber'
  | 'compareSafetyCode'
  | 'setVerified'
  | 'confirmIdentity'
>;

export class PeopleActions implements PeoplePart {
  readonly #core: Core;
  #finishing: Promise<void> | null = null;
  #attempts = 0;
  #over = false;
  #cancelRetry: () => void = () => undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  // --- what screens see

  async contacts(): Promise<readonly ContactView[]> {
    const { store, client } = this.#core;
    const numbers = new Map((await client.discovery.members()).map((known) => [known.account ?? '', known]));
    return (await store.people.all()).map((contact) => contactView(contact, numbers.get(contact.account) ?? null));
  }

  async contact(peer: string): Promise<ContactView> {
    const { client } = this.#core;
    return contactView(await client.contact(peer), await client.discovery.byAccount(peer));
  }

  card(): Promise<string> {
    return this.#core.client.card();
  }

  // --- adding and naming

  async addByCard(link: string, inPerson: boolean): Promise<ContactView> {
    const { client, store, changed } = this.#core;
    const { account, name, identityKey, accessKey } = parseContactLink(link);
    const me = await client.account();
    if (account === me.accountId) throw new CannotDo('own_card', 'this is your own contact link: give it to somebody else');
    const known = await store.people.get(account);
    if (known?.identityKey && !sameBytes(known.identityKey, identityKey)) {
      throw new NotTrusted('identity_changed', 'this link names another identity key than the one known for this contact: compare in person before trusting either');
    }
    await store.write([
      store.people.save({ account, profileName: known?.profileName ?? name, identityKey, accessKey, pinned: true, request: false }),
      ...(inPerson ? [store.people.verify(account, identityKey)] : []), // the key came from the person
      ...store.outbox.unblock(account),
    ]);
    await this.#wake(account);
    changed({ topic: 'contacts' }, { topic: 'conversation', peer: account });
    return this.contact(account);
  }

  async setContactName(peer: string, name: string | null): Promise<void> {
    await this.#change(peer, (store) => [store.people.setName(peer, name === null ? null : checkedName(name))]);
  }

  /** Progress has two steps of its own, one after the other: `evaluating` and `looking_up`. */
  async discover(book: readonly { readonly number: string; readonly name: string | null }[]): Promise<readonly ContactView[]> {
    const { client, changed } = this.#core;
    const { found } = await client.discover(book, { onProgress: ({ step, done, total }) => changed({ topic: 'progress', task: 'discover', step, done, total }) });
    changed({ topic: 'contacts' }, { topic: 'conversations' });
    const accounts = new Set(found.map(({ account }) => account));
    return (await this.contacts()).filter(({ peer }) => accounts.has(peer));
  }

  // --- safety numbers and identity

  async safetyNumber(peer: string): Promise<SafetyNumberView> {
    return safetyNumber(this.#core.client.machine.engine, ...(await this.#both(peer)));
  }

  async compareSafetyCode(peer: string, scanned: string): Promise<boolean> {
    const [me, them] = await this.#both(peer);
    const fit = await fits(this.#core.client.machine.engine, me, them, scanned);
    if (fit) await this.#verify(them);
    return fit;
  }

  /** Having compared is also "I have seen that the key changed". */
  async setVerified(peer: string, verified: boolean): Promise<void> {
    const [, them] = await this.#both(peer);
    if (verified) await this.#verify(them);
    else await this.#change(peer, (store) => [store.people.unverify(peer)]);
  }

  async confirmIdentity(peer: string): Promise<void> {
    await this.#change(peer, (store) => [store.people.confirmIdentity(peer), ...store.outbox.unblock(peer)]);
    await this.#wake(peer);
  }

  /** Of the key that was compared: another one may have come while the person was looking. */
  async #verify({ account, identityKey }: Person): Promise<void> {
    await this.#change(account, (store) => [store.people.verify(account, identityKey), ...store.outbox.unblock(account)]);
    await this.#wake(account);
  }

  async #both(peer: string): Promise<readonly [Person, Person]> {
    const { client } = this.#core;
    const { accountId, identityKey } = await client.account();
    const contact = await client.contact(peer);
    if (!contact.identityKey) throw new CannotDo('no_identity', 'their identity key is not known yet: it comes with their contact link or their first message');
    return [
      { account: accountId, identityKey },
      { account: peer, identityKey: contact.identityKey },
    ];
  }

  // --- requests, blocking, muting

  /** They are told our profile, and from now on get what contacts get. */
  async acceptRequest(peer: string): Promise<void> {
    const contact = await this.#core.client.contact(peer);
    if (!contact.request) return;
    const told = await this.#profileFor(contact);
    await this.#change(peer, (store) => [store.people.accept(peer), ...told]);
    await this.#wake(peer);
  }

  /**
   * Their messages are dropped from now on, and the access key they hold will not open the mailbox once the relay has another.
   * One transaction plans both; what needs the relay goes on at the next connection if it must.
   */
  async block(peer: string): Promise<void> {
    const { client } = this.#core;
    if ((await client.contact(peer)).blocked) return;
    const contactKey = client.machine.random.bytes(16);
    await this.#change(peer, (store) => [
      store.people.setBlocked(peer, true),
      client.discovery.planAccessChange({ contactKey, strangers: null }),
      ...store.outbox.forgetUnencrypted(peer, 'profile'),
    ]);
    this.finishAccessChange();
  }

  /** They are told the key they need to write again. */
  async unblock(peer: string): Promise<void> {
    const contact = await this.#core.client.contact(peer);
    if (!contact.blocked) return;
    const told = contact.request ? [] : await this.#profileFor(contact);
    await this.#change(peer, (store) => [store.people.setBlocked(peer, false), ...store.outbox.unblock(peer), ...told]);
    await this.#wake(peer);
  }

  async mute(peer: string, until: number | null): Promise<void> {
    await this.#change(peer, (store) => [store.people.setMuted(peer, until)]);
  }

  // --- the relay's part of blocking

  /** Goes on with what `block` planned: now, and again until the relay has answered. */
  finishAccessChange(): void {
    if (this.#over) return;
    this.#cancelRetry();
    this.#finishing ??= this.#finish()
      .then(
        () => {
          this.#attempts = 0;
        },
        () => this.#later(), // the relay was away or busy: it stays planned
      )
      .finally(() => {
        this.#finishing = null;
      });
  }

  async #finish(): Promise<void> {
    const { client, changed } = this.#core;
    if (!(await client.discovery.accessChange())) return;
    await client.finishAccessChange();
    changed({ topic: 'account' }); // the card is another one now
  }

  /** A connection that stays up is not the sign to wait for. */
  #later(): void {
    if (this.#over) return;
    const { clock, random } = this.#core.client.machine;
    this.#cancelRetry = clock.after(backoffMs(this.#attempts, (random.bytes(1)[0] ?? 0) / 255, 2_000, 600_000), () => this.finishAccessChange());
    this.#attempts += 1;
  }

  /** With `stop`; what is planned goes on after the next `start`. */
  async settled(): Promise<void> {
    this.#over = true;
    this.#cancelRetry();
    await this.#finishing;
    this.#over = false;
  }

  /** Nothing for whom we cannot write to. */
  async #profileFor({ account, accessKey }: Contact): Promise<readonly Statement[]> {
    if (!accessKey) return [];
    const { client, store } = this.#core;
    const now = (await client.running()).time.nowS();
    return [notice(store, client.machine.random, account, { kind: 'profile' }, now, now)];
  }

  async #wake(peer: string): Promise<void> {
    (await this.#core.client.running()).sender.wake(peer);
  }

  /** @throws CannotDo `no_contact` */
  async #change(peer: string, statements: (store: Store) => readonly Statement[]): Promise<void> {
    const { client, store, changed } = this.#core;
    await client.contact(peer);
    await store.write(statements(store));
    changed({ topic: 'contacts' }, { topic: 'conversation', peer });
  }
}
