/** Microphone and loudspeaker of a client without either: tones and files. */
import { readFileSync } from 'node:fs';

import { CannotDo } from '../core/errors.ts';
import type { AudioDevices, Microphone } from '../node/peer_connections.ts';
import { RATE, readWav, resampled, WavFile } from '../node/sound.ts';
import type { Flag, Invocation } from './command.ts';
import { fromWhereOneStands } from './open.ts';

export const SOUND: Readonly<Record<string, Flag>> = {
  say: { value: 'FILE', help: 'what is said: a WAVE file, 16 bit PCM (default: silence)' },
  tone: { value: 'HERTZ', help: 'or a tone' },
  hear: { value: 'FILE', help: 'where what is heard is written, as a WAVE file' },
};

export interface Sound extends AudioDevices {
  close(): void;
}

const LOUDNESS = 8_000;

/** @throws CannotDo `usage`, `bad_file` */
export function soundOf(flags: Invocation['flags']): Sound {
  const [say, hertz, hear] = [flags['say'], flags['tone'], flags['hear']];
  if (say !== undefined && hertz !== undefined) throw new CannotDo('usage', 'say a file or a tone, not both');
  const says = typeof say === 'string' ? file(say) : typeof hertz === 'string' ? tone(Number(hertz)) : silence;
  let written: WavFile | null = null;
  try {
    if (typeof hear === 'string') written = new WavFile(fromWhereOneStands(hear));
  } catch {
    throw new CannotDo('bad_file', `${String(hear)} cannot be written`);
  }
  return {
    microphone: says,
    speaker: () => (samples, rate) => written?.write(samples, rate),
    close: () => {
      written?.close();
      written = null;
    },
  };
}

const silence = (): Microphone => (frame) => void frame.fill(0);

function tone(hertz: number): () => Microphone {
  if (!(hertz >= 20 && hertz <= 20_000)) throw new CannotDo('usage', '--tone takes a frequency from 20 to 20000 Hz');
  return () => {
    let phase = 0;
    return (frame) => {
      for (let i = 0; i < frame.length; i += 1) {
        frame[i] = Math.round(LOUDNESS * Math.sin(phase));
        phase += (2 * Math.PI * hertz) / RATE;
      }
    };
  };
}

function file(name: string): () => Microphone {
  let samples: Int16Array;
  try {
    const sound = readWav(readFileSync(fromWhereOneStands(name)));
    samples = resampled(sound.samples, sound.rate, RATE);
  } catch (error) {
    throw new CannotDo('bad_file', `${name}: ${error instanceof Error ? error.message : 'cannot be read'}`);
  }
  return () => {
    let at = 0;
    return (frame) => {
      frame.fill(0);
      frame.set(samples.subarray(at, at + frame.length));
      at += frame.length;
    };
  };
}
