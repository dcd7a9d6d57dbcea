/** Flags that several commands take, and how they are read. */
import { readFileSync } from 'node:fs';

import { CannotDo } from '../../core/errors.ts';
import type { Flag, Invocation } from '../command.ts';
import { fromWhereOneStands } from '../open.ts';

export const NAME: Flag = { value: 'NAME', help: 'the name others see (required)' };
export const NUMBER: Flag = { value: 'NUMBER', help: 'your phone number, +4915112345678: who knows it can find you. It does not leave this machine' };

/** @throws CannotDo `usage` when it is missing */
export function text(flags: Invocation['flags'], name: string, what: string): string {
  const value = flags[name];
  if (typeof value !== 'string' || value === '') throw new CannotDo('usage', `--${name} is missing: ${what}`);
  return value;
}

/** E.164; null when it was not given. @throws CannotDo `bad_number` */
export async function number(flags: Invocation['flags']): Promise<string | null> {
  if (typeof flags['number'] !== 'string') return null;
  const { ownNumber } = await import('../../core/people/phone_number.ts'); // its metadata is large, and few commands need it
  return ownNumber(flags['number'], null);
}

/** Whoever sees the list of processes sees their arguments, so a secret may also come from a file or from standard input. @throws CannotDo `bad_file` */
export function secretText(given: string): string {
  if (given !== '-' && !given.startsWith('@')) return given;
  try {
    return readFileSync(given === '-' ? 0 : fromWhereOneStands(given.slice(1)), 'utf8');
  } catch {
    throw new CannotDo('bad_file', `${given} cannot be read: @ names a file, - is standard input`);
  }
}
