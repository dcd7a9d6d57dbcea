/** The table of words: every language says everything, with the same holes and its own plural forms. */
import { LANGUAGES } from '../src/ui/i18n/languages';
import { pluralForm } from '../src/ui/i18n/plurals';
import { TABLES, translator } from '../src/ui/i18n/words';
import type { Key } from '../src/ui/i18n/words';

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '').sort();
const keys = Object.keys(TABLES.en) as Key[];

test.each(LANGUAGES)('%s has every key and no other', (language) => {
  expect(Object.keys(TABLES[language]).sort()).toEqual([...keys].sort());
});

test.each(LANGUAGES)('%s has the same holes, and no empty text', (language) => {
  const wrong = keys.filter((key) => {
    const [source, entry] = [TABLES.en[key] as string | Record<string, string>, TABLES[language][key] as string | Record<string, string>];
    if (typeof source === 'string') return typeof entry !== 'string' || entry.trim() === '' || holes(source).join() !== holes(entry).join();
    if (typeof entry === 'string') return true;
    // A form that stands for one number may say it in a word.
    return Object.values(entry).some((form) => form.trim() === '' || holes(form).some((hole) => !holes(source['other'] ?? '').includes(hole))) || !holes(entry['other'] ?? '').includes('count');
  });
  expect(wrong).toEqual([]);
});

test.each(LANGUAGES)('%s has exactly the plural forms that it needs for whole numbers', (language) => {
  const needed = new Set(Array.from({ length: 1001 }, (_, count) => new Intl.PluralRules(language).select(count)));
  needed.add('other');
  const wrong = keys.filter((key) => {
    const entry: unknown = TABLES[language][key];
    return typeof entry === 'object' && Object.keys(entry as object).sort().join() !== [...needed].sort().join();
  });
  expect(wrong).toEqual([]);
});

test.each(LANGUAGES)('%s chooses the form that Intl.PluralRules chooses', (language) => {
  const rules = new Intl.PluralRules(language);
  for (let count = 0; count <= 2000; count += 1) expect([count, pluralForm(language, count)]).toEqual([count, rules.select(count)]);
});

test('no language is a copy of another', () => {
  for (const language of LANGUAGES.filter((each) => each !== 'en')) {
    const same = keys.filter((key) => JSON.stringify(TABLES[language][key]) === JSON.stringify(TABLES.en[key]));
    // Names and signs that are the same everywhere.
    expect(same.length).toBeLessThan(16);
  }
});

test('holes are filled, numbers in the language’s digits, names of the other direction isolated', () => {
  expect(translator('en')('chats.unread', { count: 1 })).toBe('1 unread message');
  expect(translator('en')('chats.unread', { count: 12 })).toBe('12 unread messages');
  expect(translator('ar')('chats.unread', { count: 2 })).toBe('رسالتان غير مقروءتين');
  expect(translator('en')('compose.label', { name: 'مارتا' })).toBe('Message to \u2068مارتا\u2069');
  expect(translator('ar')('compose.label', { name: 'Marta' })).toBe('رسالة إلى \u2068Marta\u2069');
  expect(translator('en')('compose.label', { name: 'Marta' })).toBe('Message to Marta');
});
