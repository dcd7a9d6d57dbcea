/** Commands about phone numbers: finding members, and coming back into an account. */
import { readFileSync } from 'node:fs';

import type { BookEntry, DiscoveryProgress } from '../core/discovery/discovery.ts';
import { isE164 } from '../core/discovery/numbers.ts';
import { CannotDo } from '../core/errors.ts';
import { readCode, RECOVERY_CODE, writeCode } from '../core/human_code.ts';
import type { Invocation } from './commands.ts';
import { openClient } from './runtime.ts';
import { EXIT } from './usage.ts';

/** One entry a line: a number, then a name if there is one. Empty lines and those that begin with # are left out. @throws CannotDo `bad_file` */
export function parseBook(text: string): readonly BookEntry[] {
  return text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const [, number = '', name = ''] = /^(\S+?)(?:[\s,;]+(.*))?$/.exec(trimmed) ?? [];
    if (!isE164(number)) throw new CannotDo('bad_file', `line ${index + 1} does not begin with a number such as +4915112345678`);
    return [{ number, name: name.trim() === '' ? null : name.trim() }];
  });
}

function readBook(file: string): string {
  try {
    return readFileSync(file === '-' ? process.stdin.fd : file, 'utf8');
  } catch {
    throw new CannotDo('bad_file', `${file} cannot be read: name a file with one number a line, or - for standard input`);
  }
}

export async function recover({ args: [link = ''], data, flags, out }: Invocation): Promise<number> {
  const word = (flag: string): string | null => (typeof flags[flag] === 'string' ? flags[flag] : null);
  const [name, code, account, number] = [word('name'), word('code'), word('account'), word('number')];
  if (name === null || code === null) throw new CannotDo('usage', 'recover needs --name NAME and --code CODE, and --account ID or --number NUMBER');
  const recoveryCode = readCode(RECOVERY_CODE, code);
  const { client, close } = await openClient(data, { create: true, exclusive: true });
  try {
    const says = { keys: 'making keys', number: 'having the number evaluated, blinded', request: 'asking the relay', recovered: 'recovered' } as const;
    const recovered = await client.recover(link, { name, account, number, recoveryCode }, (step) => out.remark(says[step]));
    const next = writeCode(RECOVERY_CODE, recovered.recoveryCode);
    out.result(`account ${recovered.accountId}\nthe old recovery code is void, this is the new one:\n${next}`, {
      event: 'recovered',
      account: recovered.accountId,
      recovery_code: next,
      card: await client.card(),
    });
    return EXIT.ok;
  } finally {
    await close();
  }
}

export async function discover({ args: [file = ''], data, flags, out }: Invocation): Promise<number> {
  const book = parseBook(readBook(file));
  const fast = flags['fast'] === true;
  const { client, close } = await openClient(data, { create: false, exclusive: true });
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  try {
    const says = { evaluating: 'numbers evaluated, blinded', looking_up: 'tokens looked up', waiting: 'the budget is used up, waiting' } as const;
    const onProgress = ({ step, done, total, waitS }: DiscoveryProgress): void =>
      out.remark(step === 'waiting' ? `${says[step]} ${waitS} s; ${total} are left` : `${says[step]}: ${done} of ${total}`);
    const { found, evaluated, lookedUp, left, waitS, times } = await client.discover(book, {
      onProgress,
      stopped: () => stopped,
      ...(fast && { settings: { lookUpDelayMs: { least: 0, most: 0 }, evaluationChunk: 100 } }),
    });
    const lines = found.map(({ number, name, account }) => `${number}  ${name ?? '(no name)'}  ${account}`);
    const rest = left === 0 ? '' : `\n${left} numbers are left${waitS === null ? '' : `: the relay asks to wait ${waitS} s`}; the same command goes on with them`;
    out.result(`${[...lines, `${found.length} of ${book.length} are members`].join('\n')}${rest}`, {
      event: 'discovered',
      found: found.map(({ number, name, account }) => ({ number, name, account })),
      evaluated,
      looked_up: lookedUp,
      left,
      wait_s: waitS,
      milliseconds: times,
    });
    return left === 0 ? EXIT.ok : EXIT.unreachable;
  } finally {
    process.off('SIGINT', stop);
    await close();
  }
}
