/** Safety numbers: what two people compare, aloud or by scanning, to know that nobody sits between them. */
import { fromBase64url, toBase64url } from '../bytes.ts';
import { EngineError } from '../engine.ts';
import type { FingerprintParty, SignalEngine } from '../engine.ts';
import { CannotDo, Malformed } from '../errors.ts';
import type { SafetyNumberView } from '../messenger.ts';
import { uuidBytes } from '../uuid.ts';

export interface Person {
  /** Account id. */
  readonly account: string;
  /** 33 bytes. */
  readonly identityKey: Uint8Array;
}

/** By account and key, never by number or name: these stay the same when a number is given to somebody else. */
const party = ({ account, identityKey }: Person): FingerprintParty => ({ identifier: uuidBytes(account), identityKey });

export async function safetyNumber(engine: SignalEngine, me: Person, them: Person): Promise<SafetyNumberView> {
  const { digits, scannable } = await engine.fingerprint(party(me), party(them));
  return { groups: digits.match(/[0-9]{5}/g) ?? [], code: toBase64url(scannable) };
}

/**
 * Whether `scanned` (base64url, from the other's screen) is the safety number between these two.
 * @throws CannotDo `bad_code` when it is no safety number at all, or one of another version of the app
 */
export async function fits(engine: SignalEngine, me: Person, them: Person, scanned: string): Promise<boolean> {
  const { scannable } = await engine.fingerprint(party(me), party(them));
  try {
    return await engine.compareFingerprints(scannable, fromBase64url(scanned.trim(), 'code'));
  } catch (error) {
    const notOne = error instanceof Malformed || (error instanceof EngineError && error.code === 'bad_fingerprint');
    if (!notOne) throw error;
    throw new CannotDo('bad_code', 'this is not the code of a safety number: scan the one that their app shows for this conversation');
  }
}
