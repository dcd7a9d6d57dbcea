import { Malformed } from './errors.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUE_OF = new Map([...ALPHABET].map((letter, value) => [letter.charCodeAt(0), value]));
const CHUNK = 3 * 4096; // a multiple of three, so that chunks join without padding

/** base64url (RFC 4648 section 5), without padding. */
export function toBase64url(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += CHUNK) {
    const parts: string[] = [];
    const end = Math.min(bytes.length, start + CHUNK);
    for (let i = start; i < end; i += 3) {
      const left = end - i;
      const three = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
      parts.push(ALPHABET.charAt(three >> 18), ALPHABET.charAt((three >> 12) & 63));
      if (left > 1) parts.push(ALPHABET.charAt((three >> 6) & 63));
      if (left > 2) parts.push(ALPHABET.charAt(three & 63));
    }
    text += parts.join('');
  }
  return text;
}

/**
 * Reads base64url with or without padding. One text stands for one value: stray trailing bits are refused.
 * @throws Malformed naming `where`
 */
export function fromBase64url(text: string, where = 'base64url'): Uint8Array {
  let length = text.length;
  if (length % 4 === 0) {
    if (text.endsWith('==')) length -= 2;
    else if (text.endsWith('=')) length -= 1;
  }
  if (length % 4 === 1) throw new Malformed(where, 'base64url');
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let held = 0;
  let bits = 0;
  let out = 0;
  for (let i = 0; i < length; i += 1) {
    const value = VALUE_OF.get(text.charCodeAt(i));
    if (value === undefined) throw new Malformed(where, 'base64url');
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[out] = (held >> bits) & 0xff;
      out += 1;
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new Malformed(where, 'base64url');
  return bytes;
}

/** UTF-8 of `text`. Written here because TextEncoder is not part of the language and TextDecoder is not in every Hermes. */
export function toUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const letter of text) {
    let point = letter.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd; // half of a surrogate pair has no UTF-8
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
  }
  return Uint8Array.from(bytes);
}

/**
 * Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629 section 3).
 * @throws Malformed
 */
export function fromUtf8(bytes: Uint8Array, where = 'utf-8'): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i] ?? 0;
    const [size, least] = first < 0x80 ? [1, 0] : first >> 5 === 6 ? [2, 0x80] : first >> 4 === 14 ? [3, 0x800] : [4, 0x10000];
    if (first >= 0x80 && (first < 0xc2 || first > 0xf4)) throw new Malformed(where, 'UTF-8');
    let point = size === 1 ? first : first & (0xff >> (size + 1));
    for (let k = 1; k < size; k += 1) {
      const next = bytes[i + k];
      if (next === undefined || next >> 6 !== 2) throw new Malformed(where, 'UTF-8');
      point = (point << 6) | (next & 63);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw new Malformed(where, 'UTF-8');
    parts.push(String.fromCodePoint(point));
    i += size;
  }
  return parts.join('');
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Equality without an early exit. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

export function u32be(value: number): Uint8Array {
  return Uint8Array.of((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function readU32be(bytes: Uint8Array, at = 0): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}
