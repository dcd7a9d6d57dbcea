/** The languages of the app. `en` is the source; the others have the same keys, held by the compiler and by a test. */
export const LANGUAGES = ['en', 'de', 'tr', 'ar'] as const;
export type Language = (typeof LANGUAGES)[number];

export const isRtl = (language: Language): boolean => language === 'ar';

/** The first of the phone's languages that there are words for. Tags as in BCP 47. */
export function chooseLanguage(tags: readonly string[]): Language {
  for (const tag of tags) {
    const found = LANGUAGES.find((language) => language === tag.toLowerCase().split(/[-_]/)[0]);
    if (found) return found;
  }
  return 'en';
}
