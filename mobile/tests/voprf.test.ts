/** RFC 9497's own vectors, and what an untrue relay may answer. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { ristretto255_oprf as suite } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';

import { isE164, phoneHash, requireE164, secretsOf } from '../src/core/discovery/numbers.ts';
import { blind, finalize } from '../src/core/discovery/voprf.ts';
import type { Blinded } from '../src/core/discovery/voprf.ts';
import { NotTrusted } from '../src/core/errors.ts';
import type { Random } from '../src/core/ports.ts';
import { systemRandom } from '../src/node/machine.ts';

interface Vectors {
  seed: string;
  key_info: string;
  secret_key: string;
  public_key: string;
  vectors: { inputs: string[]; blinds: string[]; blinded: string[]; evaluated: string[]; proof: string; proof_random_scalar: string; outputs: string[] }[];
}

const vectors = (file: string): unknown => JSON.parse(readFileSync(path.resolve(import.meta.dirname, '../../tests/vectors', file), 'utf8'));
const RFC = vectors('rfc9497_ristretto255_voprf.json') as Vectors;
const SHARED = vectors('numbers.json') as {
  app_salt: string;
  voprf_public_key: string;
  proof: string;
  cases: Record<'number' | 'phone_hash' | 'blind' | 'blinded' | 'evaluated' | 'output' | 'phone_token' | 'number_access_key', string>[];
};
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** What makes the library's rejection-free sampling (`1 + wide mod (order - 1)`, little-endian) give this scalar. */
function randomGiving(scalar: string): Random {
  const value = BigInt(`0x${hex(bytes(scalar).reverse())}`);
  return {
    bytes: (count) => {
      const wide = (value - 1n + (ORDER - 1n)) % (ORDER - 1n);
      return bytes(wide.toString(16).padStart(count * 2, '0')).reverse();
    },
  };
}

describe('RFC 9497, appendix A.1.2', () => {
  test('the key pair', () => {
    const { secretKey, publicKey } = suite.voprf.deriveKeyPair(bytes(RFC.seed), bytes(RFC.key_info));
    expect([hex(secretKey), hex(publicKey)]).toEqual([RFC.secret_key, RFC.public_key]);
  });

  test.each(RFC.vectors.map((vector, index) => [index + 1, vector] as const))('test vector %i', (_, vector) => {
    const blinded = vector.inputs.map((input, i) => blind(bytes(input), randomGiving(vector.blinds[i] ?? '')));
    expect(blinded.map(({ blind: scalar }) => hex(scalar))).toEqual(vector.blinds);
    expect(blinded.map(({ element }) => hex(element))).toEqual(vector.blinded);
    const outputs = finalize(blinded, vector.evaluated.map(bytes), bytes(vector.proof), bytes(RFC.public_key));
    expect(outputs.map(hex)).toEqual(vector.outputs);
  });
});

const HONEST = suite.voprf.deriveKeyPair(new Uint8Array(32).fill(1), new Uint8Array());
const OTHER = suite.voprf.deriveKeyPair(new Uint8Array(32).fill(2), new Uint8Array());
const inputs = Array.from({ length: 5 }, (_, i) => new Uint8Array(32).fill(i));

/** `Evaluate` of section 3.3.1, which the library has and its types leave out. */
const direct = (input: Uint8Array): Uint8Array => (suite.voprf as unknown as { evaluate(key: Uint8Array, input: Uint8Array): Uint8Array }).evaluate(HONEST.secretKey, input);

function asked(): { blinded: readonly Blinded[]; elements: Uint8Array[] } {
  const blinded = inputs.map((input) => blind(input, systemRandom));
  return { blinded, elements: blinded.map(({ element }) => element) };
}

describe('an answer', () => {
  test('is what a direct evaluation gives, whatever the blinding', () => {
    const { blinded, elements } = asked();
    const { evaluated, proof } = suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements);
    const outputs = finalize(blinded, evaluated, proof, HONEST.publicKey);
    expect(outputs.map(hex)).toEqual(inputs.map((input) => hex(direct(input))));
    expect(hex(asked().elements[0] ?? new Uint8Array())).not.toBe(hex(elements[0] ?? new Uint8Array()));
  });

  test.each([
    ['another key, and its true proof', (elements: Uint8Array[]) => suite.voprf.blindEvaluateBatch(OTHER.secretKey, OTHER.publicKey, elements)],
    [
      'another key, and the proof of the right one',
      (elements: Uint8Array[]) => ({
        evaluated: suite.voprf.blindEvaluateBatch(OTHER.secretKey, OTHER.publicKey, elements).evaluated,
        proof: suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements).proof,
      }),
    ],
    [
      'another key for one of them',
      (elements: Uint8Array[]) => {
        const { evaluated, proof } = suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements);
        const tagged = suite.voprf.blindEvaluateBatch(OTHER.secretKey, OTHER.publicKey, elements.slice(0, 1)).evaluated;
        return { evaluated: [...tagged, ...evaluated.slice(1)], proof };
      },
    ],
    [
      'two of them swapped',
      (elements: Uint8Array[]) => {
        const { evaluated, proof } = suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements);
        const [first, second, ...rest] = evaluated as [Uint8Array, Uint8Array, ...Uint8Array[]];
        return { evaluated: [second, first, ...rest], proof };
      },
    ],
    [
      'one too few',
      (elements: Uint8Array[]) => suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements.slice(1)),
    ],
    [
      'the identity element',
      (elements: Uint8Array[]) => {
        const { evaluated, proof } = suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements);
        return { evaluated: [new Uint8Array(32), ...evaluated.slice(1)], proof };
      },
    ],
    [
      'bytes that are no element',
      (elements: Uint8Array[]) => {
        const { evaluated, proof } = suite.voprf.blindEvaluateBatch(HONEST.secretKey, HONEST.publicKey, elements);
        return { evaluated: [new Uint8Array(32).fill(255), ...evaluated.slice(1)], proof };
      },
    ],
  ])('is not trusted with %s', (_, answer) => {
    const { blinded, elements } = asked();
    const { evaluated, proof } = answer(elements);
    expect(() => finalize(blinded, evaluated, proof, HONEST.publicKey)).toThrow(NotTrusted);
  });
});

describe('numbers', () => {
  test('the worked example of docs/protocol.md, which the relay is held to as well', () => {
    const cases = SHARED.cases.map((one) => ({ ...one, hash: phoneHash(bytes(SHARED.app_salt), one.number) }));
    expect(cases.map(({ hash }) => hex(hash))).toEqual(cases.map(({ phone_hash: expected }) => expected));
    const blinded = cases.map(({ hash, blind: scalar }) => blind(hash, randomGiving(scalar)));
    expect(blinded.map(({ element }) => hex(element))).toEqual(cases.map(({ blinded: expected }) => expected));
    const outputs = finalize(blinded, cases.map(({ evaluated }) => bytes(evaluated)), bytes(SHARED.proof), bytes(SHARED.voprf_public_key));
    expect(outputs.map(hex)).toEqual(cases.map(({ output }) => output));
    const secrets = outputs.map(secretsOf);
    expect(secrets.map(({ phoneToken }) => hex(phoneToken))).toEqual(cases.map(({ phone_token: expected }) => expected));
    expect(secrets.map(({ accessKey }) => hex(accessKey))).toEqual(cases.map(({ number_access_key: expected }) => expected));
  });

  test('only E.164 is taken', () => {
    for (const good of ['+4915112345678', '+905321234567', '+12025550123']) expect(isE164(good)).toBe(true);
    for (const bad of ['4915112345678', '+0123456789', '+49 151 12345678', '+1234567890123456', '+49', '', '+49151abc5678']) expect(isE164(bad)).toBe(false);
    expect(requireE164(' +4915112345678 ')).toBe('+4915112345678');
    expect(() => requireE164('0151 12345678')).toThrow('country code');
  });

  test('salt and number both count, and token and access key are unlike', () => {
    const salt = new Uint8Array(32).fill(9);
    expect(hex(phoneHash(salt, '+4915112345678'))).not.toBe(hex(phoneHash(salt, '+4915112345679')));
    expect(hex(phoneHash(salt, '+4915112345678'))).not.toBe(hex(phoneHash(new Uint8Array(32), '+4915112345678')));
    const { phoneToken, accessKey } = secretsOf(new Uint8Array(64).fill(3));
    expect([phoneToken.length, accessKey.length]).toEqual([32, 16]);
    expect(hex(phoneToken)).not.toContain(hex(accessKey));
  });
});
