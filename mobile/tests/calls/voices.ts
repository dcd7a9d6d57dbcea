/** What is said into a call, and what is heard of it. */
import { RATE } from '../../src/node/sound.ts';
import type { AudioDevices, Microphone, Speaker } from '../../src/node/peer_connections.ts';

/** Loud enough to be nothing else, and far from clipping. */
const LOUDNESS = 8_000;

export function tone(hertz: number): Microphone {
  let phase = 0;
  return (frame) => {
    for (let i = 0; i < frame.length; i += 1) {
      frame[i] = Math.round(LOUDNESS * Math.sin(phase));
      phase += (2 * Math.PI * hertz) / RATE;
    }
  };
}

/** Plays the samples (at RATE) once, then silence; `onEnd` is told when they are through. */
export function playing(samples: Int16Array, onEnd: () => void): Microphone {
  let at = 0;
  let ended = false;
  return (frame) => {
    frame.set(samples.subarray(at, at + frame.length));
    at += frame.length;
    if (at >= samples.length && !ended) {
      ended = true;
      onEnd();
    }
  };
}

/** Mean energy of one frequency in the samples, by Goertzel's algorithm; of a full tone it is LOUDNESS squared. */
export function energy(samples: readonly number[], hertz: number, rate: number): number {
  const k = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [before, last] = [0, 0];
  for (const sample of samples) [before, last] = [last, sample + k * last - before];
  return (before * before + last * last - k * before * last) / ((samples.length * samples.length) / 4);
}

/** A tone is there, and not only as noise: within 10 dB of what was sent. */
export const HEARD = (LOUDNESS * LOUDNESS) / 10;
/** 60 dB below what was sent. */
export const SILENT = (LOUDNESS * LOUDNESS) / 1e6;

/** A microphone, and ears that remember the last seconds. */
export class Voice implements AudioDevices {
  microphoneOpened = 0;
  rate = RATE;
  /** When something louder than comfort noise was first heard, by `performance.now`. */
  firstHeardAt: number | null = null;
  #samples: number[] = [];
  #all: Int16Array[] | null = null;
  readonly #says: () => Microphone;

  constructor(says: () => Microphone) {
    this.#says = says;
  }

  microphone(): Microphone {
    this.microphoneOpened += 1;
    return this.#says();
  }

  speaker(): Speaker {
    this.#samples = [];
    this.firstHeardAt = null;
    return (samples, rate) => {
      this.rate = rate;
      if (this.firstHeardAt === null && samples.some((sample) => Math.abs(sample) > 500)) this.firstHeardAt = performance.now();
      for (const sample of samples) this.#samples.push(sample);
      if (this.#samples.length > rate * 2) this.#samples.splice(0, this.#samples.length - rate * 2);
      this.#all?.push(samples.slice());
    };
  }

  /** Of one frequency, in the last `ms`. */
  hears(hertz: number, ms = 500): number {
    const samples = this.#samples.slice(-Math.floor((this.rate * ms) / 1000));
    return samples.length === 0 ? 0 : energy(samples, hertz, this.rate);
  }

  record(): void {
    this.#all = [];
  }

  recorded(): Int16Array {
    const parts = this.#all ?? [];
    const whole = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
