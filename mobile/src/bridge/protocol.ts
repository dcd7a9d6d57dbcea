/**
 * The Messenger interface as JSON: a request names a method and its parameters, an answer carries its result or its error,
 * and changes are pushed. One WebSocket text message each:
 *
 *     {"id": 7, "method": "send", "params": ["<account>", {"text": "hello", "quotes": null}]}
 *     {"id": 7, "result": "<message id>"}           null where a method answers nothing
 *     {"id": 7, "error": {"code": "too_long", "message": "…"}}
 *     {"change": {"topic": "conversation", "peer": "<account>"}}
 *
 * `code` is a SottovoceError's; `malformed` is a request that is none, `failed` a fault of the program. Answers come when
 * they are ready, not in the order of the requests.
 */
import { Malformed } from '../core/errors.ts';
import type { Change, Messenger } from '../core/messenger.ts';

export type Method = Exclude<keyof Messenger, 'subscribe'>;

/** A shape of JSON: a name for a plain value (`?` allows null), a list of one shape, an object of shapes. */
type Shape = 'text' | 'text?' | 'integer' | 'integer?' | 'boolean' | readonly [Shape] | { readonly [field: string]: Shape };

const SETTINGS: Record<string, Shape> = { deliveryReceipts: 'boolean', readReceipts: 'boolean', typing: 'boolean', strangers: 'boolean', directCalls: 'boolean', timerS: 'integer' };
/** An object of which any fields may be absent. */
const PARTIAL: ReadonlySet<Shape> = new Set([SETTINGS]);

/** What each method takes. The compiler sees to it that none is missing. */
const PARAMETERS: Readonly<Record<Method, readonly Shape[]>> = {
  account: [],
  inspectInvite: ['text'],
  join: [{ invite: 'text', name: 'text', number: 'text?' }],
  recover: [{ invite: 'text', name: 'text', account: 'text?', number: 'text?', recoveryCode: 'text' }],
  recoveryCode: [],
  confirmRecoveryCode: ['text'],
  setName: ['text'],
  deleteAccount: [],
  exportArchive: ['text'],
  importArchive: ['text', 'text'],
  start: [],
  stop: [],
  setForeground: ['boolean'],
  reconnect: [],
  connection: [],
  probe: [],
  conversations: [{ archived: 'boolean' }],
  conversation: ['text'],
  messages: ['text', { before: 'integer?', limit: 'integer' }],
  search: ['text', { peer: 'text?', limit: 'integer' }],
  send: ['text', { text: 'text', quotes: 'text?' }],
  edit: ['text', 'text', 'text'],
  deleteForMe: ['text', ['text']],
  deleteForEveryone: ['text', 'text'],
  react: ['text', 'text', 'text?'],
  retry: ['text', 'text'],
  setDraft: ['text', 'text'],
  markRead: ['text', 'integer'],
  setTyping: ['text', 'boolean'],
  setTimer: ['text', 'integer'],
  setArchived: ['text', 'boolean'],
  deleteConversation: ['text'],
  contacts: [],
  contact: ['text'],
  card: [],
  addByCard: ['text', 'boolean'],
  setContactName: ['text', 'text?'],
  discover: [[{ number: 'text', name: 'text?' }]],
  acceptRequest: ['text'],
  block: ['text'],
  unblock: ['text'],
  mute: ['text', 'integer?'],
  safetyNumber: ['text'],
  compareSafetyCode: ['text', 'text'],
  setVerified: ['text', 'boolean'],
  confirmIdentity: ['text'],
  calls: [],
  call: [],
  startCall: ['text'],
  answerCall: ['text'],
  endCall: ['text'],
  setMuted: ['text', 'boolean'],
  forgetCalls: [],
  settings: [],
  changeSettings: [SETTINGS],
};

export const METHODS = Object.keys(PARAMETERS) as readonly Method[];

/** Contacts of one address book, or rows of one deletion: more in one request is a mistake. */
const LONGEST_LIST = 20_000;

export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly params: readonly unknown[];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function check(value: unknown, shape: Shape, where: string): void {
  if (typeof shape === 'string') {
    if (value === null && shape.endsWith('?')) return;
    if (shape.startsWith('text') ? typeof value === 'string' : shape.startsWith('integer') ? Number.isSafeInteger(value) : typeof value === 'boolean') return;
    throw new Malformed(where, `a ${shape.replace('?', ' or null')}`);
  }
  if (Array.isArray(shape)) {
    const [each] = shape as readonly [Shape];
    if (!Array.isArray(value) || value.length > LONGEST_LIST) throw new Malformed(where, `a list of at most ${LONGEST_LIST}`);
    value.forEach((item, index) => check(item, each, `${where}[${index}]`));
    return;
  }
  if (!isObject(value)) throw new Malformed(where, 'an object');
  for (const field of Object.keys(value)) if (!Object.hasOwn(shape, field)) throw new Malformed(`${where}.${field}`, 'no such field');
  for (const [field, inner] of Object.entries(shape as Readonly<Record<string, Shape>>)) {
    const there = Object.hasOwn(value, field);
    if (there || !PARTIAL.has(shape)) check(there ? value[field] : undefined, inner, `${where}.${field}`);
  }
}

/** The id of a request that could otherwise not be read, so that the mistake can be answered to whoever made it. */
export function idOf(text: string): number | null {
  try {
    const id = (JSON.parse(text) as { id?: unknown } | null)?.id;
    return Number.isSafeInteger(id) ? (id as number) : null;
  } catch {
    return null;
  }
}

/** @throws Malformed naming the place, never the value */
export function parseRequest(text: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed('request', 'JSON');
  }
  if (!isObject(value)) throw new Malformed('request', 'an object');
  const { id, method, params = [] } = value;
  if (!Number.isSafeInteger(id)) throw new Malformed('id', 'an integer');
  if (typeof method !== 'string' || !Object.hasOwn(PARAMETERS, method)) throw new Malformed('method', 'a method of Messenger');
  const shapes = PARAMETERS[method as Method];
  if (!Array.isArray(params) || params.length !== shapes.length) throw new Malformed('params', `a list of ${shapes.length}`);
  shapes.forEach((shape, index) => check(params[index], shape, `params[${index}]`));
  return { id: id as number, method: method as Method, params };
}

export function resultText(id: number, result: unknown): string {
  return JSON.stringify({ id, result: result ?? null });
}

export function errorText(id: number | null, code: string, message: string): string {
  return JSON.stringify({ id, error: { code, message } });
}

export function changeText(change: Change): string {
  return JSON.stringify({ change });
}
