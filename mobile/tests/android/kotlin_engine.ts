/** The Kotlin engine in a JVM of its own, over standard input and output; `make test-android` has compiled it. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

import type { EnginePort } from '../../src/phone/signal_engine.ts';

const TARGET = path.resolve(import.meta.dirname, '../../modules/sottovoce-native/jvm/target');

interface Reply {
  readonly id: number;
  readonly answer?: string;
  readonly fault?: string;
}

export interface KotlinEngine extends EnginePort {
  stop(): Promise<void>;
}

export function startKotlinEngine(): KotlinEngine {
  const libraries = readFileSync(path.join(TARGET, 'classpath.txt'), 'utf8').trim();
  const classpath = [path.join(TARGET, 'classes'), path.join(TARGET, 'test-classes'), libraries].join(path.delimiter);
  const child = spawn('java', ['-XX:+UseSerialGC', '-Xshare:auto', '-cp', classpath, 'org.sottovoce.phone.EnginePipeKt'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = new Map<number, { resolve(answer: string): void; reject(error: Error): void }>();
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
    const { id, answer, fault } = JSON.parse(line) as Reply;
    const call = waiting.get(id);
    waiting.delete(id);
    if (answer !== undefined) call?.resolve(answer);
    else call?.reject(new Error(fault));
  });
  return {
    engine: (call, argumentsJson) =>
      new Promise((resolve, reject) => {
        if (over) return reject(over);
        last += 1;
        waiting.set(last, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ id: last, call, arguments: argumentsJson })}\n`);
      }),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
