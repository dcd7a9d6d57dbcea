/** The sealed file by itself: whole it opens, in any other state it does not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { concat, readU32be } from '../src/core/bytes.ts';
import { CannotDo } from '../src/core/errors.ts';
import { ContainerWriter, LARGEST_CHUNK, readContainer } from '../src/core/transfer/container.ts';
import type { ArchiveReader, ArchiveWriter } from '../src/core/transfer/container.ts';
import { systemRandom } from '../src/node/machine.ts';

const SECRET = new Uint8Array(37).fill(3);

class Memory implements ArchiveWriter {
  parts: Uint8Array[] = [];
  async append(bytes: Uint8Array): Promise<void> {
    this.parts.push(bytes.slice());
  }
  async reread(): Promise<ArchiveReader> {
    return reader(this.bytes);
  }
  async commit(): Promise<void> {}
  async abort(): Promise<void> {}
  get bytes(): Uint8Array {
    return concat(...this.parts);
  }
}

function reader(bytes: Uint8Array): ArchiveReader {
  let at = 0;
  return {
    async read(count) {
      const part = bytes.slice(at, at + count);
      at += part.length;
      return part;
    },
    async close() {},
  };
}

async function written(chunks: readonly Uint8Array[]): Promise<Memory> {
  const file = new Memory();
  const writer = await ContainerWriter.begin(file, SECRET, systemRandom);
  for (const [index, chunk] of chunks.entries()) await writer.chunk(chunk, index === chunks.length - 1);
  return file;
}

async function read(bytes: Uint8Array, secret = SECRET): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readContainer(reader(bytes), secret)) chunks.push(chunk);
  return chunks;
}

async function refused(bytes: Uint8Array, code: string, secret = SECRET): Promise<void> {
  const error = await read(bytes, secret).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CannotDo);
  expect((error as CannotDo).code).toBe(code);
}

const some = (size: number, count: number): Uint8Array[] => Array.from({ length: count }, (_, index) => new Uint8Array(size).fill(index + 1));

test('what was written is read, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 400 }), { minLength: 1, maxLength: 8 }), async (chunks) => {
      expect(await read((await written(chunks)).bytes)).toEqual(chunks);
    }),
    { numRuns: 50 },
  );
  expect((await read((await written(some(LARGEST_CHUNK, 2))).bytes)).map(({ length }) => length)).toEqual([LARGEST_CHUNK, LARGEST_CHUNK]);
});

test('another code is told from damage, and every archive has a key of its own', async () => {
  const { bytes } = await written(some(100, 2));
  await refused(bytes, 'wrong_code', new Uint8Array(37).fill(4));
  expect((await written(some(100, 2))).bytes).not.toEqual(bytes);
});

test('any changed bit, anywhere, is damage', async () => {
  const { bytes } = await written(some(30, 3));
  for (let at = 0; at < bytes.length; at += 1) await refused(bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8))), 'damaged_archive');
});

test('a file cut anywhere, or that goes on after its end, is damage', async () => {
  const { bytes } = await written(some(30, 3));
  for (let length = 0; length < bytes.length; length += 1) await refused(bytes.slice(0, length), 'damaged_archive');
  await refused(concat(bytes, Uint8Array.of(0)), 'damaged_archive');
});

test('chunks that are exchanged, repeated, left out, or taken from another archive are damage', async () => {
  const { parts } = await written(some(30, 4));
  const [header, a, b, c, d] = parts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const [, foreign] = (await written(some(30, 4))).parts as [Uint8Array, Uint8Array];
  for (const wrong of [[b, a, c, d], [a, a, b, c, d], [a, c, d], [a, b, c], [d], [a, b, d, c], [foreign, b, c, d], [a, b, c, d, d]]) {
    await refused(concat(header, ...wrong), 'damaged_archive');
  }
  expect(await read(concat(header, a, b, c, d))).toHaveLength(4);
});

test('any bytes are a damaged archive, and a length is never believed', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => refused(bytes, 'damaged_archive')), { numRuns: 200 });
  const file = await written(some(30, 2));
  const first = file.parts[1] ?? new Uint8Array();
  expect(readU32be(first)).toBe(46);
  for (const length of [[0, 0, 0, 0], [0, 0, 0, 16], [0xff, 0xff, 0xff, 0xff], [0, 4, 0, 17]]) {
    const lying = first.slice();
    lying.set(length);
    await refused(concat(file.parts[0] ?? new Uint8Array(), lying), 'damaged_archive');
  }
});
