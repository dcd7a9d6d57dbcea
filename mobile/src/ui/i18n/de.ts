/** German. */
import { entry } from './de/entry';
import { errors } from './de/errors';
import { settings } from './de/settings';
import { talk } from './de/talk';
import type { Table } from './words';

export const de: Table = { ...entry, ...errors, ...talk, ...settings };
