/** The phone's languages, and the colours of its bars. */
import { getCalendars, getLocales } from 'expo-localization';
import { setStatusBarStyle } from 'expo-status-bar';
import { setBackgroundColorAsync } from 'expo-system-ui';

import type { Locale } from '../i18n/times';
import type { Look } from '../theme/theme';

export const phoneLanguages = (): readonly string[] => getLocales().map(({ languageTag }) => languageTag);

/** Dates as the phone writes them, if it speaks the app's language; else as that language does. */
export function phoneLocale(language: string): Locale {
  const [first] = getLocales();
  return { tag: first?.languageCode === language ? first.languageTag : language, clock24: getCalendars()[0]?.uses24hourClock ?? null };
}

export function showBars(look: Look): void {
  setStatusBarStyle(look.scheme === 'dark' ? 'light' : 'dark');
  // What is seen for a moment while the keyboard or another screen comes up.
  void setBackgroundColorAsync(look.colours.canvas).catch(() => undefined);
}
