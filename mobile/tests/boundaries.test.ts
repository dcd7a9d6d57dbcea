/** Rules about the sources themselves, so that they hold without anybody remembering them. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';

const PACKAGE = path.resolve(import.meta.dirname, '..');

function sources(folder: string): { file: string; text: string }[] {
  return readdirSync(path.join(PACKAGE, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => ({ file: path.join(folder, file), text: readFileSync(path.join(PACKAGE, folder, file), 'utf8') }));
}

const imports = (text: string): string[] => [...text.matchAll(/\b(?<!['\w])(?:from|import)\s*\(?\s*'([^';]+)'/g)].map(([, name]) => name ?? '');

/** Pure packages: no platform, no I/O. Each one here was weighed. */
const PURE = ['@noble/ciphers/chacha.js', '@noble/curves/ed25519.js', '@noble/hashes/hkdf.js', '@noble/hashes/hmac.js', '@noble/hashes/sha2.js', 'libphonenumber-js/min'];

test('the core imports nothing but itself and a few pure packages', () => {
  const core = sources('src/core');
  expect(core.length).toBeGreaterThan(20);
  const foreign = core.flatMap(({ file, text }) =>
    imports(text)
      .filter((name) => !PURE.includes(name))
      .filter((name) => !name.startsWith('.') || !path.join(path.dirname(file), name).startsWith('src/core/'))
      .map((name) => `${file}: ${name}`),
  );
  expect(foreign).toEqual([]);
});

test('the anonymous lane has no place for a token', () => {
  const ports = readFileSync(path.join(PACKAGE, 'src/core/ports.ts'), 'utf8');
  for (const name of ['AnonymousHttp', 'AnonymousSockets']) {
    const declaration = ports.slice(ports.indexOf(`interface ${name} {`)).split('\n}\n')[0] ?? '';
    expect(declaration).toContain(name);
    expect(declaration).not.toMatch(/authorization|headers|token/i);
  }
});

test('no file of the sources grows past 400 lines', () => {
  const long = [...sources('src'), ...sources('app'), ...sources('ui-tests')].filter(({ text }) => text.split('\n').length > 400);
  expect(long.map(({ file }) => file)).toEqual([]);
});

test('nothing is logged from the core, and no timer or clock but the port is used', () => {
  const wrong = sources('src/core').filter(({ text }) => /\bconsole\.|\bDate\.now\(|\bnew Date\(|\bMath\.random\(/.test(text));
  expect(wrong.map(({ file }) => file)).toEqual([]);
});

test('the lock file says nothing about where packages were downloaded from', () => {
  const lock = readFileSync(path.join(PACKAGE, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved"|https?:\/\/(?!(github\.com|opencollective\.com|tidelift\.com|www\.patreon\.com|feross\.org|paulmillr\.com|eslint\.org|dotenvx\.com)\b)[^"]*\.tgz/);
});
