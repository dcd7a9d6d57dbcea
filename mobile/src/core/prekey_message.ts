import { Malformed } from './errors.ts';

export interface PreKeyIds {
  readonly preKeyId: number | null;
  readonly signedPreKeyId: number;
  readonly kyberPreKeyId: number | null;
}

/**
 * Which keys a first message asks for. libsignal's PreKeySignalMessage does not tell the Kyber id, so the ids are read from
 * its bytes: a version byte, then protobuf with 1 = one-time prekey id, 6 = signed prekey id, 7 = Kyber prekey id.
 * @throws Malformed
 */
export function preKeyIds(body: Uint8Array): PreKeyIds {
  const bad = (): Malformed => new Malformed('prekey message', 'protobuf');
  let at = 1;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 10; shift += 1) {
      const byte = body[at];
      if (byte === undefined) throw bad();
      at += 1;
      if (shift < 5) value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    throw bad();
  };
  const ids = new Map<number, number>();
  while (at < body.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) ids.set(Math.floor(tag / 8), varint());
    else if (wire === 2) {
      const length = varint(); // moves `at` itself
      at += length;
    } else if (wire === 5) at += 4;
    else if (wire === 1) at += 8;
    else throw bad();
  }
  if (at !== body.length) throw bad();
  const signedPreKeyId = ids.get(6);
  if (signedPreKeyId === undefined) throw bad();
  return { preKeyId: ids.get(1) ?? null, signedPreKeyId, kyberPreKeyId: ids.get(7) ?? null };
}
