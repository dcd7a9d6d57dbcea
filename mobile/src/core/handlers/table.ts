import type { Kind } from '../wire/content.ts';
import { call } from './call.ts';
import { edit, reaction, receipt, takeBack } from './changes.ts';
import { profile, timer, typing, verified } from './conversation.ts';
import type { Handler } from './handler.ts';
import { NOTHING } from './handler.ts';
import { probe } from './probe.ts';
import { sessionReset } from './session_reset.ts';
import { text } from './text.ts';

/** One handler a kind. */
export const HANDLERS: { readonly [K in Kind]: Handler<K> } = {
  text,
  edit,
  delete: takeBack,
  reaction,
  receipt,
  typing,
  timer,
  profile,
  call,
  session_reset: sessionReset,
  verified,
  probe,
  null: () => NOTHING,
};
