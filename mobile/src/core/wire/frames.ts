/** The frames of docs/protocol.md. What the relay says is parsed once, here; unknown types and fields are ignored, since a relay may grow first. */
import { toBase64url } from '../bytes.ts';
import { Reader } from './reader.ts';

export const LIMITS = {
  inboundBytes: 98_304,
  outboundBytes: 262_144,
  deliverEnvelopes: 64,
  postEnvelopes: 32,
  ackIds: 256,
  protocol: 1,
} as const;

export interface Hello {
  readonly type: 'hello';
  readonly protocol: number;
  readonly now: number;
  readonly pingEveryS: number;
  readonly answerWithinS: number;
}

interface Beat {
  readonly type: 'ping' | 'pong';
  readonly n: number;
}

interface Unknown {
  readonly type: 'unknown';
}

/** `at` is the arrival at the relay, seconds since 1970. The body is not judged here: a bad one must become visible, not break the session. */
export interface DeliveredEnvelope {
  readonly id: string;
  readonly at: number;
  readonly body: Uint8Array;
}

/** Lives in memory only; `ttlS` is what is left of its minute. */
export interface DeliveredSignal {
  readonly id: string;
  readonly body: Uint8Array;
  readonly ttlS: number;
}

export type MailboxFrame =
  | Hello
  | Beat
  | Unknown
  | { readonly type: 'deliver'; readonly envelopes: readonly DeliveredEnvelope[] }
  | { readonly type: 'drained' }
  | ({ readonly type: 'signal' } & DeliveredSignal)
  | { readonly type: 'prekeys_low'; readonly prekeys: number; readonly kyberPrekeys: number }
  | { readonly type: 'mailbox_was_full' };

export interface Refused {
  readonly type: 'refused';
  readonly id: string;
  /** One of the refusals of docs/protocol.md, or one that a newer relay knows. */
  readonly code: string;
  readonly retryAfterS: number | null;
  readonly now: number | null;
}

export type PostFrame = Hello | Beat | Unknown | { readonly type: 'posted'; readonly ids: readonly string[] } | Refused;

export interface PostedEnvelope {
  readonly id: string;
  readonly to: string;
  readonly access: Uint8Array;
  readonly body: Uint8Array;
}

function hello(frame: Reader): Hello {
  return {
    type: 'hello',
    protocol: frame.integer('protocol'),
    now: frame.integer('now'),
    pingEveryS: frame.integer('ping_every_s', 1, 86_400),
    answerWithinS: frame.integer('answer_within_s', 1, 86_400),
  };
}

/** @throws Malformed */
export function parseMailboxFrame(text: string): MailboxFrame {
  const frame = Reader.fromJson(text, 'frame');
  const type = frame.text('type');
  switch (type) {
    case 'hello':
      return hello(frame);
    case 'ping':
    case 'pong':
      return { type, n: frame.integer('n') };
    case 'deliver': {
      const envelopes = frame
        .objects('envelopes', LIMITS.deliverEnvelopes)
        .map((envelope) => ({ id: envelope.uuid('id'), at: envelope.integer('at'), body: envelope.bytes('body') }));
      return { type, envelopes };
    }
    case 'drained':
    case 'mailbox_was_full':
      return { type };
    case 'signal':
      return { type, id: frame.uuid('id'), body: frame.bytes('body'), ttlS: frame.integer('ttl_s') };
    case 'prekeys_low':
      return { type, prekeys: frame.integer('prekeys'), kyberPrekeys: frame.integer('kyber_prekeys') };
    default:
      return { type: 'unknown' };
  }
}

/** @throws Malformed */
export function parsePostFrame(text: string): PostFrame {
  const frame = Reader.fromJson(text, 'frame');
  const type = frame.text('type');
  switch (type) {
    case 'hello':
      return hello(frame);
    case 'ping':
    case 'pong':
      return { type, n: frame.integer('n') };
    case 'posted':
      return { type, ids: frame.uuids('ids', 1024) };
    case 'refused':
      return {
        type,
        id: frame.uuid('id'),
        code: frame.text('code'),
        retryAfterS: frame.has('retry_after_s') ? frame.integer('retry_after_s') : null,
        now: frame.has('now') ? frame.integer('now') : null,
      };
    default:
      return { type: 'unknown' };
  }
}

/** 1 to 256 ids a frame. */
export function ackFrames(ids: readonly string[]): readonly string[] {
  const frames: string[] = [];
  for (let i = 0; i < ids.length; i += LIMITS.ackIds) {
    frames.push(JSON.stringify({ type: 'ack', ids: ids.slice(i, i + LIMITS.ackIds) }));
  }
  return frames;
}

export function beatFrame(type: 'ping' | 'pong', n: number): string {
  return JSON.stringify({ type, n });
}

/** `ttlS` is 1 to 60: what is worthless after a minute. */
export function signalFrame({ id, to, access, body }: PostedEnvelope, ttlS: number): string {
  return JSON.stringify({ type: 'signal', id, to, access: toBase64url(access), body: toBase64url(body), ttl_s: ttlS });
}

/** As few frames as the two limits allow: 32 envelopes and 96 KiB each. The text is ASCII, so its length is its size in bytes. */
export function postFrames(envelopes: readonly PostedEnvelope[]): readonly string[] {
  const wrapper = JSON.stringify({ type: 'post', envelopes: [] }).length;
  const frames: string[] = [];
  let held: string[] = [];
  let size = wrapper;
  const flush = (): void => {
    if (held.length > 0) frames.push(`{"type":"post","envelopes":[${held.join(',')}]}`);
    held = [];
    size = wrapper;
  };
  for (const { id, to, access, body } of envelopes) {
    const text = JSON.stringify({ id, to, access: toBase64url(access), body: toBase64url(body) });
    if (held.length === LIMITS.postEnvelopes || size + text.length + 1 > LIMITS.inboundBytes) flush();
    held.push(text);
    size += text.length + 1;
  }
  flush();
  return frames;
}
