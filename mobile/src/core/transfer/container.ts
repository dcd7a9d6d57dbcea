/**
 * The file of an archive: a header and sealed chunks, written and read in one pass, so that its size does not matter.
 *
 *     header  "SVARCHV1" (8)  salt (32)  key check (16)  SHA-256 of those, its first 8 bytes
 *     chunk   u32 big-endian length of what follows, ChaCha20-Poly1305 (RFC 8439) of 1 byte to 1 MiB
 *
 * Key and key check are HKDF-SHA256 (RFC 5869) of the code's secret under the salt, which is new for every archive; so a key
 * seals one archive only. The nonce of chunk n is `0^3 || u64be(n) || last`, where last is 1 for the final chunk (the STREAM
 * construction: Hoang, Reyhanitabar, Rogaway, Vizár 2015), the header is the associated data of every chunk. A chunk that was changed, left out,
 * repeated or moved, a file cut at a chunk's border, and a file that goes on after its end do not open.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';

import { concat, readU32be, sameBytes, toUtf8, u32be } from '../bytes.ts';
import { CannotDo } from '../errors.ts';
import type { Random } from '../ports.ts';

/** A file being written. Nothing is to be seen under its name until `commit`. */
export interface ArchiveWriter {
  append(bytes: Uint8Array): Promise<void>;
  /** What was appended, from its beginning, as the disk has it. Nothing is appended afterwards. */
  reread(): Promise<ArchiveReader>;
  /** Durable, and in place of what had that name. */
  commit(): Promise<void>;
  /** Leaves nothing. Also after a failed `append` or `commit`. */
  abort(): Promise<void>;
}

export interface ArchiveReader {
  /** Fewer bytes than asked for only at the end of the file. */
  read(count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

const MAGIC = toUtf8('SVARCHV1');
const SALT_BYTES = 32;
const CHECK_BYTES = 16;
const SUM_BYTES = 8;
const HEADER_BYTES = MAGIC.length + SALT_BYTES + CHECK_BYTES + SUM_BYTES;
const TAG_BYTES = 16;
export const LARGEST_CHUNK = 1024 * 1024;

export function damaged(): CannotDo {
  return new CannotDo('damaged_archive', 'this archive is damaged or incomplete: copy it again from the other phone, or make a new one. Nothing was changed here');
}

function derive(secret: Uint8Array, salt: Uint8Array): { key: Uint8Array; check: Uint8Array } {
  const okm = hkdf(sha256, secret, salt, toUtf8('sottovoce archive v1'), 32 + CHECK_BYTES);
  return { key: okm.slice(0, 32), check: okm.slice(32) };
}

function nonce(index: number, last: boolean): Uint8Array {
  return concat(new Uint8Array(3), u32be(Math.floor(index / 0x1_0000_0000)), u32be(index), Uint8Array.of(last ? 1 : 0));
}

export class ContainerWriter {
  readonly #out: ArchiveWriter;
  readonly #key: Uint8Array;
  readonly #header: Uint8Array;
  #index = 0;

  private constructor(out: ArchiveWriter, key: Uint8Array, header: Uint8Array) {
    this.#out = out;
    this.#key = key;
    this.#header = header;
  }

  static async begin(out: ArchiveWriter, secret: Uint8Array, random: Random): Promise<ContainerWriter> {
    const salt = random.bytes(SALT_BYTES);
    const { key, check } = derive(secret, salt);
    const head = concat(MAGIC, salt, check);
    const header = concat(head, sha256(head).slice(0, SUM_BYTES));
    await out.append(header);
    return new ContainerWriter(out, key, header);
  }

  /** `last` ends the container; nothing may follow. */
  async chunk(plain: Uint8Array, last: boolean): Promise<void> {
    if (plain.length === 0 || plain.length > LARGEST_CHUNK) throw new Error('a chunk has 1 byte to 1 MiB');
    const sealed = chacha20poly1305(this.#key, nonce(this.#index, last), this.#header).encrypt(plain);
    this.#index += 1;
    await this.#out.append(concat(u32be(sealed.length), sealed));
  }
}

/**
 * The chunks in their order; ends only after the one that was marked as the last, at the end of the file.
 * @throws CannotDo `wrong_code`, `damaged_archive`
 */
export async function* readContainer(file: ArchiveReader, secret: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  const header = await file.read(HEADER_BYTES);
  const head = header.slice(0, HEADER_BYTES - SUM_BYTES);
  const sum = sha256(head).slice(0, SUM_BYTES);
  if (header.length < HEADER_BYTES || !sameBytes(header.slice(0, MAGIC.length), MAGIC) || !sameBytes(header.slice(head.length), sum)) throw damaged();
  const salt = header.slice(MAGIC.length, MAGIC.length + SALT_BYTES);
  const { key, check } = derive(secret, salt);
  if (!sameBytes(check, head.slice(MAGIC.length + SALT_BYTES))) {
    throw new CannotDo('wrong_code', 'this code does not open this archive: it belongs to another one. Nothing was changed here');
  }
  for (let index = 0, last = false; !last; index += 1) {
    const head4 = await file.read(4);
    const length = readU32be(head4);
    if (head4.length < 4 || length <= TAG_BYTES || length > LARGEST_CHUNK + TAG_BYTES) throw damaged();
    const sealed = await file.read(length);
    if (sealed.length < length) throw damaged();
    let plain = open(key, index, false, header, sealed);
    if (!plain) {
      plain = open(key, index, true, header, sealed);
      last = true;
      if (!plain || (await file.read(1)).length > 0) throw damaged();
    }
    yield plain;
  }
}

function open(key: Uint8Array, index: number, last: boolean, header: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  try {
    return chacha20poly1305(key, nonce(index, last), header).decrypt(sealed);
  } catch {
    return null; // the tag does not fit
  }
}
