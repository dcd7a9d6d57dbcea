import type { Handler } from './handler.ts';

/** Told to the calls as it came; the durable `ended` comes by mail, everything else by signal. */
export const call: Handler<'call'> = ({ call: signal, sentAt }, { peer, arrival }) => ({
  statements: [],
  events: [{ kind: 'call', peer, signal, sentAt, arrival }],
});
