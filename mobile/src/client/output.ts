import type { ContactView, MessageView, SearchHit } from '../core/messenger.ts';

/** Results on standard output, remarks on standard error, so that the one can be piped. */
export class Output {
  readonly #json: boolean;
  readonly #sinks: { out(text: string): void; err(text: string): void };

  constructor(json: boolean, sinks: { out(text: string): void; err(text: string): void }) {
    this.#json = json;
    this.#sinks = sinks;
  }

  /** `object` with --json, else `text`. */
  result(text: string, object: Readonly<Record<string, unknown>>): void {
    this.#sinks.out(`${this.#json ? JSON.stringify(object) : printable(text)}\n`);
  }

  remark(text: string): void {
    this.#sinks.err(`${printable(text)}\n`);
  }
}

/** Text that others wrote must not move the cursor or recolour the terminal: control characters but line breaks and tabs are shown as such. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const NOTES = {
  deleted: () => 'deleted',
  undecryptable: (reason: string | null) => `a message that could not be decrypted: ${reason ?? 'unknown'}`,
  session_reset: () => 'the encryption session was renewed',
  identity_changed: () => 'their identity key changed: compare the safety number',
  timer: () => 'disappearing messages were changed',
  call: () => 'a call',
} as const;

export function messageLine(message: MessageView, name: string): string {
  const time = new Date(message.at * 1000).toISOString().replace('.000Z', 'Z');
  const who = message.mine ? `to ${name}` : name;
  if (message.call) return `${time}  ${who}: [a call: ${message.call.outcome.replaceAll('_', ' ')}${message.call.seconds > 0 ? `, ${message.call.seconds} s` : ''}]`;
  if (message.kind !== 'text') return `${time}  ${who}: [${NOTES[message.kind](message.reason)}]`;
  const settled = !message.mine || message.status === 'sent' || message.status === 'delivered' || message.status === 'read';
  const state = settled ? '' : ` [${message.status}${message.reason ? `: ${message.reason}` : ''}]`;
  const edited = message.edited ? ' (edited)' : '';
  const quote = message.quote ? `> ${(message.quote.text ?? '').split('\n')[0]}\n` : '';
  const reactions = message.reactions.map(({ emoji }) => ` ${emoji}`).join('');
  return `${time}  ${who}: ${quote}${message.text ?? ''}${edited}${reactions}${state}`;
}

export function messageObject(message: MessageView, peer: string, name: string | null): Readonly<Record<string, unknown>> {
  const { id, row, mine, kind, text, at, status, reason, edited, quote, reactions, expiresAt, call } = message;
  const base = { id, row, account: peer, name, direction: mine ? 'out' : 'in', kind, text, at, state: status, reason, edited };
  return { ...base, quote, reactions, expires_at: expiresAt, call };
}

export function hitObject({ peer, message, excerpt }: SearchHit, name: string | null): Readonly<Record<string, unknown>> {
  return { ...messageObject(message, peer, name), excerpt };
}

export function contactLine(contact: ContactView): string {
  const marks = [
    contact.request && 'request',
    contact.blocked && 'blocked',
    contact.verified && 'verified',
    contact.mutedUntil !== null && 'muted',
    contact.identity !== 'same' && `identity ${contact.identity}`,
    !contact.reachable && 'cannot be written to yet',
  ].filter((mark) => mark !== false);
  const number = contact.number === null ? '' : `  ${contact.number}${contact.numberConfirmed ? '' : ' (not confirmed)'}`;
  return `${contact.name}  ${contact.peer}${number}${marks.length > 0 ? `  (${marks.join(', ')})` : ''}`;
}

export function contactObject(contact: ContactView): Readonly<Record<string, unknown>> {
  const { peer, name, profileName, number, numberConfirmed, verified, request, blocked, mutedUntil, identity, reachable } = contact;
  const marks = { verified, request, blocked, muted_until: mutedUntil, identity, reachable };
  return { account: peer, name, profile_name: profileName, number, number_confirmed: numberConfirmed, ...marks };
}

/** Reason codes of messages that cannot go, in words. */
export function explain(reason: string): string {
  const words: Readonly<Record<string, string>> = {
    no_access: 'no such account, or their access key has changed: ask for their contact link again and add it',
    no_access_key: 'they have not told how to write to them: ask for their contact link and add it',
    identity_unconfirmed: 'the relay gives another identity key than the known one: compare the safety number, then confirm-identity',
    blocked: 'you have blocked them',
    bad_bundle: 'the relay gave keys that are not signed by this contact',
  };
  return words[reason] ?? reason;
}
