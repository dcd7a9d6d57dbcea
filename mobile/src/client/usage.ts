/** What the command line understands, in one table: the help is printed from it and the arguments are checked against it. */
import type { Command, Commands } from './command.ts';
import { ACCOUNT } from './commands/account.ts';
import { CALLS } from './commands/calls.ts';
import { MESSAGES } from './commands/messages.ts';
import { NUMBERS } from './commands/numbers.ts';
import { PEOPLE } from './commands/people.ts';
import { BRIDGE, STATUS } from './commands/tools.ts';
import { WATCH } from './watch.ts';

const AREAS: readonly (readonly [string, Commands])[] = [
  ['The account', ACCOUNT],
  ['People', PEOPLE],
  ['Numbers', NUMBERS],
  ['Messages', { watch: WATCH, ...MESSAGES }],
  ['Calls', CALLS],
  ['Tools', { status: STATUS, bridge: BRIDGE }],
];

export const COMMANDS: Commands = Object.assign({}, ...AREAS.map(([, commands]) => commands)) as Commands;

const EXIT_CODES = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not joined, or not possible as things are, 4 refused, 5 relay unreachable or timeout,
            6 replaced by another session of this account, 7 the account is gone, 8 the data directory is in use`;

export function help(name?: string): string {
  const command = name === undefined ? undefined : COMMANDS[name];
  return command && name !== undefined ? helpOf(name, command) : overview();
}

function overview(): string {
  const areas = AREAS.map(([title, commands]) => {
    const lines = Object.entries(commands).map(([name, { args, summary }]) => `  ${`${name} ${args}`.padEnd(44)} ${summary}`);
    return `${title}\n${lines.join('\n')}`;
  });
  return `Sottovoce, a headless client\n\nUsage: client <command> [options]\n\n${areas.join('\n\n')}\n\n"client <command> --help" tells more. With --json every result is one JSON object a line.\n${EXIT_CODES}`;
}

function helpOf(name: string, { args, summary, details, flags }: Command): string {
  const lines = Object.entries(flags).map(([flag, { value, help: text }]) => `  ${`--${flag}${value === null ? '' : ` ${value}`}`.padEnd(28)} ${text}`);
  return `Usage: client ${name} ${args} [options]\n\n${summary}\n\n${details}\n\n${lines.join('\n')}\n\n${EXIT_CODES}`;
}
