/** The client of a verifiable oblivious function: RFC 9497, VOPRF mode, ristretto255-SHA512. */
import { ristretto255_oprf as suite } from '@noble/curves/ed25519.js';

import { NotTrusted } from '../errors.ts';
import type { Random } from '../ports.ts';

/** An input and what hides it. `element` is all that leaves this device. */
export interface Blinded {
  readonly input: Uint8Array;
  /** A scalar, 32 bytes; fresh for every blinding, so that two requests with one input have nothing in common. */
  readonly blind: Uint8Array;
  /** 32 bytes. */
  readonly element: Uint8Array;
}

/** `Blind` of section 3.3.1. */
export function blind(input: Uint8Array, random: Random): Blinded {
  const { blind: scalar, blinded } = suite.voprf.blind(input, (count = 32) => random.bytes(count));
  return { input, blind: scalar, element: blinded };
}

/**
 * `Finalize` of section 3.3.2 over a whole batch with one proof: the outputs, 64 bytes each, in the order of the inputs.
 * @throws NotTrusted `foreign_oprf_key` when the proof does not show that the key of the invite was used. A relay with a key a
 * person could tell apart whom it answered by the tokens that come back.
 */
export function finalize(blinded: readonly Blinded[], evaluated: readonly Uint8Array[], proof: Uint8Array, publicKey: Uint8Array): readonly Uint8Array[] {
  const untrusted = new NotTrusted('foreign_oprf_key', 'the relay answered with another key than the invite names: nothing was stored or sent on. Ask the operator');
  if (evaluated.length !== blinded.length) throw untrusted;
  const items = blinded.map(({ input, blind: scalar, element }, index) => ({ input, blind: scalar, blinded: element, evaluated: evaluated[index] ?? new Uint8Array() }));
  try {
    return suite.voprf.finalizeBatch(items, publicKey, proof);
  } catch {
    throw untrusted; // also for what is no element, or the identity
  }
}
