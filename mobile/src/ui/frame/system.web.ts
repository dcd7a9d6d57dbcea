/** In a browser the address says what to draw: `?lang=ar`. */
import type { Locale } from '../i18n/times';
import type { Look } from '../theme/theme';

export const phoneLanguages = (): readonly string[] => [new URLSearchParams(window.location.search).get('lang') ?? 'en'];

export const phoneLocale = (language: string): Locale => ({ tag: language, clock24: true });

export function showBars(look: Look): void {
  document.documentElement.dir = look.rtl ? 'rtl' : 'ltr'; // sheets hang on the document, not on the app
  document.body.style.backgroundColor = look.colours.canvas;
}
