/** The phone's Kotlin (engine and network) in a JVM of its own, over standard input and output; `make test-android` has compiled it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

import type { NativeModule } from '../../src/phone/native.ts';

const TARGET = path.resolve(import.meta.dirname, '../../modules/sottovoce-native/jvm/target');

interface Line {
  readonly id?: number;
  readonly answer?: string;
  readonly fault?: string;
  readonly event?: string;
}

export interface KotlinPhone extends NativeModule {
  stop(): Promise<void>;
}

export function startKotlinPhone(): KotlinPhone {
  const libraries = readFileSync(path.join(TARGET, 'classpath.txt'), 'utf8').trim();
  const classpath = [path.join(TARGET, 'classes'), path.join(TARGET, 'test-classes'), libraries].join(path.delimiter);
  const child = spawn('java', ['-XX:+UseSerialGC', '-Xshare:auto', '-cp', classpath, 'org.sottovoce.phone.PhonePipeKt'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = new Map<number, { resolve(answer: string): void; reject(error: Error): void }>();
  const listeners = new Set<(event: { readonly json: string }) => void>();
  let last = 0;
  let over: Error | null = null;
  const ended = new Promise<void>((resolve) => {
    child.on('close', (code) => {
      over = new Error(`the JVM ended with ${code}`);
      for (const { reject } of waiting.values()) reject(over);
      resolve();
    });
  });
  child.stdin.on('error', () => undefined); // told by 'close'
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer, fault, event } = JSON.parse(line) as Line;
    if (event !== undefined) {
      for (const listener of listeners) listener({ json: event });
      return;
    }
    const call = waiting.get(id ?? 0);
    waiting.delete(id ?? 0);
    if (answer !== undefined) call?.resolve(answer);
    else call?.reject(new Error(fault));
  });
  const ask = (of: 'engine' | 'phone', call: string, argumentsJson: string): Promise<string> =>
    new Promise((resolve, reject) => {
      if (over) return reject(over);
      last += 1;
      waiting.set(last, { resolve, reject });
      child.stdin.write(`${JSON.stringify({ id: last, of, call, arguments: argumentsJson })}\n`);
    });
  return {
    engine: (call, argumentsJson) => ask('engine', call, argumentsJson),
    call: (name, argumentsJson) => ask('phone', name, argumentsJson),
    addListener(_event, listener) {
      listeners.add(listener);
      return { remove: () => listeners.delete(listener) };
    },
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
