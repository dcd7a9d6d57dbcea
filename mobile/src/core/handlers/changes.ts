/** Contents that change a message which is there already. About one that is not (deleted here, expired), they do nothing. */
import type { Handler } from './handler.ts';
import { NOTHING } from './handler.ts';

/** 24 h for a person, and a day for mail that waited. */
export const EDIT_WITHIN_S = 86_400;

export const edit: Handler<'edit'> = async ({ target, text }, { store, peer, arrival }) => {
  const message = await store.messages.get(peer, target);
  // Both times by the relay's clock, so no clock of theirs widens the window; what waited in their outbox has an hour more.
  if (message?.direction !== 'in' || message.kind !== 'text' || arrival.at - (message.arrivedAt ?? 0) > EDIT_WITHIN_S + 3_600) return NOTHING;
  return { statements: [store.messages.edit(peer, 'in', target, text, arrival.at)], events: [{ kind: 'conversation', peer }] };
};

export const takeBack: Handler<'delete'> = async ({ target }, { store, peer, now }) => {
  const message = await store.messages.get(peer, target);
  if (message?.direction !== 'in') return NOTHING;
  return { statements: store.messages.takeBack(peer, 'in', target, now), events: [{ kind: 'conversation', peer }] };
};

export const reaction: Handler<'reaction'> = ({ target, emoji }, { store, peer }) => ({
  statements: [store.messages.setReaction(peer, target, false, emoji)],
  events: [{ kind: 'conversation', peer }],
});

export const receipt: Handler<'receipt'> = ({ status, ids }, { store, peer }) => ({
  statements: [store.messages.setReceipt(peer, status, ids)],
  events: [{ kind: 'conversation', peer }, { kind: 'delivered' }],
});
