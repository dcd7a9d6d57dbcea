/**
 * Secrets that people copy by hand: Crockford's base 32 in groups of four, with three bytes of SHA-256 at the end, so that a
 * slip of the pen is told from a code that is wrong. Upper and lower case are one, and the letters that look like digits are
 * read as those digits. The label is part of the checksum: a code of one purpose is not accepted for another.
 */
import { sha256 } from '@noble/hashes/sha2.js';

import { concat, sameBytes, toUtf8 } from './bytes.ts';
import { CannotDo } from './errors.ts';

/** No I, L, O and U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const VALUE_OF = new Map([...ALPHABET].map((letter, value) => [letter, value]));
for (const [look, digit] of [['O', 0], ['I', 1], ['L', 1]] as const) VALUE_OF.set(look, digit);

export interface CodeKind {
  readonly label: string;
  /** Of the secret; with the checksum a multiple of five, so that letters and bytes come out even. */
  readonly bytes: number;
}

/** 56 characters. */
export const RECOVERY_CODE: CodeKind = { label: 'sottovoce recovery code v1', bytes: 32 };
/** 64 characters. */
export const ARCHIVE_CODE: CodeKind = { label: 'sottovoce archive code v1', bytes: 37 };

const CHECK_BYTES = 3;

function checksum(kind: CodeKind, secret: Uint8Array): Uint8Array {
  return sha256(concat(toUtf8(kind.label), secret)).slice(0, CHECK_BYTES);
}

/** `ABCD-EFGH-…`. */
export function writeCode(kind: CodeKind, secret: Uint8Array): string {
  if (secret.length !== kind.bytes) throw new Error(`${kind.label} has ${kind.bytes} bytes`);
  let letters = '';
  let held = 0;
  let bits = 0;
  for (const byte of concat(secret, checksum(kind, secret))) {
    held = ((held << 8) | byte) & 0x1fff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      letters += ALPHABET.charAt((held >> bits) & 31);
    }
  }
  return (letters.match(/.{4}/g) ?? []).join('-');
}

/**
 * Spaces, line breaks and dashes may stand anywhere.
 * @throws CannotDo `mistyped_code`, which says in what way, and never where the code itself would show
 */
export function readCode(kind: CodeKind, typed: string): Uint8Array {
  const letters = typed.toUpperCase().replace(/[\s\u2010-\u2015-]/g, '');
  const wanted = ((kind.bytes + CHECK_BYTES) * 8) / 5;
  if (letters.length !== wanted) throw new CannotDo('mistyped_code', `the code has ${wanted} letters and digits, these are ${letters.length}`);
  const bytes = new Uint8Array(kind.bytes + CHECK_BYTES);
  let held = 0;
  let bits = 0;
  let out = 0;
  for (const letter of letters) {
    const value = VALUE_OF.get(letter);
    if (value === undefined) throw new CannotDo('mistyped_code', 'a character in it is none that such a code has');
    held = ((held << 5) | value) & 0x1fff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[out] = (held >> bits) & 0xff;
      out += 1;
    }
  }
  const secret = bytes.slice(0, kind.bytes);
  if (!sameBytes(checksum(kind, secret), bytes.slice(kind.bytes))) {
    throw new CannotDo('mistyped_code', 'a letter or digit in it is wrong, or it is a code for something else: compare it group by group');
  }
  return secret;
}
