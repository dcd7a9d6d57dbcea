/** What a command is: what it takes, in words and for the parser, and what it does. */
import { CannotDo } from '../core/errors.ts';
import type { ContactView, Messenger } from '../core/messenger.ts';
import { isUuid } from '../core/uuid.ts';
import type { Output } from './output.ts';

export interface Flag {
  /** What stands for its value in the help; null for a switch. */
  readonly value: string | null;
  readonly help: string;
}

export interface Invocation {
  readonly args: readonly string[];
  /** The data directory, absolute. */
  readonly data: string;
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly out: Output;
}

export interface Command {
  readonly args: string;
  /** How many positional arguments. */
  readonly count: number;
  readonly summary: string;
  readonly details: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Answers an exit code; throws typed errors for the one place that explains them (main.ts). */
  run(invocation: Invocation): Promise<number>;
}

export type Commands = Readonly<Record<string, Command>>;

export const EXIT = { ok: 0, failed: 1, usage: 2, notReady: 3, refused: 4, unreachable: 5, superseded: 6, revoked: 7, inUse: 8 } as const;

export const DATA: Flag = { value: 'DIR', help: 'where this account lives (default: $SOTTOVOCE_DATA, else ./sottovoce-data)' };
export const JSON_FLAG: Flag = { value: null, help: 'one JSON object a line on standard output' };
export const TIMEOUT: Flag = { value: 'SECONDS', help: 'give up waiting after this long' };
export const OFFLINE: Flag = { value: null, help: 'leave it for the next command that is online, or for watch' };
export const COMMON = { data: DATA, json: JSON_FLAG } as const;
export const LEAVES = { ...COMMON, offline: OFFLINE, timeout: TIMEOUT } as const;

/** Milliseconds; null when it was not given. @throws CannotDo `usage` */
export function timeoutMs(flags: Invocation['flags']): number | null {
  const flag = flags['timeout'];
  if (flag === undefined) return null;
  const value = Number(flag);
  if (typeof flag !== 'string' || !Number.isFinite(value) || value <= 0) throw new CannotDo('usage', '--timeout takes a number of seconds');
  return value * 1000;
}

/** @throws CannotDo `usage` */
export function wholeNumber(flags: Invocation['flags'], name: string): number | null {
  const flag = flags[name];
  if (flag === undefined) return null;
  if (typeof flag !== 'string' || !/^[0-9]{1,15}$/.test(flag)) throw new CannotDo('usage', `--${name} takes a whole number`);
  return Number(flag);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of `30s`, `5m`, `8h`, `1d`, `2w` or `off`. @throws CannotDo `usage` */
export function duration(text: string): number {
  if (text === 'off' || text === '0') return 0;
  const match = /^([1-9][0-9]{0,8})([smhdw])$/.exec(text);
  if (!match) throw new CannotDo('usage', 'a time is written 30s, 5m, 8h, 1d, 2w or off');
  return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0);
}

/** @throws CannotDo `usage` */
export function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new CannotDo('usage', 'a switch is on or off');
}

/** By account id, by number, or by name if only one contact bears it. @throws CannotDo `no_contact`, `many_contacts` */
export async function find(messenger: Messenger, who: string): Promise<ContactView> {
  const wanted = who.trim();
  const contacts = await messenger.contacts();
  const exact = contacts.find(({ peer, number }) => peer === wanted.toLowerCase() || number === wanted);
  const found = exact ? [exact] : contacts.filter(({ name, profileName }) => name === wanted || profileName === wanted);
  const [only] = found;
  if (!only) {
    throw new CannotDo('no_contact', isUuid(wanted) ? 'no contact has this account id: add their contact link first' : `no contact is called "${wanted}": add their contact link first`);
  }
  if (found.length > 1) throw new CannotDo('many_contacts', `${found.length} contacts are called "${wanted}": use the account id`);
  return only;
}
