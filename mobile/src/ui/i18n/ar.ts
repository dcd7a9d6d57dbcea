/** Arabic. */
import { entry } from './ar/entry';
import { errors } from './ar/errors';
import { settings } from './ar/settings';
import { talk } from './ar/talk';
import type { Table } from './words';

export const ar: Table = { ...entry, ...errors, ...talk, ...settings };
