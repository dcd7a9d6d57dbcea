/** Numbers in, tokens and access keys out, with the relay's help and without its knowing the numbers. */
import type { Clock, Random } from '../ports.ts';
import type { IdentifiedApi } from '../relay_api.ts';
import { phoneHash, secretsOf } from './numbers.ts';
import type { DiscoveryKeys, NumberSecrets } from './numbers.ts';
import { blind, finalize } from './voprf.ts';
import type { Blinded } from './voprf.ts';

export interface EvaluationDeps {
  readonly api: IdentifiedApi;
  readonly random: Random;
  readonly clock: Clock;
  readonly keys: DiscoveryKeys;
  /** A bearer token, or an invite before there is an account. */
  readonly authorization: string;
  /** Told how long each part took, milliseconds. */
  readonly onTime?: (part: 'blind' | 'evaluate' | 'finalize', ms: number) => void;
}

/**
 * One request for at most 100 numbers; the answers in their order. Nothing is kept of it here: a lost answer is asked for again with
 * fresh blinds, so the relay cannot even see that it is the same.
 * @throws NotTrusted `foreign_oprf_key`, RelayRefused (429: the budget is used up), RelayUnreachable
 */
export async function evaluateNumbers(deps: EvaluationDeps, numbers: readonly string[]): Promise<readonly NumberSecrets[]> {
  const { api, random, clock, keys, authorization, onTime } = deps;
  const blinded: Blinded[] = [];
  let began = clock.now();
  for (const number of numbers) {
    blinded.push(blind(phoneHash(keys.appSalt, number), random));
    await pause(clock, 0); // a phone needs tens of milliseconds for each: the screen must not stand still
  }
  onTime?.('blind', clock.now() - began);
  began = clock.now();
  const answer = await api.evaluate(authorization, blinded.map(({ element }) => element));
  onTime?.('evaluate', clock.now() - began);
  began = clock.now();
  const outputs = finalize(blinded, answer.evaluated, answer.proof, keys.voprfPublicKey);
  onTime?.('finalize', clock.now() - began);
  return outputs.map(secretsOf);
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}
