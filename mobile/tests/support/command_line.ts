/** The headless client as its own process, without npm in between, so that a signal reaches it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';

import { until } from './clients.ts';

const PACKAGE = path.resolve(import.meta.dirname, '../..');

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  /** Standard output as JSON lines. */
  readonly objects: readonly unknown[];
}

export class Running {
  readonly #child: ChildProcess;
  readonly #read = new Map<string, number>();
  #out = '';
  #err = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', 'src/client/main.ts', ...args], {
      cwd: PACKAGE,
      env: { ...process.env, SOTTOVOCE_PREKEYS: '4', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (data: Buffer) => (this.#out += data.toString('utf8')));
    this.#child.stderr?.on('data', (data: Buffer) => (this.#err += data.toString('utf8')));
    this.#child.stdin?.on('error', () => undefined);
  }

  get objects(): readonly Record<string, unknown>[] {
    const lines = this.#out.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** The next event of this kind, in order. */
  async event(kind: string): Promise<Record<string, unknown>> {
    const from = this.#read.get(kind) ?? 0;
    const find = (): Record<string, unknown> | undefined => this.objects.filter((object) => object['event'] === kind)[from];
    await until(`event ${kind}; so far: ${this.#out}${this.#err}`, () => find() !== undefined);
    this.#read.set(kind, from + 1);
    return find() ?? {};
  }

  write(command: unknown): void {
    this.#child.stdin?.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code; null when a signal ended it. */
  async exited(): Promise<number | null> {
    await until(`the process to end: ${this.#err}`, () => this.#child.exitCode !== null || this.#child.signalCode !== null, 30_000);
    return this.#child.exitCode;
  }

  async ran(): Promise<Ran> {
    const code = await this.exited();
    const json = this.#out.startsWith('{');
    return { code, out: this.#out, err: this.#err, objects: json ? this.objects : [] };
  }
}

export class CommandLine {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  spawn(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    return new Running([...args, '--data', this.#directory], env);
  }

  /** Runs to the end. @throws when the exit code is another than `code` */
  async run(args: readonly string[], code = 0): Promise<Ran> {
    const running = this.spawn(args);
    running.endInput();
    const ran = await running.ran();
    if (ran.code !== code) throw new Error(`${args[0]} ended with ${ran.code}: ${ran.err}${ran.out}`);
    return ran;
  }
}
