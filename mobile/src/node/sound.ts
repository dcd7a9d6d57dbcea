/** Sound in files: RIFF WAVE, PCM, 16 bit, one channel; and another rate for it. */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Samples a second in a call. */
export const RATE = 48_000;
const HEADER_BYTES = 44;

export interface Sound {
  readonly samples: Int16Array;
  readonly rate: number;
}

/** A whole file. */
export function wav(samples: Int16Array, rate: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('RIFF', 0);
  header.writeUInt32LE(HEADER_BYTES - 8 + samples.length * 2, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.length * 2, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}

/** Of several channels the first. @throws Error for what is no 16 bit PCM */
export function readWav(file: Uint8Array): Sound {
  const bytes = Buffer.from(file);
  const wrong = new Error('not a WAVE file with 16 bit PCM');
  if (bytes.length < 12 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE') throw wrong;
  let format: { readonly channels: number; readonly rate: number } | null = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [name, size] = [bytes.toString('latin1', at, at + 4), bytes.readUInt32LE(at + 4)];
    const from = at + 8;
    if (name === 'fmt ' && size >= 16 && from + 16 <= bytes.length) {
      if (bytes.readUInt16LE(from) !== 1 || bytes.readUInt16LE(from + 14) !== 16) throw wrong;
      format = { channels: Math.max(1, bytes.readUInt16LE(from + 2)), rate: bytes.readUInt32LE(from + 4) };
    } else if (name === 'data' && format) {
      const end = Math.min(bytes.length, from + size); // espeak-ng writes the size of an endless stream
      const { channels, rate } = format;
      const samples = new Int16Array(Math.floor((end - from) / 2 / channels));
      for (let i = 0; i < samples.length; i += 1) samples[i] = bytes.readInt16LE(from + i * 2 * channels);
      return { samples, rate };
    }
    at = from + size + (size % 2);
  }
  throw wrong;
}

/** By straight lines between samples: fit for upsampling speech, which is what it is for. */
export function resampled(samples: Int16Array, from: number, to: number): Int16Array {
  if (from === to) return samples;
  const out = new Int16Array(Math.floor((samples.length * to) / from));
  for (let i = 0; i < out.length; i += 1) {
    const at = (i * from) / to;
    const [before = 0, after = 0] = [samples[Math.floor(at)], samples[Math.floor(at) + 1]];
    out[i] = Math.round(before + (after - before) * (at % 1));
  }
  return out;
}

/** Writes as it comes, so that a long call needs no memory; the sizes in the header are right when it is closed. */
export class WavFile {
  readonly #file: number;
  #rate: number | null = null;
  #bytes = 0;

  /** @throws when the file cannot be written */
  constructor(file: string) {
    this.#file = openSync(file, 'w', 0o600);
    writeSync(this.#file, wav(new Int16Array(), RATE));
  }

  /** Samples of another rate than the first ones are left out: what comes before there is media is silence of some rate. */
  write(samples: Int16Array, rate: number): void {
    if (this.#rate === null && samples.every((sample) => sample === 0)) return;
    this.#rate ??= rate;
    if (rate !== this.#rate) return;
    this.#bytes += writeSync(this.#file, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
  }

  close(): void {
    const header = Buffer.from(wav(new Int16Array(), this.#rate ?? RATE));
    header.writeUInt32LE(HEADER_BYTES - 8 + this.#bytes, 4);
    header.writeUInt32LE(this.#bytes, HEADER_BYTES - 4);
    writeSync(this.#file, header, 0, HEADER_BYTES, 0);
    closeSync(this.#file);
  }
}
