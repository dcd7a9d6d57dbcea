/** What the two apps say to each other inside the envelope; the relay never sees it. */
import { fromUtf8, toBase64url, toUtf8 } from '../bytes.ts';
import { SottovoceError } from '../errors.ts';
import { Reader } from './reader.ts';

export interface Profile {
  readonly name: string;
  readonly contactAccessKey: Uint8Array;
}

export type Content = {
  readonly id: string;
  /** Seconds since 1970 by the sender's clock: shown, never trusted for order. */
  readonly sentAt: number;
  readonly profile: Profile | null;
} & ({ readonly kind: 'text'; readonly text: string } | { readonly kind: 'profile' } | { readonly kind: 'unknown' });

/** Room for libsignal's overhead (a first sealed message adds about 2.2 KB) within the largest body. */
const MOST_BYTES = 60_000;
export const LONGEST_NAME = 64;

/** @throws SottovoceError `too_long` */
export function encodeText(id: string, sentAt: number, text: string, profile: Profile | null): Uint8Array {
  const bytes = toUtf8(
    JSON.stringify({
      v: 1,
      id,
      sent_at: sentAt,
      kind: 'text',
      text,
      ...(profile && { profile: { name: profile.name, contact_access_key: toBase64url(profile.contactAccessKey) } }),
    }),
  );
  if (bytes.length > MOST_BYTES) {
    throw new SottovoceError('too_long', `the message is ${bytes.length} bytes, at most ${MOST_BYTES} fit: send it in parts`);
  }
  return bytes;
}

/** @throws Malformed. Kinds that are not known yet come back as `unknown`. */
export function parseContent(bytes: Uint8Array): Content {
  const content = Reader.fromJson(fromUtf8(bytes, 'content'), 'content');
  const kind = content.text('kind');
  const id = content.uuid('id');
  const sentAt = content.integer('sent_at');
  if (content.integer('v') !== 1) return { id, sentAt, profile: null, kind: 'unknown' };
  // A message of its own, or a field that rides with the first one: the same two fields.
  const carrier = kind === 'profile' ? content : content.has('profile') ? content.object('profile') : null;
  const profile = carrier && {
    name: carrier.text('name').slice(0, LONGEST_NAME),
    contactAccessKey: carrier.bytes('contact_access_key', 16),
  };
  if (kind === 'text') return { id, sentAt, profile, kind, text: content.text('text') };
  return { id, sentAt, profile, kind: kind === 'profile' ? kind : 'unknown' };
}
