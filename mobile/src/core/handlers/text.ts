import { dueWithin } from '../receipts.ts';
import type { Message } from '../storage/messages.ts';
import type { Handler } from './handler.ts';
import { NOTHING } from './handler.ts';

export const text: Handler<'text'> = async (content, { store, peer, contact, arrival, now, settings, random }) => {
  if (await store.messages.get(peer, content.id)) return NOTHING;
  const { quote } = content;
  const message: Omit<Message, 'seq'> = {
    contentId: content.id,
    peer,
    direction: 'in',
    kind: 'text',
    text: content.text,
    sentAt: content.sentAt,
    arrivedAt: arrival.at,
    state: 'received',
    reason: null,
    editedAt: null,
    quoteId: quote?.id ?? null,
    quoteMine: quote?.author === 'recipient',
    quoteText: quote?.text ?? null,
    timerS: content.timerS,
    expiresAt: null,
    readAt: null,
    callOutcome: null,
    callSeconds: null,
  };
  // Asked for again because it could not be read: back into its place, unless that was scrolled past already.
  const gap = content.resent === null ? null : await store.messages.get(peer, content.resent);
  const inPlace = gap?.kind === 'undecryptable' && gap.readAt === null;
  const statements = [inPlace ? store.messages.fillIn(peer, gap.contentId, message) : store.messages.add(message)];
  const accepted = contact !== null && !contact.request && !contact.blocked;
  if (settings.deliveryReceipts && accepted) statements.push(store.conversations.owesReceipt(peer, 'delivered', content.id, dueWithin(now, random)));
  const name = contact?.name ?? content.profile?.name ?? contact?.profileName ?? null;
  return { statements, events: [{ kind: 'message', peer, name, message }] };
};
