/** Conversations and messages: reading them, and what a person does with them. */
import { ownText } from '../composing.ts';
import { CannotDo } from '../errors.ts';
import { EDIT_WITHIN_S } from '../handlers/changes.ts';
import type { ConversationView, MessagePage, Messenger, MessageView, SearchHit } from '../messenger.ts';
import type { Statement } from '../ports.ts';
import { dueWithin } from '../receipts.ts';
import { textOf } from '../repair.ts';
import { soughtBy } from '../search.ts';
import { readSettings } from '../settings.ts';
import type { Message } from '../storage/messages.ts';
import type { Contact } from '../storage/people.ts';
import type { Conversation } from '../storage/conversations.ts';
import type { Typing } from '../typing.ts';
import { conversationView, messageView } from '../views.ts';
import { LONGEST_EMOJI, LONGEST_QUOTE, LONGEST_TIMER_S } from '../wire/content.ts';
import type { Content, Quote } from '../wire/content.ts';
import type { Core } from './core.ts';

export type ChatPart = Pick<
  Messenger,
  | 'conversations'
  | 'conversation'
  | 'messages'
  | 'search'
  | 'send'
  | 'edit'
  | 'deleteForMe'
  | 'deleteForEveryone'
  | 'react'
  | 'retry'
  | 'setDraft'
  | 'markRead'
  | 'setTyping'
  | 'setTimer'
  | 'setArchived'
  | 'deleteConversation'
>;

const LARGEST_PAGE = 200;
const LONGEST_DRAFT = 60_000;

export class ChatActions implements ChatPart {
  readonly #core: Core;
  readonly #typing: Typing;

  constructor(core: Core, typing: Typing) {
    this.#core = core;
    this.#typing = typing;
  }

  // --- reading

  async conversations({ archived }: { readonly archived: boolean }): Promise<readonly ConversationView[]> {
    const views: ConversationView[] = [];
    for (const conversation of await this.#core.store.conversations.list(archived)) views.push(await this.#view(conversation));
    return views;
  }

  async conversation(peer: string): Promise<ConversationView> {
    const conversation = await this.#core.store.conversations.get(peer);
    if (!conversation) throw noContact();
    return this.#view(conversation);
  }

  async #view(conversation: Conversation): Promise<ConversationView> {
    const { client, store } = this.#core;
    const contact = await client.contact(conversation.peer);
    const last = conversation.lastSeq === null ? null : await store.conversations.message(conversation.lastSeq);
    const known = await client.discovery.byAccount(conversation.peer);
    return conversationView(contact, known, conversation, last, this.#typing.isTyping(conversation.peer));
  }

  async messages(peer: string, { before, limit }: { readonly before: number | null; readonly limit: number }): Promise<MessagePage> {
    const most = Math.max(1, Math.min(LARGEST_PAGE, Math.floor(limit)));
    const found = await this.#core.store.conversations.page(peer, before, most + 1);
    const page = found.length > most ? found.slice(1) : found;
    return { messages: await this.#views(peer, page), before: found.length > most ? (page[0]?.seq ?? null) : null };
  }

  async #views(peer: string, messages: readonly Message[]): Promise<readonly MessageView[]> {
    const reactions = await this.#core.store.conversations.reactions(peer, messages.map(({ contentId }) => contentId));
    return messages.map((message) => messageView(message, reactions));
  }

  async search(query: string, { peer, limit }: { readonly peer: string | null; readonly limit: number }): Promise<readonly SearchHit[]> {
    const sought = soughtBy(query);
    if (sought === null) return [];
    const hits: SearchHit[] = [];
    for (const { message, excerpt } of await this.#core.store.conversations.search(sought, peer, Math.max(1, Math.min(LARGEST_PAGE, limit)))) {
      if (message.peer === null) continue;
      const [view] = await this.#views(message.peer, [message]);
      if (view) hits.push({ peer: message.peer, message: view, excerpt });
    }
    return hits;
  }

  // --- writing

  async send(peer: string, { text, quotes }: { readonly text: string; readonly quotes: string | null }): Promise<string> {
    const { store, client, changed } = this.#core;
    if (text.trim() === '') throw new CannotDo('empty', 'there is nothing to send');
    await this.#mayWriteTo(peer);
    const { sender } = await client.running();
    const conversation = await store.conversations.get(peer);
    const content = sender.content({ kind: 'text', text, quote: quotes === null ? null : await this.#quote(peer, quotes), timerS: conversation?.timerS ?? 0 });
    await sender.queue(peer, content, {
      about: content.id,
      // Whoever is answered is accepted.
      statements: [store.people.save({ account: peer, request: false }), ownText(store, peer, content), store.conversations.setDraft(peer, '')],
    });
    this.#typing.sent(peer);
    changed({ topic: 'conversation', peer });
    return content.id;
  }

  async #quote(peer: string, id: string): Promise<Quote | null> {
    const message = await this.#core.store.messages.get(peer, id);
    if (message?.kind !== 'text') return null;
    return { id, author: message.direction === 'out' ? 'sender' : 'recipient', text: [...(message.text ?? '')].slice(0, LONGEST_QUOTE / 2).join('') };
  }

  async edit(peer: string, id: string, text: string): Promise<void> {
    const { store, client } = this.#core;
    if (text.trim() === '') throw new CannotDo('empty', 'there is nothing to send');
    await this.#mayWriteTo(peer);
    const message = await this.#own(peer, id);
    const { sender, time } = await client.running();
    if (message.kind !== 'text') throw new CannotDo('not_yours', 'only own texts can be changed');
    if (time.nowS() - message.sentAt > EDIT_WITHIN_S) throw new CannotDo('too_late', 'a text can be changed for a day');
    if (message.text === text) return;
    await this.#change(peer, sender.content({ kind: 'edit', target: id, text }), id, [store.messages.edit(peer, 'out', id, text, time.nowS())]);
  }

  async deleteForMe(peer: string, ids: readonly string[]): Promise<void> {
    const { store, changed } = this.#core;
    await store.write(ids.flatMap((id) => store.messages.remove(peer, id)));
    changed({ topic: 'conversation', peer });
  }

  async deleteForEveryone(peer: string, id: string): Promise<void> {
    const { store, client } = this.#core;
    await this.#mayWriteTo(peer);
    await this.#own(peer, id);
    const { sender, time } = await client.running();
    await this.#change(peer, sender.content({ kind: 'delete', target: id }), null, store.messages.takeBack(peer, 'out', id, time.nowS()));
  }

  async react(peer: string, id: string, emoji: string | null): Promise<void> {
    const { store, client } = this.#core;
    if (emoji !== null && (emoji === '' || emoji.length > LONGEST_EMOJI)) throw new CannotDo('bad_emoji', 'a reaction is one emoji');
    await this.#mayWriteTo(peer);
    const message = await store.messages.get(peer, id);
    if (message?.kind !== 'text') throw new CannotDo('no_message', 'this message is not there any more');
    const { sender } = await client.running();
    await this.#change(peer, sender.content({ kind: 'reaction', target: id, emoji }), id, [store.messages.setReaction(peer, id, true, emoji)]);
  }

  /** One unit of work: what changes here, and the content that says so. */
  async #change(peer: string, content: Content, about: string | null, statements: readonly Statement[]): Promise<void> {
    const { sender } = await this.#core.client.running();
    await sender.queue(peer, content, { statements, ...(about !== null && { about }) });
    this.#core.changed({ topic: 'conversation', peer });
  }

  async retry(peer: string, id: string): Promise<void> {
    const { store, client, changed } = this.#core;
    const message = await this.#own(peer, id);
    if (message.state !== 'blocked' && message.state !== 'failed') return;
    const { sender } = await client.running();
    if (message.state === 'blocked') await store.write(store.outbox.unblock(peer));
    else {
      const content = textOf(message);
      if (!content) throw new CannotDo('no_message', 'this message is not there any more');
      await store.write([store.messages.setState(message.seq, 'queued', null, 0), sender.queueStatement(peer, content, id)]);
    }
    sender.wake(peer);
    changed({ topic: 'conversation', peer });
  }

  // --- the conversation

  async setDraft(peer: string, text: string): Promise<void> {
    const { store, changed } = this.#core;
    await this.#core.client.contact(peer);
    await store.write([store.conversations.setDraft(peer, text.slice(0, LONGEST_DRAFT))]);
    changed({ topic: 'conversation', peer });
  }

  async markRead(peer: string, upToRow: number): Promise<void> {
    const { store, client, changed } = this.#core;
    const contact = await client.contact(peer);
    const { time } = await client.running();
    const now = time.nowS();
    const receipts = (await readSettings(store)).readReceipts && !contact.request && !contact.blocked;
    await store.write([
      ...(receipts ? [store.conversations.owesReadReceipts(peer, upToRow, dueWithin(now, client.machine.random))] : []),
      store.conversations.markRead(peer, upToRow, now),
    ]);
    client.lookAtWhatIsDue();
    changed({ topic: 'conversation', peer });
  }

  async setTyping(peer: string, typing: boolean): Promise<void> {
    await this.#typing.tell(peer, typing);
  }

  async setTimer(peer: string, seconds: number): Promise<void> {
    const { store, client } = this.#core;
    if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > LONGEST_TIMER_S) throw new CannotDo('bad_timer', 'at most four weeks');
    await this.#mayWriteTo(peer);
    const { sender, time } = await client.running();
    const { timerAt = 0 } = (await store.conversations.get(peer)) ?? {};
    const made = sender.content({ kind: 'timer', seconds });
    const content = { ...made, sentAt: Math.max(made.sentAt, timerAt + 1) }; // later than any word before it
    await this.#change(peer, content, null, [
      store.conversations.setTimer(peer, seconds, content.sentAt),
      store.messages.add({ contentId: content.id, peer, direction: 'out', kind: 'timer', sentAt: content.sentAt, state: 'queued', timerS: seconds, readAt: time.nowS() }),
    ]);
  }

  async setArchived(peer: string, archived: boolean): Promise<void> {
    const { store, changed } = this.#core;
    await this.#core.client.contact(peer);
    await store.write([store.conversations.setArchived(peer, archived)]);
    changed({ topic: 'conversations' }, { topic: 'conversation', peer });
  }

  async deleteConversation(peer: string): Promise<void> {
    const { store, changed } = this.#core;
    await store.write([...store.messages.removeAll(peer), store.conversations.clear(peer)]);
    changed({ topic: 'conversations' }, { topic: 'conversation', peer });
  }

  /** @throws CannotDo `no_contact`, `blocked`, `identity_unconfirmed` */
  async #mayWriteTo(peer: string): Promise<Contact> {
    const contact = await this.#core.client.contact(peer);
    if (contact.blocked) throw new CannotDo('blocked', 'you have blocked this contact: unblock them first');
    if (contact.identityState === 'unconfirmed') {
      throw new CannotDo('identity_unconfirmed', 'their identity key changed: compare the safety number, then confirm it');
    }
    return contact;
  }

  /** @throws CannotDo `no_message`, `not_yours` */
  async #own(peer: string, id: string): Promise<Message> {
    const message = await this.#core.store.messages.get(peer, id);
    if (!message) throw new CannotDo('no_message', 'this message is not there any more');
    if (message.direction !== 'out') throw new CannotDo('not_yours', 'only own messages can be changed');
    return message;
  }
}

function noContact(): CannotDo {
  return new CannotDo('no_contact', 'no contact has this account id: add their contact link first');
}
