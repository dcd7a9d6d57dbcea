// QR codes (ISO/IEC 18004) in byte mode with error correction level M, versions 1 to 20: up to 666 bytes, which is what invites need.
// tests/pages/test_join_page.py holds every module against another implementation.

const ECC_IN_BLOCK = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

/** The modules of the smallest code that holds the text (UTF-8), row by row, true where dark. `mask` 0 to 7; the best one if not given. */
export function matrix(text, mask) {
  const data = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex((_, v) => v > 0 && data.length <= capacity(v));
  if (version < 0) throw new RangeError('too long for a QR code');
  const codewords = interleave(dataCodewords(data, version), version);
  if (mask !== undefined) return draw(version, codewords, mask);
  const all = [0, 1, 2, 3, 4, 5, 6, 7].map((one) => draw(version, codewords, one));
  const scores = all.map(penalty);
  return all[scores.indexOf(Math.min(...scores))];
}

const headerBits = (version) => 4 + (version < 10 ? 8 : 16);
const capacity = (version) => Math.floor((8 * dataBytes(version) - headerBits(version)) / 8);
const dataBytes = (version) => Math.floor(rawModules(version) / 8) - ECC_IN_BLOCK[version] * BLOCKS[version];

/** Modules that carry data and error correction, section 7.7.3. */
function rawModules(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const aligned = Math.floor(version / 7) + 2;
    modules -= (25 * aligned - 10) * aligned - 55;
    if (version >= 7) modules -= 36;
  }
  return modules;
}

function dataCodewords(data, version) {
  const bits = [];
  const put = (value, count) => {
    for (let n = count - 1; n >= 0; n--) bits.push((value >>> n) & 1);
  };
  put(4, 4);
  put(data.length, headerBits(version) - 4);
  for (const byte of data) put(byte, 8);
  const room = 8 * dataBytes(version);
  put(0, Math.min(4, room - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Array.from({ length: room / 8 }, (_, n) => Number.parseInt(bits.slice(8 * n, 8 * n + 8).join(''), 2));
}

/** Splits into blocks, adds error correction to each, and takes turns (section 7.6). */
function interleave(data, version) {
  const count = BLOCKS[version];
  const ecc = ECC_IN_BLOCK[version];
  const total = Math.floor(rawModules(version) / 8);
  const short = Math.floor(total / count) - ecc;
  const long = total % count;
  const divisor = generator(ecc);
  const blocks = [];
  for (let n = 0, at = 0; n < count; n++) {
    const size = short + (n < count - long ? 0 : 1);
    const block = data.slice(at, at + size);
    at += size;
    blocks.push({ block, ecc: remainder(block, divisor) });
  }
  const out = [];
  for (let n = 0; n <= short; n++) for (const { block } of blocks) if (n < block.length) out.push(block[n]);
  for (let n = 0; n < ecc; n++) for (const one of blocks) out.push(one.ecc[n]);
  return out;
}

// -- GF(256), polynomial 0x11d -------------------------------------------------------------------------------------------

function times(a, b) {
  let product = 0;
  for (let n = 7; n >= 0; n--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> n) & 1) * a;
  }
  return product;
}

function generator(degree) {
  const out = Array(degree).fill(0);
  out[degree - 1] = 1;
  for (let n = 0, root = 1; n < degree; n++, root = times(root, 2)) {
    for (let k = 0; k < degree; k++) out[k] = times(out[k], root) ^ (out[k + 1] ?? 0);
  }
  return out;
}

function remainder(data, divisor) {
  const out = Array(divisor.length).fill(0);
  for (const byte of data) {
    const factor = byte ^ out.shift();
    out.push(0);
    divisor.forEach((coefficient, n) => (out[n] ^= times(coefficient, factor)));
  }
  return out;
}

// -- placing --------------------------------------------------------------------------------------------------------------

const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function draw(version, codewords, mask) {
  const size = 4 * version + 17;
  const dark = Array.from({ length: size }, () => Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => Array(size).fill(false));
  const set = (x, y, value) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    dark[y][x] = value;
    fixed[y][x] = true;
  };
  for (let n = 0; n < size; n++) {
    set(6, n, n % 2 === 0);
    set(n, 6, n % 2 === 0);
  }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]])
    for (let dy = -4; dy <= 4; dy++)
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        set(cx + dx, cy + dy, ring !== 2 && ring !== 4);
      }
  const centres = alignment(version, size);
  const last = centres.length - 1;
  centres.forEach((cx, i) =>
    centres.forEach((cy, k) => {
      if ((i === 0 && k === 0) || (i === 0 && k === last) || (i === last && k === 0)) return;
      for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }),
  );
  format(set, size, mask);
  if (version >= 7) versionBits(set, size, version);

  let n = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++)
      for (const x of [right, right - 1]) {
        const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
        if (fixed[y][x]) continue;
        const bit = n < 8 * codewords.length && ((codewords[n >>> 3] >>> (7 - (n & 7))) & 1) === 1;
        dark[y][x] = bit !== MASKS[mask](x, y);
        n++;
      }
  }
  return dark;
}

function alignment(version, size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, n) => size - 7 - step * (count - 2 - n))];
}

/** Level M is 0; BCH code with 0x537, section 7.9. */
function format(set, size, mask) {
  let rest = mask;
  for (let n = 0; n < 10; n++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const bit = (n) => ((bits >>> n) & 1) === 1;
  for (let n = 0; n <= 5; n++) set(8, n, bit(n));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let n = 9; n < 15; n++) set(14 - n, 8, bit(n));
  for (let n = 0; n < 8; n++) set(size - 1 - n, 8, bit(n));
  for (let n = 8; n < 15; n++) set(8, size - 15 + n, bit(n));
  set(8, size - 8, true);
}

/** BCH code with 0x1f25, section 7.10. */
function versionBits(set, size, version) {
  let rest = version;
  for (let n = 0; n < 12; n++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let n = 0; n < 18; n++) {
    const value = ((bits >>> n) & 1) === 1;
    const a = size - 11 + (n % 3);
    const b = Math.floor(n / 3);
    set(a, b, value);
    set(b, a, value);
  }
}

/** How hard a code is to read, section 7.8.3. Any mask can be read; this chooses the easiest. */
function penalty(dark) {
  const size = dark.length;
  let sum = 0;
  const lines = [...dark, ...dark.map((_, x) => dark.map((row) => row[x]))];
  for (const line of lines) {
    const text = line.map((one) => (one ? '1' : '0')).join('');
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) sum += run.length - 2;
    for (const pattern of [/(?=10111010000)/g, /(?=00001011101)/g]) sum += 40 * [...text.matchAll(pattern)].length;
  }
  for (let y = 0; y + 1 < size; y++)
    for (let x = 0; x + 1 < size; x++) {
      const one = dark[y][x];
      if (dark[y][x + 1] === one && dark[y + 1][x] === one && dark[y + 1][x + 1] === one) sum += 3;
    }
  const share = dark.flat().filter(Boolean).length / (size * size);
  return sum + 10 * Math.floor(Math.abs(share * 100 - 50) / 5);
}
