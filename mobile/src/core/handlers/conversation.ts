/** Contents about the conversation or the person rather than a message. */
import type { Handler } from './handler.ts';
import { NOTHING } from './handler.ts';

export const typing: Handler<'typing'> = ({ typing: on }, { peer, contact, settings }) =>
  // Whoever does not tell is not told.
  settings.typing && contact && !contact.request && !contact.blocked ? { statements: [], events: [{ kind: 'typing', peer, typing: on }] } : NOTHING;

export const timer: Handler<'timer'> = async ({ id, seconds, sentAt }, { store, peer, arrival, now }) => {
  if (await store.messages.get(peer, id)) return NOTHING;
  return {
    statements: [
      store.conversations.setTimer(peer, seconds, sentAt),
      store.messages.add({ contentId: id, peer, direction: 'in', kind: 'timer', sentAt, arrivedAt: arrival.at, state: 'received', timerS: seconds, readAt: now }),
    ],
    events: [{ kind: 'conversation', peer }],
  };
};

/** The profile itself is read for every kind (receiving.ts): it may ride with any. */
export const profile: Handler<'profile'> = (_content, { peer }) => ({ statements: [], events: [{ kind: 'contact', peer }] });

/** That they have compared the safety number says nothing about whether we have. */
export const verified: Handler<'verified'> = () => NOTHING;
