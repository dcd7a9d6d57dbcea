/** The command line: arguments in, exit code out, and every error explained in one place. */
import { parseArgs } from 'node:util';

import { CannotDo, NotTrusted, RelayRefused, RelayUnreachable, SottovoceError } from '../core/errors.ts';
import { EXIT } from './command.ts';
import { fromWhereOneStands } from './open.ts';
import { Output } from './output.ts';
import { COMMANDS, help } from './usage.ts';

/** What somebody typed is at fault. */
const USAGE: ReadonlySet<string> = new Set(['usage', 'bad_name', 'bad_number', 'bad_file', 'bad_claim', 'mistyped_code', 'empty']);
/** The other side, or what was brought, does not allow it. */
const REFUSED: ReadonlySet<string> = new Set(['bad_invite', 'number_taken', 'bad_recovery', 'wrong_code', 'damaged_archive', 'other_version', 'bad_code']);

function exitCode(error: unknown): number {
  if (error instanceof RelayUnreachable) return EXIT.unreachable;
  if (error instanceof RelayRefused) return error.status === 401 ? EXIT.revoked : EXIT.refused;
  if (error instanceof NotTrusted) return EXIT.refused;
  if (error instanceof CannotDo) {
    if (USAGE.has(error.code)) return EXIT.usage;
    if (error.code === 'in_use') return EXIT.inUse;
    if (REFUSED.has(error.code)) return EXIT.refused;
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

export interface Sinks {
  out(text: string): void;
  err(text: string): void;
}

export async function runCommandLine(argv: readonly string[], sinks: Sinks): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    sinks.out(`${help(rest[0])}\n`);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    sinks.err(`There is no command "${name}".\n\n${help()}\n`);
    return EXIT.usage;
  }
  let parsed;
  try {
    const flags = Object.entries(command.flags).map(([flag, { value }]) => [flag, { type: value === null ? 'boolean' : 'string' }] as const);
    parsed = parseArgs({ args: rest, allowPositionals: true, options: { ...Object.fromEntries(flags), help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    sinks.err(`${error instanceof Error ? error.message : 'wrong arguments'}\n\n${help(name)}\n`);
    return EXIT.usage;
  }
  const flags = parsed.values as Readonly<Record<string, string | boolean | undefined>>;
  if (flags['help'] === true) {
    sinks.out(`${help(name)}\n`);
    return EXIT.ok;
  }
  if (parsed.positionals.length !== command.count) {
    sinks.err(`${name} takes ${command.count === 0 ? 'no argument' : command.args}.\n\n${help(name)}\n`);
    return EXIT.usage;
  }
  const json = flags['json'] === true;
  const data = fromWhereOneStands(typeof flags['data'] === 'string' ? flags['data'] : (process.env['SOTTOVOCE_DATA'] ?? 'sottovoce-data'));
  try {
    return await command.run({ args: parsed.positionals, data, flags, out: new Output(json, sinks) });
  } catch (error) {
    sinks.err(`${advice(error)}\n`);
    if (json) sinks.out(`${JSON.stringify({ event: 'error', code: error instanceof SottovoceError ? error.code : 'failed', message: advice(error) })}\n`);
    return exitCode(error);
  }
}
