/** Commands about phone numbers: finding members, and coming back into an account. */
import { readFileSync } from 'node:fs';

import type { BookEntry, DiscoveryProgress } from '../../core/discovery/discovery.ts';
import { CannotDo } from '../../core/errors.ts';
import { COMMON, EXIT } from '../command.ts';
import type { Command, Commands, Invocation } from '../command.ts';
import { fromWhereOneStands, within } from '../open.ts';
import type { Opened } from '../open.ts';
import { NAME, NUMBER, number, secretText, text } from './flags.ts';

/** One entry a line: a number, then a name if there is one. Empty lines and those that begin with # are left out. @throws CannotDo `bad_file`, `usage` for a country without a numbering plan */
export async function parseBook(book: string, country: string | null): Promise<readonly BookEntry[]> {
  const { isCountry, normalise } = await import('../../core/people/phone_number.ts'); // its metadata is large, and few commands need it
  if (country !== null && !isCountry(country)) throw new CannotDo('usage', '--country takes two letters, such as DE or TR');
  return book.split(/\r?\n/).flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    // A number ends at its last digit: what follows is a name.
    const [, digits = '', name = ''] = /^(\+?[0-9][0-9 ()/.-]*[0-9])(?:[\s,;]+(\D.*))?$/.exec(trimmed) ?? [];
    const e164 = normalise(digits, country);
    if (e164 === null) throw new CannotDo('bad_file', `line ${index + 1} does not begin with a number such as +4915112345678`);
    return [{ number: e164, name: name.trim() === '' ? null : name.trim() }];
  });
}

function readBook(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : fromWhereOneStands(file), 'utf8');
  } catch {
    throw new CannotDo('bad_file', `${file} cannot be read: name a file with one number a line, or - for standard input`);
  }
}

async function find({ messenger }: Opened, { args, flags, out }: Invocation): Promise<number> {
  const country = typeof flags['country'] === 'string' ? flags['country'].toUpperCase() : null;
  const book = await parseBook(readBook(args[0] ?? ''), country);
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  try {
    const says = { evaluating: 'numbers evaluated, blinded', looking_up: 'tokens looked up', waiting: 'the budget is used up, waiting' } as const;
    const onProgress = ({ step, done, total, waitS }: DiscoveryProgress): void =>
      out.remark(step === 'waiting' ? `${says[step]} ${waitS} s; ${total} are left` : `${says[step]}: ${done} of ${total}`);
    const { found, evaluated, lookedUp, left, waitS, times } = await messenger.client.discover(book, {
      onProgress,
      stopped: () => stopped,
      ...(flags['fast'] === true && { settings: { lookUpDelayMs: { least: 0, most: 0 }, evaluationChunk: 100 } }),
    });
    const lines = found.map((one) => `${one.number}  ${one.name ?? '(no name)'}  ${one.account}`);
    const rest = left === 0 ? '' : `\n${left} numbers are left${waitS === null ? '' : `: the relay asks to wait ${waitS} s`}; the same command goes on with them`;
    out.result(`${[...lines, `${found.length} of ${book.length} are members`].join('\n')}${rest}`, {
      event: 'discovered',
      found: found.map((one) => ({ number: one.number, name: one.name, account: one.account })),
      evaluated,
      looked_up: lookedUp,
      left,
      wait_s: waitS,
      milliseconds: times,
    });
    return left === 0 ? EXIT.ok : EXIT.unreachable;
  } finally {
    process.off('SIGINT', stop);
  }
}

const discover: Command = {
  args: '<file>',
  count: 1,
  summary: 'find out which numbers are members',
  details:
    'The file has one entry a line: +4915112345678 and a name, if you like; - is standard input. The relay evaluates blinded hashes and is then\n' +
    'asked for tokens at other times on another connection: it sees no number. Members become contacts. An interrupted run is gone on with.',
  flags: {
    ...COMMON,
    country: { value: 'CC', help: 'what numbers without a country code belong to, two letters' },
    fast: { value: null, help: 'without the waits that keep the two halves apart: for tests' },
  },
  run: (invocation) => within(invocation, { create: false, exclusive: true }, (opened) => find(opened, invocation)),
};

const recover: Command = {
  args: '<invite link>',
  count: 1,
  summary: 'come back into an account by its recovery code',
  details:
    'Any invite of the relay will do: it says where, and it is not spent. All keys are made anew, the old phone is shut out, and what waited for it\n' +
    'is gone, since it was sealed to the old keys. With the data of the old phone, contacts and messages stay. May be repeated after any failure.',
  flags: {
    ...COMMON,
    name: NAME,
    number: NUMBER,
    account: { value: 'ID', help: 'the account id; with a number as well, people find it by number again' },
    code: { value: 'CODE', help: 'the recovery code; - reads it from standard input, @FILE from a file (required)' },
  },
  run: (invocation) =>
    within(invocation, { create: true, exclusive: true }, async ({ messenger }) => {
      const { flags, args, out } = invocation;
      const account = typeof flags['account'] === 'string' ? flags['account'] : null;
      const recoveryCode = secretText(text(flags, 'code', 'the recovery code'));
      const recovered = await messenger.recover({ invite: args[0] ?? '', name: text(flags, 'name', 'what others see of you'), account, number: await number(flags), recoveryCode });
      const next = await messenger.recoveryCode();
      out.result(`account ${recovered.account}\nthe old recovery code is void, this is the new one:\n${next}`, {
        event: 'recovered',
        account: recovered.account,
        recovery_code: next,
        card: await messenger.card(),
      });
      return EXIT.ok;
    }),
};

export const NUMBERS: Commands = { discover, recover };
