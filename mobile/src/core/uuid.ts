import type { Random } from './ports.ts';

const HOUR_MS = 3_600_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for the usual 36 characters in lower case, of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

function write(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function stamped(bytes: Uint8Array, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return write(bytes);
}

/** The 16 bytes of a UUID. */
export function uuidBytes(id: string): Uint8Array {
  const hex = id.replaceAll('-', '');
  return Uint8Array.from({ length: 16 }, (_, index) => Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16));
}

/** A UUIDv4 (RFC 9562): ids of contents, which only the two apps see. */
export function uuid4(random: Random): string {
  return stamped(random.bytes(16), 4);
}

/**
 * An envelope id: UUIDv7 (RFC 9562) whose time is rounded down to the hour, since a precise one would be a fingerprint of
 * the sender's clock. Everything that is not time, version or variant is random.
 */
export function envelopeId(random: Random, nowMs: number): string {
  const bytes = random.bytes(16);
  let time = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
  for (let i = 5; i >= 0; i -= 1) {
    bytes[i] = time % 256;
    time = Math.floor(time / 256);
  }
  return stamped(bytes, 7);
}

/** Milliseconds since 1970 of a UUIDv7. */
export function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
