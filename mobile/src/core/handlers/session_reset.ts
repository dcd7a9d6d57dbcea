import { resendStatements } from '../repair.ts';
import type { Handler } from './handler.ts';
import { NOTHING } from './handler.ts';

/** They could not read us and began a new session: show it, and send again what they ask for. */
export const sessionReset: Handler<'session_reset'> = async ({ id, reason, lost, sentAt }, { store, peer, arrival, now, sameIdentity }) => {
  if (await store.messages.get(peer, id)) return NOTHING;
  const note = store.messages.add({ contentId: id, peer, direction: 'in', kind: 'session_reset', reason, sentAt, arrivedAt: arrival.at, state: 'received', readAt: now });
  // Only to the identity that it was written for: whoever came by another must not get old messages by asking for them.
  const again = sameIdentity ? await resendStatements(store, peer, lost) : [];
  return { statements: [note, ...again], events: [{ kind: 'conversation', peer }], wake: true };
};
