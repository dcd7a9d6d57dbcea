/** Codes of failures as words. A code nobody foresaw is shown as such, so that somebody can ask about it. */
import { useT } from '../i18n/words';
import type { PlainKey, Translate } from '../i18n/words';
import { en } from '../i18n/en';

export function errorText(t: Translate, code: string): string {
  const key = `error.${code}` as PlainKey;
  return key in en ? t(key) : t('error.unknown', { code });
}

export function useErrorText(): (code: string) => string {
  const t = useT();
  return (code) => errorText(t, code);
}
