/** `t('chat.typing', { name })`: the words of the language in force, with what stands in braces filled in. */
import { createContext, useContext } from 'react';

import { ar } from './ar';
import { de } from './de';
import { en } from './en';
import { isRtl } from './languages';
import type { Language } from './languages';
import { pluralForm } from './plurals';
import type { PluralForm } from './plurals';
import type { Locale } from './times';
import { tr } from './tr';

type English = typeof en;
export type Key = keyof English;
type Forms = { readonly [Form in PluralForm]?: string };
export type Table = { readonly [K in Key]: English[K] extends string ? string : Forms & { readonly other: string } };

type Holes<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Holes<Rest> : never;
type HolesOf<Entry> = Entry extends string ? Holes<Entry> : Entry extends { other: infer Other } ? Holes<Other> | 'count' : never;
type Fill<K extends Key> = { readonly [Name in HolesOf<English[K]>]: string | number };
/** Keys of texts without holes: what a table of keys may hold. */
export type PlainKey = { [K in Key]: [HolesOf<English[K]>] extends [never] ? K : never }[Key];
export type Translate = <K extends Key>(key: K, ...fill: [HolesOf<English[K]>] extends [never] ? [] : [Fill<K>]) => string;

export const TABLES: Readonly<Record<Language, Table>> = { en, de, tr, ar };

const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/;

/** Somebody's name must not turn the sentence around it: isolated (UAX #9) where the directions may differ. */
function isolate(value: string, rtl: boolean): string {
  return rtl !== RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : value;
}

export function translator(language: Language): Translate {
  const table = TABLES[language];
  const rtl = isRtl(language);
  return (key, ...fill) => {
    const values = (fill[0] ?? {}) as Readonly<Record<string, string | number>>;
    const entry: string | Forms = table[key];
    const text = typeof entry === 'string' ? entry : (entry[pluralForm(language, Number(values['count'] ?? 0))] ?? entry.other ?? '');
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name] ?? '';
      return typeof value === 'number' ? formatNumber(language, value) : isolate(value, rtl);
    });
  };
}

export function formatNumber(language: Language, value: number): string {
  return new Intl.NumberFormat(language).format(value);
}

export interface Words {
  readonly language: Language;
  readonly locale: Locale;
  readonly t: Translate;
}

const WordsContext = createContext<Words>({ language: 'en', locale: { tag: 'en', clock24: null }, t: translator('en') });
export const WordsProvider = WordsContext.Provider;
export const useWords = (): Words => useContext(WordsContext);
export const useT = (): Translate => useContext(WordsContext).t;
