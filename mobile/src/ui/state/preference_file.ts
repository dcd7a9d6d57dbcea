/** What the preferences are, and how they are read from their file. */
import type { NotificationDetail } from '../device/device';

export interface Preferences {
  readonly theme: 'system' | 'light' | 'dark';
  readonly notificationDetail: NotificationDetail;
  readonly appLock: boolean;
  /** Seconds in the background after which the lock closes. */
  readonly lockAfterS: number;
  readonly hideScreen: boolean;
  readonly incognitoKeyboard: boolean;
  readonly clipboardClearS: number;
}

export const DEFAULTS: Preferences = {
  theme: 'system',
  notificationDetail: 'name',
  appLock: false,
  lockAfterS: 60,
  hideScreen: true,
  incognitoKeyboard: true,
  clipboardClearS: 60,
};

const CHOICES: { readonly [Name in keyof Preferences]: (value: unknown) => boolean } = {
  theme: (value) => value === 'system' || value === 'light' || value === 'dark',
  notificationDetail: (value) => value === 'nothing' || value === 'name' || value === 'text',
  appLock: (value) => typeof value === 'boolean',
  lockAfterS: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  hideScreen: (value) => typeof value === 'boolean',
  incognitoKeyboard: (value) => typeof value === 'boolean',
  clipboardClearS: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
};

/** What is missing, damaged or unknown is as at the beginning: a bad file never keeps the app from opening. */
export function parsePreferences(text: string | null): Preferences {
  let read: Record<string, unknown>;
  try {
    read = (JSON.parse(text ?? '{}') ?? {}) as Record<string, unknown>;
  } catch {
    return DEFAULTS;
  }
  const names = Object.keys(DEFAULTS) as (keyof Preferences)[];
  return Object.fromEntries(names.map((name) => [name, CHOICES[name](read[name]) ? read[name] : DEFAULTS[name]])) as unknown as Preferences;
}
