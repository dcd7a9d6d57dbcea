/** What a made-up core holds: people with their messages, and how a conversation follows from that. */
import type { AccountView, CallRow, CallView, ConnectionView, ContactView, ConversationView, InviteView, MessageView, Preview, SettingsView } from '../../core/messenger.ts';

export interface Person {
  contact: ContactView;
  draft: string;
  typing: boolean;
  timerS: number;
  archived: boolean;
  readUpTo: number;
  messages: MessageView[];
}

export interface World {
  now: () => number;
  account: AccountView | null;
  invite: InviteView;
  connection: ConnectionView;
  settings: SettingsView;
  people: Person[];
  calls: CallRow[];
  call: CallView | null;
}

/** Index of the first message whose row is not below `row`: rows ascend, so by halves. */
export function firstNotBefore(messages: readonly MessageView[], row: number): number {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.row ?? 0) < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function excerpt(text: string, wanted: string): string {
  const at = text.toLocaleLowerCase().indexOf(wanted);
  return `${text.slice(0, at)}\u2068${text.slice(at, at + wanted.length)}\u2069${text.slice(at + wanted.length)}`;
}

export function conversationOf(person: Person): ConversationView {
  const { contact, messages } = person;
  const last = messages.at(-1);
  const preview: Preview | null = last ? { kind: last.kind, mine: last.mine, text: last.text, state: last.status } : null;
  return {
    peer: contact.peer,
    name: contact.name,
    preview,
    at: last?.at ?? null,
    unread: messages.filter(({ mine, row, kind }) => !mine && kind === 'text' && row > person.readUpTo).length,
    request: contact.request,
    blocked: contact.blocked,
    mutedUntil: contact.mutedUntil,
    archived: person.archived,
    verified: contact.verified,
    identity: contact.identity,
    draft: person.draft,
    typing: person.typing,
    timerS: person.timerS,
    reachable: contact.reachable,
  };
}

export function blankMessage(row: number, id: string, at: number): MessageView {
  return { row, id, kind: 'text', mine: false, text: null, at, status: 'received', reason: null, edited: false, quote: null, reactions: [], expiresAt: null, timerS: 0, call: null };
}

export function blankPerson(contact: Partial<ContactView> & { readonly peer: string; readonly name: string }): Person {
  return {
    contact: { profileName: contact.name, number: null, numberConfirmed: false, verified: false, request: false, blocked: false, mutedUntil: null, identity: 'same', reachable: true, ...contact },
    draft: '',
    typing: false,
    timerS: 0,
    archived: false,
    readUpTo: 0,
    messages: [],
  };
}

export class FakeError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.name = 'FakeError';
    this.code = code;
  }
}

export const SAFETY_GROUPS = ['05213', '77801', '46290', '91355', '28674', '60147', '33902', '85516', '19473', '70268', '42839', '56091'];

/** A code as it is compared: without the blanks that help to read it. */
export const plain = (code: string): string => code.replace(/[\s-]/g, '').toUpperCase();
