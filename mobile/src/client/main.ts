/** The headless client's entry: arguments in, exit code out, and every error explained in one place. */
import { parseArgs } from 'node:util';

import { CannotDo, NotTrusted, RelayRefused, RelayUnreachable, SottovoceError } from '../core/errors.ts';
import { add, card, history, join, send, status } from './commands.ts';
import type { Invocation } from './commands.ts';
import { discover, recover } from './number_commands.ts';
import { Output } from './output.ts';
import { resolveData } from './runtime.ts';
import { COMMANDS, EXIT, help } from './usage.ts';
import { watch } from './watch.ts';

const RUN: Readonly<Record<string, (invocation: Invocation) => Promise<number>>> = { join, card, add, send, watch, history, status, discover, recover };

function exitCode(error: unknown): number {
  if (error instanceof RelayUnreachable) return EXIT.unreachable;
  if (error instanceof RelayRefused) return error.status === 401 ? EXIT.revoked : EXIT.refused;
  if (error instanceof NotTrusted) return EXIT.refused;
  if (error instanceof CannotDo) {
    if (['usage', 'bad_name', 'bad_number', 'bad_file', 'bad_claim', 'mistyped_code'].includes(error.code)) return EXIT.usage;
    if (error.code === 'in_use') return EXIT.inUse;
    if (error.code === 'bad_invite' || error.code === 'number_taken' || error.code === 'bad_recovery') return EXIT.refused;
    return EXIT.notReady;
  }
  return EXIT.failed;
}

function advice(error: unknown): string {
  if (error instanceof RelayUnreachable) return `${error.message}. Check the network and the relay's address, then run the same command again: nothing is lost`;
  if (error instanceof RelayRefused && error.status === 401) return 'the relay does not know this account any more';
  if (error instanceof RelayRefused && error.status === 429) return `the relay asks to slow down: try again in ${error.retryAfterS ?? 60} s`;
  if (error instanceof SottovoceError) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : 'something went wrong';
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(`${help(rest[0])}\n`);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const usage = COMMANDS[name];
  const run = RUN[name];
  if (!usage || !run) {
    process.stderr.write(`There is no command "${name}".\n\n${help()}\n`);
    return EXIT.usage;
  }
  let parsed;
  try {
    const flags = Object.entries(usage.flags).map(([flag, { value }]) => [flag, { type: value === null ? 'boolean' : 'string' }] as const);
    parsed = parseArgs({ args: rest, allowPositionals: true, options: { ...Object.fromEntries(flags), help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'wrong arguments'}\n\n${help(name)}\n`);
    return EXIT.usage;
  }
  const flags = parsed.values as Readonly<Record<string, string | boolean | undefined>>;
  if (flags['help'] === true) {
    process.stdout.write(`${help(name)}\n`);
    return EXIT.ok;
  }
  if (parsed.positionals.length !== usage.count) {
    process.stderr.write(`${name} takes ${usage.count === 0 ? 'no argument' : usage.args}.\n\n${help(name)}\n`);
    return EXIT.usage;
  }
  const json = flags['json'] === true;
  const data = resolveData(typeof flags['data'] === 'string' ? flags['data'] : (process.env['SOTTOVOCE_DATA'] ?? 'sottovoce-data'));
  try {
    return await run({ args: parsed.positionals, data, flags, out: new Output(json) });
  } catch (error) {
    process.stderr.write(`${advice(error)}\n`);
    if (json) process.stdout.write(`${JSON.stringify({ event: 'error', code: error instanceof SottovoceError ? error.code : 'failed', message: advice(error) })}\n`);
    return exitCode(error);
  }
}

// A reader that goes away (| head) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});
process.exitCode = await main(process.argv.slice(2));
