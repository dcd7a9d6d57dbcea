/** CLDR's cardinal rules for whole numbers in our languages. Hermes has no Intl.PluralRules; a test holds these against Node's. */
import type { Language } from './languages';

export type PluralForm = 'zero' | 'one' | 'two' | 'few' | 'many' | 'other';

function arabic(count: number): PluralForm {
  if (count === 0) return 'zero';
  if (count === 1) return 'one';
  if (count === 2) return 'two';
  const rest = count % 100;
  if (rest >= 3 && rest <= 10) return 'few';
  return rest >= 11 ? 'many' : 'other';
}

export function pluralForm(language: Language, count: number): PluralForm {
  return language === 'ar' ? arabic(count) : count === 1 ? 'one' : 'other';
}
