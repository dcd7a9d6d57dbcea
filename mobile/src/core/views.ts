/** From rows to what screens show. */
import type { CallOutcome, ConversationView, MessageStatus, MessageView, Preview } from './messenger.ts';
import { nameShown } from './people/names.ts';
import type { KnownNumber } from './storage/discovery_store.ts';
import type { Conversation, Reaction } from './storage/conversations.ts';
import type { Message, MessageState } from './storage/messages.ts';
import type { Contact } from './storage/people.ts';

/** What is blocked waits for a person, so to them it has failed; the reason says what to do. */
function status(state: MessageState): MessageStatus {
  return state === 'blocked' ? 'failed' : state;
}

export function messageView(message: Message, reactions: readonly Reaction[]): MessageView {
  const { seq, contentId, kind, direction, text, sentAt, arrivedAt, state, reason } = message;
  return {
    row: seq,
    id: contentId,
    kind,
    mine: direction === 'out',
    text,
    at: arrivedAt ?? sentAt,
    status: status(state),
    reason,
    edited: message.editedAt !== null,
    quote: message.quoteId === null ? null : { id: message.quoteId, mine: message.quoteMine, text: message.quoteText },
    reactions: reactions.filter((one) => one.contentId === contentId).map(({ emoji, mine }) => ({ emoji, mine })),
    expiresAt: message.expiresAt,
    timerS: message.timerS,
    call: message.callOutcome === null ? null : { outcome: message.callOutcome as CallOutcome, seconds: message.callSeconds ?? 0 },
  };
}

export function preview(message: Message): Preview {
  return { kind: message.kind, mine: message.direction === 'out', text: message.text, state: status(message.state) };
}

export function conversationView(contact: Contact, known: KnownNumber | null, conversation: Conversation, last: Message | null, typing: boolean): ConversationView {
  return {
    peer: contact.account,
    name: nameShown(contact, known),
    preview: last && preview(last),
    at: last && (last.arrivedAt ?? last.sentAt),
    unread: conversation.unread,
    request: contact.request,
    blocked: contact.blocked,
    mutedUntil: contact.mutedUntil,
    archived: conversation.archived,
    verified: contact.verified,
    identity: contact.identityState,
    draft: conversation.draft,
    typing,
    timerS: conversation.timerS,
    reachable: contact.accessKey !== null || (known?.accessKey ?? null) !== null,
  };
}
