import type { Handler } from './handler.ts';

/** Only our own ones get here (receiving.ts). */
export const probe: Handler<'probe'> = ({ id }) => ({ statements: [], events: [{ kind: 'probe', id }, { kind: 'delivered' }] });
