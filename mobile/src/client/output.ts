import type { Message } from '../core/storage/messages.ts';

/** Results on standard output, remarks on standard error, so that the one can be piped. */
export class Output {
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  /** `object` with --json, else `text`. */
  result(text: string, object: Readonly<Record<string, unknown>>): void {
    process.stdout.write(`${this.#json ? JSON.stringify(object) : printable(text)}\n`);
  }

  remark(text: string): void {
    process.stderr.write(`${printable(text)}\n`);
  }
}

/** Text that others wrote must not move the cursor or recolour the terminal: control characters but line breaks and tabs are shown as such. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const NOTES = {
  deleted: 'deleted',
  session_reset: 'a new session was begun',
  identity_changed: 'their identity key changed',
  timer: 'disappearing messages were switched',
  call: 'a call',
} as const;

export function messageLine(message: Omit<Message, 'seq'>, name: string): string {
  const time = new Date((message.arrivedAt ?? message.sentAt) * 1000).toISOString().replace('.000Z', 'Z');
  if (message.kind === 'undecryptable') return `${time}  ${name}: [a message that could not be decrypted: ${message.reason ?? 'unknown'}]`;
  if (message.kind !== 'text') return `${time}  ${name}: [${NOTES[message.kind]}]`;
  const who = message.direction === 'out' ? `to ${name}` : name;
  const state = message.direction === 'in' || ['sent', 'delivered', 'read'].includes(message.state) ? '' : ` [${message.state}${message.reason ? `: ${message.reason}` : ''}]`;
  return `${time}  ${who}: ${message.text ?? ''}${state}`;
}

export function messageObject(message: Omit<Message, 'seq'>, name: string | null): Readonly<Record<string, unknown>> {
  const { contentId, peer, direction, kind, text, sentAt, arrivedAt, state, reason } = message;
  return { id: contentId, account: peer, name, direction, kind, text, sent_at: sentAt, arrived_at: arrivedAt, state, reason };
}
