/** Countries and numbers for people: names in their language, prefixes, and E.164 or nothing. */
import { getCountries, getCountryCallingCode, parsePhoneNumberFromString } from 'libphonenumber-js/min';
import type { CountryCode } from 'libphonenumber-js/min';

import type { Language } from '../i18n/languages';

export const prefixOf = (country: string): string => `+${getCountryCallingCode(country as CountryCode)}`;

/** E.164, or null for what is no number. A number written with its own prefix needs no country. */
export function toE164(written: string, country: string | null): string | null {
  const parsed = parsePhoneNumberFromString(written, country === null ? undefined : (country as CountryCode));
  return parsed?.isPossible() === true ? parsed.number : null;
}

/** "+49 30 1234567", for reading. */
export function readable(number: string): string {
  return parsePhoneNumberFromString(number)?.formatInternational() ?? number;
}

let regions: { readonly language: Language; readonly names: { of(code: string): string | undefined } } | null = null;

export function countryName(language: Language, country: string): string {
  // Hermes may be built without DisplayNames; two letters are better than nothing then.
  if (typeof Intl.DisplayNames !== 'function') return country;
  if (regions?.language !== language) regions = { language, names: new Intl.DisplayNames([language], { type: 'region' }) };
  return regions.names.of(country) ?? country;
}

export interface Country {
  readonly code: string;
  readonly name: string;
  readonly prefix: string;
}

export function countries(language: Language): readonly Country[] {
  return getCountries()
    .map((code) => ({ code, name: countryName(language, code), prefix: prefixOf(code) }))
    .sort((one, other) => one.name.localeCompare(other.name, language));
}
