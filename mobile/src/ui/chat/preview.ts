/** One line about a message: in the list of conversations, and for what has no text of its own. */
import type { CallOutcome, MessageKind, Preview } from '../../core/messenger.ts';
import type { PlainKey, Translate } from '../i18n/words';

const KINDS: Readonly<Record<Exclude<MessageKind, 'text'>, PlainKey>> = {
  deleted: 'message.deleted',
  undecryptable: 'message.undecryptable',
  session_reset: 'message.session_reset',
  identity_changed: 'message.identity_changed',
  timer: 'message.timer',
  call: 'message.call',
};

export function kindWords(t: Translate, kind: Exclude<MessageKind, 'text'>): string {
  return t(KINDS[kind]);
}

export function previewWords(t: Translate, preview: Preview): string {
  if (preview.kind === 'deleted' && preview.mine) return t('message.deleted_mine');
  if (preview.kind !== 'text') return kindWords(t, preview.kind);
  const text = preview.text ?? '';
  return preview.mine ? t('chats.mine', { text }) : text;
}

const OUTCOMES: Readonly<Record<CallOutcome, readonly [outgoing: PlainKey, incoming: PlainKey]>> = {
  answered: ['calls.out', 'calls.in'],
  missed: ['calls.no_answer', 'calls.missed'],
  declined: ['calls.declined_by_them', 'calls.declined'],
  busy: ['calls.busy', 'calls.missed'],
  no_answer: ['calls.no_answer', 'calls.missed'],
  failed: ['calls.failed', 'calls.failed'],
};

export function outcomeWords(t: Translate, outcome: CallOutcome, outgoing: boolean): string {
  return t(OUTCOMES[outcome][outgoing ? 0 : 1]);
}
