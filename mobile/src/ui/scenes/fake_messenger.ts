/**
 * A Messenger in memory, for component tests and pictures: what it is told it does at once, and nobody is on the other side.
 * It keeps the rules that screens rely on (docs of core/messenger.ts): pages, unread counts, requests, blocks, confirmations.
 */
import type { AccountView, CallOutcome, CallRow, CallView, Change, ConnectionView, ContactView, ConversationView, InviteView, MessagePage, MessageView, Messenger, SafetyNumberView, SearchHit, SettingsView } from '../../core/messenger.ts';
import { SAFETY_GROUPS, FakeError, blankMessage, blankPerson, conversationOf, excerpt, firstNotBefore, plain } from './world';
import type { Person, World } from './world';

export const RECOVERY_CODE = 'K7QD-M2XA-9FTR-WJ4H-6NPC-V3LB-T8GZ-2DWK-H5MR-Q9XJ-4PVF-C6TN-A3BS-7LYE';
const EDITABLE_S = 86_400;
const JOIN_STEPS = ['keys', 'registering', 'prekeys', 'certificate'] as const;

export class FakeMessenger implements Messenger {
  readonly world: World;
  readonly #listeners = new Set<(change: Change) => void>();
  /** A failure for the next call of a method, by its name. */
  readonly failures = new Map<string, string>();
  #lastRow: number;
  #made = 0;

  constructor(world: World) {
    this.world = world;
    this.#lastRow = Math.max(0, ...world.people.flatMap(({ messages }) => messages.map(({ row }) => row)));
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  #begin(method: string): void {
    const code = this.failures.get(method);
    if (code === undefined) return;
    this.failures.delete(method);
    throw new FakeError(code);
  }

  #person(peer: string): Person {
    const person = this.world.people.find(({ contact }) => contact.peer === peer);
    if (!person) throw new FakeError('no_contact');
    return person;
  }

  #message(peer: string, id: string): MessageView {
    const message = this.#person(peer).messages.find((each) => each.id === id);
    if (!message) throw new FakeError('no_message');
    return message;
  }

  #change(peer: string, id: string, part: Partial<MessageView>): void {
    const { messages } = this.#person(peer);
    const at = messages.findIndex((each) => each.id === id);
    messages[at] = { ...this.#message(peer, id), ...part };
    this.tell({ topic: 'conversation', peer });
  }

  #setContact(peer: string, part: Partial<ContactView>): void {
    const person = this.#person(peer);
    person.contact = { ...person.contact, ...part };
    this.tell({ topic: 'contacts' });
    this.tell({ topic: 'conversation', peer });
  }

  #joined(): void {
    if (!this.world.account) throw new FakeError('not_joined');
  }

  /** Somebody else's message, as it would arrive. */
  arrive(peer: string, text: string): MessageView {
    const message = this.#append(peer, { mine: false, text, status: 'received' });
    this.tell({ topic: 'message', peer, id: message.id });
    return message;
  }

  #append(peer: string, part: Partial<MessageView>): MessageView {
    const person = this.#person(peer);
    this.#lastRow += 1;
    this.#made += 1;
    const message: MessageView = { ...blankMessage(this.#lastRow, `made-${this.#made}`, this.world.now()), timerS: person.timerS, ...part };
    person.messages.push(message);
    this.tell({ topic: 'conversation', peer });
    return message;
  }

  async account(): Promise<AccountView | null> {
    this.#begin('account');
    return this.world.account;
  }

  async inspectInvite(link: string): Promise<InviteView> {
    this.#begin('inspectInvite');
    if (!/^(?:https?:\/\/\S+\/join|sottovoce:\/\/join)#\S+$/.test(link)) throw new FakeError('bad_link');
    return this.world.invite;
  }

  async join(request: { readonly invite: string; readonly name: string; readonly number: string | null }): Promise<AccountView> {
    JOIN_STEPS.forEach((step, done) => this.tell({ topic: 'progress', task: 'join', step, done, total: JOIN_STEPS.length }));
    this.#begin('join');
    this.world.account = { account: '0198f2d4-0000-7000-8000-000000000001', name: request.name, number: request.number, relayUrl: this.world.invite.relayUrl, relayName: this.world.invite.relayName, recoveryConfirmed: false };
    this.tell({ topic: 'account' });
    return this.world.account;
  }

  async recover(request: { readonly invite: string; readonly name: string; readonly account: string | null; readonly number: string | null; readonly recoveryCode: string }): Promise<AccountView> {
    this.#begin('recover');
    if (plain(request.recoveryCode) !== plain(RECOVERY_CODE)) throw new FakeError('wrong_code');
    return this.join({ invite: request.invite, name: request.name, number: request.number });
  }

  async recoveryCode(): Promise<string> {
    this.#begin('recoveryCode');
    this.#joined();
    return RECOVERY_CODE;
  }

  async confirmRecoveryCode(typed: string): Promise<boolean> {
    this.#joined();
    if (plain(typed).length !== plain(RECOVERY_CODE).length) throw new FakeError('mistyped_code');
    if (plain(typed) !== plain(RECOVERY_CODE)) return false;
    this.world.account = { ...(this.world.account as AccountView), recoveryConfirmed: true };
    this.tell({ topic: 'account' });
    return true;
  }

  async setName(name: string): Promise<void> {
    this.#joined();
    if (name.trim() === '') throw new FakeError('bad_name');
    this.world.account = { ...(this.world.account as AccountView), name };
    this.tell({ topic: 'account' });
  }

  async deleteAccount(): Promise<void> {
    this.#begin('deleteAccount');
    Object.assign(this.world, { account: null, people: [], calls: [], call: null });
    this.tell({ topic: 'account' });
  }

  async exportArchive(): Promise<{ readonly code: string; readonly messages: number; readonly contacts: number }> {
    this.#joined();
    const messages = this.world.people.reduce((sum, person) => sum + person.messages.length, 0);
    return { code: 'Q4TZ7MKA2XWF9RPC'.repeat(4), messages, contacts: this.world.people.length };
  }

  async importArchive(): Promise<AccountView> {
    this.#begin('importArchive');
    throw new FakeError(this.world.account ? 'already_joined' : 'damaged_archive');
  }

  async start(): Promise<void> {
    this.#begin('start');
    this.#joined();
  }

  stop = async (): Promise<void> => undefined;
  setForeground = async (): Promise<void> => undefined;
  setTyping = async (): Promise<void> => undefined;
  async reconnect(): Promise<void> {
    this.world.connection = { ...this.world.connection, state: 'online' };
    this.tell({ topic: 'connection' });
  }

  connection = async (): Promise<ConnectionView> => this.world.connection;

  async probe(): Promise<ConnectionView> {
    this.#begin('probe');
    this.world.connection = { ...this.world.connection, probedAt: this.world.now(), deliveredAt: this.world.now(), probeFailed: false };
    this.tell({ topic: 'connection' });
    return this.world.connection;
  }

  async conversations(filter: { readonly archived: boolean }): Promise<readonly ConversationView[]> {
    this.#begin('conversations');
    return this.world.people
      .filter((person) => person.archived === filter.archived && (person.messages.length > 0 || person.draft !== ''))
      .map(conversationOf)
      .sort((one, other) => (other.at ?? 0) - (one.at ?? 0));
  }

  async conversation(peer: string): Promise<ConversationView> {
    this.#begin('conversation');
    return conversationOf(this.#person(peer));
  }

  async messages(peer: string, page: { readonly before: number | null; readonly limit: number }): Promise<MessagePage> {
    this.#begin('messages');
    const { messages } = this.#person(peer);
    const end = page.before === null ? messages.length : firstNotBefore(messages, page.before);
    const start = Math.max(0, end - page.limit);
    return { messages: messages.slice(start, end), before: start > 0 ? (messages[start]?.row ?? null) : null };
  }

  async search(query: string, options: { readonly peer: string | null; readonly limit: number }): Promise<readonly SearchHit[]> {
    this.#begin('search');
    const wanted = query.toLocaleLowerCase();
    const hits = this.world.people
      .filter(({ contact }) => options.peer === null || contact.peer === options.peer)
      .flatMap(({ contact, messages }) => messages.filter(({ text, kind }) => kind === 'text' && (text ?? '').toLocaleLowerCase().includes(wanted)).map((message) => ({ peer: contact.peer, message, excerpt: excerpt(message.text ?? '', wanted) })));
    return hits.sort((one, other) => other.message.at - one.message.at).slice(0, options.limit);
  }

  async send(peer: string, message: { readonly text: string; readonly quotes: string | null }): Promise<string> {
    this.#begin('send');
    const { contact } = this.#person(peer);
    if (contact.blocked) throw new FakeError('blocked');
    if (contact.identity === 'unconfirmed') throw new FakeError('identity_unconfirmed');
    if (new TextEncoder().encode(message.text).length > 60_000) throw new FakeError('too_long');
    const quoted = message.quotes === null ? null : this.#message(peer, message.quotes);
    return this.#append(peer, { mine: true, text: message.text, status: this.world.connection.state === 'online' ? 'sent' : 'queued', quote: quoted && { id: quoted.id, mine: quoted.mine, text: quoted.text } }).id;
  }

  async edit(peer: string, id: string, text: string): Promise<void> {
    const message = this.#message(peer, id);
    if (!message.mine) throw new FakeError('not_yours');
    if (this.world.now() - message.at > EDITABLE_S) throw new FakeError('too_late');
    this.#change(peer, id, { text, edited: true });
  }

  async deleteForMe(peer: string, ids: readonly string[]): Promise<void> {
    const person = this.#person(peer);
    person.messages = person.messages.filter(({ id }) => !ids.includes(id));
    this.tell({ topic: 'conversation', peer });
  }

  async deleteForEveryone(peer: string, id: string): Promise<void> {
    if (!this.#message(peer, id).mine) throw new FakeError('not_yours');
    this.#change(peer, id, { kind: 'deleted', text: null, reactions: [], quote: null });
  }

  async react(peer: string, id: string, emoji: string | null): Promise<void> {
    const others = this.#message(peer, id).reactions.filter(({ mine }) => !mine);
    this.#change(peer, id, { reactions: emoji === null ? others : [...others, { emoji, mine: true }] });
  }

  async retry(peer: string, id: string): Promise<void> {
    this.#change(peer, id, { status: 'queued', reason: null });
  }

  async setDraft(peer: string, text: string): Promise<void> {
    this.#person(peer).draft = text;
    this.tell({ topic: 'conversations' });
  }

  async markRead(peer: string, upToRow: number): Promise<void> {
    const person = this.#person(peer);
    if (upToRow <= person.readUpTo) return;
    person.readUpTo = upToRow;
    this.tell({ topic: 'conversation', peer });
  }

  async setTimer(peer: string, seconds: number): Promise<void> {
    this.#person(peer).timerS = seconds;
    this.#append(peer, { kind: 'timer', mine: true, status: 'sent', timerS: seconds });
  }

  async setArchived(peer: string, archived: boolean): Promise<void> {
    this.#person(peer).archived = archived;
    this.tell({ topic: 'conversations' });
  }

  async deleteConversation(peer: string): Promise<void> {
    Object.assign(this.#person(peer), { messages: [], draft: '' });
    this.tell({ topic: 'conversations' });
  }

  async contacts(): Promise<readonly ContactView[]> {
    this.#begin('contacts');
    return this.world.people.map(({ contact }) => contact).filter(({ request }) => !request);
  }

  contact = async (peer: string): Promise<ContactView> => this.#person(peer).contact;

  async card(): Promise<string> {
    this.#joined();
    return `sottovoce:contact#a=${this.world.account?.account ?? ''}&i=BWqN0ZkPz1x3u8yQh2m5vT7cR9sLd4wEoJ6iXbAgKfHn&k=Yk3Jm8Qp2Wv7Zr4Tc6XsLg&n=${encodeURIComponent(this.world.account?.name ?? '')}`;
  }

  async addByCard(link: string, inPerson: boolean): Promise<ContactView> {
    const account = /^sottovoce:contact#a=([0-9a-f-]{36})&/.exec(link)?.[1];
    if (account === undefined) throw new FakeError('bad_link');
    if (account === this.world.account?.account) throw new FakeError('own_card');
    const name = decodeURIComponent(/&n=([^&]+)/.exec(link)?.[1] ?? '');
    if (!this.world.people.some(({ contact }) => contact.peer === account)) this.world.people.push(blankPerson({ peer: account, name, profileName: name, verified: inPerson }));
    else if (inPerson) this.#setContact(account, { verified: true });
    this.tell({ topic: 'contacts' });
    return this.#person(account).contact;
  }

  async setContactName(peer: string, name: string | null): Promise<void> {
    this.#setContact(peer, { name: name ?? this.#person(peer).contact.profileName ?? '' });
  }

  async discover(book: readonly { readonly number: string; readonly name: string | null }[]): Promise<readonly ContactView[]> {
    this.#begin('discover');
    const numbers = new Set(book.map(({ number }) => number));
    return this.world.people.map(({ contact }) => contact).filter(({ number }) => number !== null && numbers.has(number));
  }

  async acceptRequest(peer: string): Promise<void> {
    this.#begin('acceptRequest');
    this.#setContact(peer, { request: false });
  }

  async block(peer: string): Promise<void> {
    this.#setContact(peer, { blocked: true });
  }

  async unblock(peer: string): Promise<void> {
    this.#setContact(peer, { blocked: false });
  }

  async mute(peer: string, until: number | null): Promise<void> {
    this.#setContact(peer, { mutedUntil: until });
  }

  async safetyNumber(peer: string): Promise<SafetyNumberView> {
    this.#begin('safetyNumber');
    this.#person(peer);
    return { groups: SAFETY_GROUPS, code: `CAISIgogU290dG92b2NlLXNhZmV0eS0${peer.slice(0, 8)}EiIKIHZlcmlmaWVkLWJ5LXR3by1wZW9wbGU` };
  }

  async compareSafetyCode(peer: string, scanned: string): Promise<boolean> {
    const fits = scanned === (await this.safetyNumber(peer)).code;
    if (fits) this.#setContact(peer, { verified: true, identity: 'same' });
    return fits;
  }

  async setVerified(peer: string, verified: boolean): Promise<void> {
    this.#begin('setVerified');
    this.#setContact(peer, verified ? { verified, identity: 'same' } : { verified });
  }

  confirmIdentity = async (peer: string): Promise<void> => this.#setContact(peer, { identity: 'same', verified: false });

  async calls(): Promise<readonly CallRow[]> {
    this.#begin('calls');
    return this.world.calls;
  }

  call = async (): Promise<CallView | null> => this.world.call;

  setCall(call: CallView | null): void {
    this.world.call = call;
    this.tell({ topic: 'call' });
  }

  async startCall(peer: string): Promise<CallView> {
    this.#begin('startCall');
    if (this.world.call) throw new FakeError('in_call');
    this.#made += 1;
    const { contact } = this.#person(peer);
    const call: CallView = { id: `call-${this.#made}`, peer, name: contact.name, outgoing: true, state: 'dialing', outcome: null, reason: null, connectedAt: null, muted: false, relayOnly: !this.world.settings.directCalls, verified: contact.verified, quality: null };
    this.setCall(call);
    return call;
  }

  #ongoing(id: string): CallView {
    const { call } = this.world;
    if (call?.id !== id) throw new FakeError('no_call');
    return call;
  }

  async answerCall(id: string): Promise<void> {
    this.setCall({ ...this.#ongoing(id), state: 'connected', connectedAt: this.world.now(), quality: { roundTripMs: 84, lossPercent: 0.4, jitterMs: 11 } });
  }

  async endCall(id: string): Promise<void> {
    const call = this.#ongoing(id);
    const outcome: CallOutcome = call.connectedAt !== null ? 'answered' : call.outgoing ? 'no_answer' : 'declined';
    this.world.calls = [{ id, peer: call.peer, name: call.name, outgoing: call.outgoing, outcome, at: this.world.now(), seconds: call.connectedAt === null ? 0 : this.world.now() - call.connectedAt }, ...this.world.calls];
    this.tell({ topic: 'calls' });
    this.setCall(null);
  }

  async setMuted(id: string, muted: boolean): Promise<void> {
    this.setCall({ ...this.#ongoing(id), muted });
  }

  async forgetCalls(): Promise<void> {
    this.world.calls = [];
    this.tell({ topic: 'calls' });
  }

  settings = async (): Promise<SettingsView> => this.world.settings;

  async changeSettings(change: Partial<SettingsView>): Promise<SettingsView> {
    this.world.settings = { ...this.world.settings, ...change };
    this.tell({ topic: 'settings' });
    return this.world.settings;
  }
}

