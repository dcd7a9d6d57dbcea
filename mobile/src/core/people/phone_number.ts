/** Phone numbers as people write them, made into the one form that is compared (E.164). Nothing here leaves the phone. */
import { getCountries, parsePhoneNumberFromString } from 'libphonenumber-js/min';
import type { CountryCode } from 'libphonenumber-js/min';

import { CannotDo } from '../errors.ts';

/** Of what an address book holds; longer is no number. */
const LONGEST = 64;

/** Whether this is a country (ISO 3166, two letters) with a numbering plan. */
export function isCountry(text: string): text is CountryCode {
  return (getCountries() as readonly string[]).includes(text);
}

/** Seven to fifteen digits with the country code (ITU-T E.164), of which the first is not 0. */
const E164 = /^\+[1-9][0-9]{6,14}$/;

/**
 * `+491701234567` from `0170 / 1234567`, `0049 170 1234567`, `tel:+49-170-1234567`; null for what is no number: short codes,
 * star codes, words. Numbers without a country code are read as of `country`; null takes only those with one.
 *
 * Judged by length, not by the ranges in use: ranges are opened more often than apps are updated, and a number that is
 * refused here cannot be found by anybody. So the small metadata is enough.
 */
export function normalise(text: string, country: string | null): string | null {
  if (text.length > LONGEST) return null;
  const found = parsePhoneNumberFromString(text.replace(/^tel:/i, ''), {
    extract: false, // the whole text is the number, or it is none
    ...(country !== null && isCountry(country) && { defaultCountry: country }),
  });
  // An extension is a desk, not a member. Some plans have possible numbers shorter than any that is dialled from abroad, "0000" in Germany.
  return found?.isPossible() === true && found.ext === undefined && E164.test(found.number) ? found.number : null;
}

/** For what a member types as their own. @throws CannotDo `bad_number` */
export function ownNumber(text: string, country: string | null): string {
  const number = normalise(text, country);
  if (number === null) throw new CannotDo('bad_number', 'this is not a phone number: write it with its country code, for example +49 170 1234567');
  return number;
}

export interface BookEntry {
  readonly name: string | null;
  readonly numbers: readonly string[];
}

/** One entry a number, the first name wins; what is no number is left out. In the order of the book. */
export function normaliseBook(book: readonly BookEntry[], country: string | null): { readonly number: string; readonly name: string | null }[] {
  const found = new Map<string, string | null>();
  for (const { name, numbers } of book) {
    for (const text of numbers) {
      const number = normalise(text, country);
      if (number === null) continue;
      const shown = name?.trim() || null;
      if (!found.has(number) || (found.get(number) === null && shown !== null)) found.set(number, shown);
    }
  }
  return [...found].map(([number, name]) => ({ number, name }));
}
