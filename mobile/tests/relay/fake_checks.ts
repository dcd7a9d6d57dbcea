/** What the relay refuses in a body or a frame: fields that are unknown, missing, or of another kind or size. */
import { createHash } from 'node:crypto';

import { isUuid } from '../../src/core/uuid.ts';

export type Json = Record<string, unknown>;

export class BadFrame extends Error {}

export const bytes = (text: unknown): Buffer => {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*={0,2}$/.test(text)) throw new BadFrame('base64url');
  return Buffer.from(text, 'base64url');
};
export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('base64url');
export const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};

/** Refuses fields that are unknown, missing or of another size: what the relay's frames do. */
export function shape(value: unknown, fields: Record<string, (field: unknown) => boolean>, optional: readonly string[] = []): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BadFrame('object');
  const object = value as Json;
  for (const name of Object.keys(object)) if (!(name in fields)) throw new BadFrame(`unknown ${name}`);
  for (const [name, check] of Object.entries(fields)) {
    if (object[name] === undefined && optional.includes(name)) continue;
    if (!check(object[name])) throw new BadFrame(name);
  }
  return object;
}
export const b64 = (size: number) => (field: unknown) => bytes(field).length === size;
export const integer = (least: number, most: number) => (field: unknown) => Number.isSafeInteger(field) && (field as number) >= least && (field as number) <= most;
export const uuid = (field: unknown) => typeof field === 'string' && isUuid(field);
export const listOf = (check: (item: unknown) => boolean, least: number, most: number) => (field: unknown) =>
  Array.isArray(field) && field.length >= least && field.length <= most && field.every(check);
export const ecKey = (field: unknown) => Boolean(shape(field, { id: integer(1, 0xffffff), public_key: b64(33) }));
export const signedKey = (size: number) => (field: unknown) =>
  Boolean(shape(field, { id: integer(1, 0xffffff), public_key: b64(size), signature: b64(64) }));
