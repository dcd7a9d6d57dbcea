/** What the fake relay knows of phone numbers: an evaluating key, and tokens. The salt is in its invites and nowhere else. */
import { randomBytes } from 'node:crypto';

import { ristretto255_oprf as suite } from '@noble/curves/ed25519.js';

type Json = Record<string, unknown>;

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
const b64 = (data: Uint8Array): string => Buffer.from(data).toString('base64url');

function strings(value: unknown, name: string, least: number, most: number): string[] {
  const list = (value as Json | null)?.[name];
  if (Array.isArray(list) && new Set(list).size !== list.length) throw new Error('bad request');
  const good = Array.isArray(list) && list.length >= least && list.length <= most && list.every((item) => typeof item === 'string' && bytes(item).length === 32);
  if (!good || Object.keys(value as Json).length !== 1) throw new Error('bad request');
  return list as string[];
}

export class FakeNumbers {
  readonly #keys = suite.voprf.generateKeyPair();
  readonly #otherKeys = suite.voprf.generateKeyPair();
  readonly appSalt = new Uint8Array(randomBytes(32));
  readonly faults = {
    /** Answers that many evaluations with another key, and its own proof. */
    foreignKey: 0,
    /** Seconds to wait, one answer each. */
    evaluationsOver: [] as number[],
  };
  /** What was asked, in order. */
  readonly log = { elements: [] as string[][], tokens: [] as string[][], order: [] as ('evaluate' | 'lookup')[] };

  get fragment(): string {
    return `v=${b64(this.#keys.publicKey)}&s=${b64(this.appSalt)}`;
  }

  evaluate(value: unknown): [number, Json] {
    const over = this.faults.evaluationsOver.shift();
    if (over !== undefined) return [429, { code: 'rate_limited', status: 429, retry_after_s: over }];
    const elements = strings(value, 'elements', 1, 100);
    this.log.elements.push(elements);
    this.log.order.push('evaluate');
    const foreign = this.faults.foreignKey > 0;
    if (foreign) this.faults.foreignKey -= 1;
    const { secretKey, publicKey } = foreign ? this.#otherKeys : this.#keys;
    const { evaluated, proof } = suite.voprf.blindEvaluateBatch(secretKey, publicKey, elements.map(bytes));
    return [200, { evaluated: evaluated.map(b64), proof: b64(proof) }];
  }

  lookUp(value: unknown, accounts: readonly { id: string; phoneToken: string | null; numberHash: string | null }[]): Json {
    const tokens = strings(value, 'tokens', 100, 100);
    this.log.tokens.push(tokens);
    this.log.order.push('lookup');
    const byToken = new Map(accounts.filter(({ numberHash }) => numberHash !== null).map(({ id, phoneToken }) => [phoneToken, id]));
    return { accounts: tokens.map((token) => byToken.get(token) ?? null) };
  }
}
