import { NOTHING } from './handler.ts';
import type { Handler } from './handler.ts';

/**
 * Told to the calls as it came, after the commit. The durable `ended` of a call that nobody answered is a row in the same
 * transaction: an app that is killed right after it still has its missed call. Strangers cannot ring; somebody whose key
 * changed and was not confirmed cannot be answered, so their call is missed.
 */
export const call: Handler<'call'> = ({ call: signal, sentAt }, { store, peer, contact, arrival, now }) => {
  if (!contact || contact.request) return NOTHING;
  const missed = signal.type === 'ended' || (signal.type === 'offer' && contact.identityState === 'unconfirmed');
  const row = { id: signal.call, peer, outgoing: false, startedAt: Math.min(sentAt, now), connectedAt: null, endedAt: now, outcome: 'missed' } as const;
  return {
    statements: missed ? store.calls.record(row, now) : [],
    events: contact.identityState === 'unconfirmed' ? [{ kind: 'conversation', peer }] : [{ kind: 'call', peer, signal, sentAt, arrival }],
  };
};
