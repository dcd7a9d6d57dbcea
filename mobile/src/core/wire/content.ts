/** What the two apps say to each other inside the envelope; the relay never sees it. docs/protocol.md, "Inside the envelope". */
import { fromUtf8, toBase64url, toUtf8 } from '../bytes.ts';
import { SottovoceError } from '../errors.ts';
import { encodeCall, parseCall } from './call.ts';
import type { CallSignal } from './call.ts';
import { Reader } from './reader.ts';

export interface Profile {
  readonly name: string;
  /** 16 bytes. */
  readonly contactAccessKey: Uint8Array;
}

/** The beginning of the message that is answered, for a reader who no longer has it. */
export interface Quote {
  readonly id: string;
  /** Who wrote the quoted message, seen from who sends this one. */
  readonly author: 'sender' | 'recipient';
  readonly text: string;
}

export interface Bodies {
  /** `timerS`: seconds after reading at which it disappears; 0 never. */
  readonly text: { readonly text: string; readonly quote: Quote | null; readonly timerS: number };
  /** Another text for an own one. */
  readonly edit: { readonly target: string; readonly text: string };
  /** An own message is taken back, for everyone. */
  readonly delete: { readonly target: string };
  /** One a person and message; null takes it back. */
  readonly reaction: { readonly target: string; readonly emoji: string | null };
  readonly receipt: { readonly status: 'delivered' | 'read'; readonly ids: readonly string[] };
  readonly typing: { readonly typing: boolean };
  /** Disappearing messages for this conversation from now on; 0 is off. */
  readonly timer: { readonly seconds: number };
  readonly profile: Readonly<Record<never, never>>;
  readonly call: { readonly call: CallSignal };
  /** A new session stands in for one that broke; `lost` are the envelopes that could not be read and are asked for again. */
  readonly session_reset: { readonly reason: string; readonly lost: readonly string[] };
  /** Whether the sender has compared the safety number. */
  readonly verified: { readonly verified: boolean };
  /** To oneself, through the whole path. */
  readonly probe: Readonly<Record<never, never>>;
  /** Cover: nothing at all. */
  readonly null: Readonly<Record<never, never>>;
}

export type Kind = keyof Bodies;
export type Body = { [K in Kind]: { readonly kind: K } & Bodies[K] }[Kind];

export interface Head {
  /** UUIDv4 by the sender; within a conversation no two messages share one. */
  readonly id: string;
  /** Seconds since 1970 by the relay's clock as the sender knew it: shown, never trusted for order. */
  readonly sentAt: number;
  /** Rides with the first contents to somebody, so that they can answer; a `profile` content is nothing but this. */
  readonly profile: Profile | null;
  /** The envelope that could not be read and that this content replaces. */
  readonly resent: string | null;
}

export type Content = Head & Body;
export type ContentOf<K extends Kind> = Head & { readonly kind: K } & Bodies[K];
/** What came: a kind, or one that this version does not know. */
export type Arrived = Content | (Head & { readonly kind: 'unknown' });

/** Room for libsignal's overhead (a first sealed message adds about 2.2 KB) within the largest body. */
const MOST_BYTES = 60_000;
export const LONGEST_NAME = 64;
export const LONGEST_QUOTE = 300;
/** Characters; the longest emoji in use (families, flags of regions) have about 20. */
export const LONGEST_EMOJI = 64;
export const MOST_IDS = 256;
/** Four weeks, seconds. */
export const LONGEST_TIMER_S = 28 * 86_400;
const LONGEST_CODE = 64;

interface Codec<K extends Kind> {
  /** Fields of the kind; null ones are left out. */
  write(body: Bodies[K]): Readonly<Record<string, unknown>>;
  /** @throws Malformed */
  read(content: Reader): Bodies[K];
}

const nothing = { write: () => ({}), read: () => ({}) };

const CODECS: { readonly [K in Kind]: Codec<K> } = {
  text: {
    write: ({ text, quote, timerS }) => ({ text, quote, timer_s: timerS > 0 ? timerS : null }),
    read: (content) => ({
      text: content.text('text'),
      quote: content.has('quote') ? readQuote(content.object('quote')) : null,
      timerS: content.has('timer_s') ? content.integer('timer_s', 1, LONGEST_TIMER_S) : 0,
    }),
  },
  edit: {
    write: ({ target, text }) => ({ target, text }),
    read: (content) => ({ target: content.uuid('target'), text: content.text('text') }),
  },
  delete: { write: ({ target }) => ({ target }), read: (content) => ({ target: content.uuid('target') }) },
  reaction: {
    write: ({ target, emoji }) => ({ target, emoji }),
    read: (content) => ({ target: content.uuid('target'), emoji: content.has('emoji') ? content.shortText('emoji', 1, LONGEST_EMOJI) : null }),
  },
  receipt: {
    write: ({ status, ids }) => ({ status, ids }),
    read: (content) => ({ status: content.oneOf('status', ['delivered', 'read']), ids: content.uuids('ids', MOST_IDS) }),
  },
  typing: { write: ({ typing }) => ({ typing }), read: (content) => ({ typing: content.flag('typing') }) },
  timer: { write: ({ seconds }) => ({ seconds }), read: (content) => ({ seconds: content.integer('seconds', 0, LONGEST_TIMER_S) }) },
  profile: nothing,
  call: { write: ({ call }) => ({ call: encodeCall(call) }), read: (content) => ({ call: parseCall(content.object('call')) }) },
  session_reset: {
    write: ({ reason, lost }) => ({ reason, lost }),
    read: (content) => ({ reason: content.shortText('reason', 1, LONGEST_CODE), lost: content.uuids('lost', MOST_IDS) }),
  },
  verified: { write: ({ verified }) => ({ verified }), read: (content) => ({ verified: content.flag('verified') }) },
  probe: nothing,
  null: nothing,
};

export const KINDS = Object.keys(CODECS) as readonly Kind[];

/** UTF-8 JSON. @throws SottovoceError `too_long` */
export function encodeContent(content: Content): Uint8Array {
  const { id, sentAt, profile, resent, kind } = content;
  const own = profile && { name: profile.name, contact_access_key: toBase64url(profile.contactAccessKey) };
  // The table pairs each kind with its body; TypeScript cannot follow a pair through an index.
  const fields = (CODECS[kind] as Codec<Kind>).write(content as never);
  const written = { v: 1, id, sent_at: sentAt, kind, ...fields, resent, ...(kind === 'profile' ? own : { profile: own }) };
  const bytes = toUtf8(JSON.stringify(Object.fromEntries(Object.entries(written).filter(([, value]) => value !== null))));
  if (bytes.length > MOST_BYTES) {
    throw new SottovoceError('too_long', `the message is ${bytes.length} bytes, at most ${MOST_BYTES} fit: send it in parts`);
  }
  return bytes;
}

/** @throws Malformed. Kinds that are not known yet come back as `unknown`; fields that are not known are ignored. */
export function parseContent(bytes: Uint8Array): Arrived {
  const content = Reader.fromJson(fromUtf8(bytes, 'content'), 'content');
  const kind = content.text('kind');
  const id = content.uuid('id');
  const sentAt = content.integer('sent_at');
  if (content.integer('v') !== 1) return { id, sentAt, profile: null, resent: null, kind: 'unknown' };
  const resent = content.has('resent') ? content.uuid('resent') : null;
  const profile = kind === 'profile' ? readProfile(content) : content.has('profile') ? readProfile(content.object('profile')) : null;
  const head: Head = { id, sentAt, profile, resent };
  if (!isKind(kind)) return { ...head, kind: 'unknown' };
  return { ...head, kind, ...(CODECS[kind] as Codec<Kind>).read(content) } as Content;
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(CODECS, kind);
}

function readProfile(profile: Reader): Profile {
  return { name: profile.text('name').slice(0, LONGEST_NAME), contactAccessKey: profile.bytes('contact_access_key', 16) };
}

function readQuote(quote: Reader): Quote {
  return { id: quote.uuid('id'), author: quote.oneOf('author', ['sender', 'recipient']), text: quote.text('text').slice(0, LONGEST_QUOTE) };
}
