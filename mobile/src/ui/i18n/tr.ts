/** Turkish. */
import { entry } from './tr/entry';
import { errors } from './tr/errors';
import { settings } from './tr/settings';
import { talk } from './tr/talk';
import type { Table } from './words';

export const tr: Table = { ...entry, ...errors, ...talk, ...settings };
