/**
 * From a phone number to what a relay may know of it. The number and its hash stay on this device: the relay evaluates a
 * function on a blinded hash (voprf.ts) and so learns neither, and what follows from the result cannot be guessed without
 * asking it once for every guess.
 */
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

import { toUtf8 } from '../bytes.ts';
import { CannotDo } from '../errors.ts';

/** What an invite tells beside the relay itself; without it the relay cannot find people by number. */
export interface DiscoveryKeys {
  /** 32 bytes, a ristretto255 element: what proofs of evaluation are checked against. */
  readonly voprfPublicKey: Uint8Array;
  /** 32 bytes, one a deployment; the relay process never sees it. */
  readonly appSalt: Uint8Array;
}

export interface NumberSecrets {
  /** 32 bytes: under this the relay finds the member. */
  readonly phoneToken: Uint8Array;
  /** 16 bytes: lets somebody who knows the number write a first message. */
  readonly accessKey: Uint8Array;
}

/** E.164: a plus sign, a country code that does not begin with 0, at most 15 digits in all. */
export function isE164(number: string): boolean {
  return /^\+[1-9]\d{6,14}$/.test(number);
}

/** @throws CannotDo `bad_number` */
export function requireE164(number: string): string {
  const trimmed = number.trim();
  if (!isE164(trimmed)) throw new CannotDo('bad_number', 'a number is written with its country code and digits alone, such as +4915112345678');
  return trimmed;
}

/** HMAC-SHA256 under the app salt: the input of the oblivious function, 32 bytes. */
export function phoneHash(appSalt: Uint8Array, number: string): Uint8Array {
  return hmac(sha256, appSalt, toUtf8(number));
}

const TOKEN_INFO = toUtf8('sottovoce phone token v1');
const ACCESS_INFO = toUtf8('sottovoce number access key v1');

/** From the 64-byte output of the function, by HKDF-SHA256 (RFC 5869) without salt. */
export function secretsOf(output: Uint8Array): NumberSecrets {
  return {
    phoneToken: hkdf(sha256, output, new Uint8Array(), TOKEN_INFO, 32),
    accessKey: hkdf(sha256, output, new Uint8Array(), ACCESS_INFO, 16),
  };
}
