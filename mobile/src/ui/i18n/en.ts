/** English, the source: the other languages have these keys with these holes. */
import { entry } from './en/entry';
import { errors } from './en/errors';
import { settings } from './en/settings';
import { talk } from './en/talk';

export const en = { ...entry, ...errors, ...talk, ...settings } as const;
