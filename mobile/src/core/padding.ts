import { concat, readU32be, u32be } from './bytes.ts';
import { Malformed, SottovoceError } from './errors.ts';

/** The four sizes a body may have, bytes. */
export const BODY_SIZES: readonly number[] = [1024, 4096, 16384, 65536];
const HEADER = 4;

/** `u32 big-endian length || sealed || zero padding`, in the smallest size that holds it. */
export function pad(sealed: Uint8Array): Uint8Array {
  const size = BODY_SIZES.find((candidate) => sealed.length + HEADER <= candidate);
  if (size === undefined) throw new SottovoceError('too_long', 'the message is too long for one envelope');
  return concat(u32be(sealed.length), sealed, new Uint8Array(size - HEADER - sealed.length));
}

/**
 * The sealed part of a body.
 * @throws Malformed when the size is none of the four, the length does not fit, or the padding is not zero
 */
export function unpad(body: Uint8Array): Uint8Array {
  if (!BODY_SIZES.includes(body.length)) throw new Malformed('body', 'one of the four sizes');
  const length = readU32be(body);
  if (length > body.length - HEADER) throw new Malformed('body', 'a length within the body');
  if (body.subarray(HEADER + length).some((byte) => byte !== 0)) throw new Malformed('body', 'zero padding');
  return body.slice(HEADER, HEADER + length);
}
