/** How the app looks and behaves on this phone: kept beside the database, and about nobody. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';

import type { Device, NotificationDetail } from '../device/device';

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

interface Held {
  readonly preferences: Preferences;
  readonly change: (change: Partial<Preferences>) => void;
}

const PreferencesContext = createContext<Held>({ preferences: DEFAULTS, change: () => undefined });
export const usePreferences = (): Held => useContext(PreferencesContext);

/** Draws nothing until they are read: a flash of the wrong theme, or of what a lock should hide, is worse than a moment's wait. */
export function PreferencesProvider({ device, children }: { readonly device: Device; readonly children: ReactNode }): ReactElement | null {
  const [preferences, setPreferences] = useState<Preferences | null>(null);
  useEffect(() => {
    device.preferences.read().then(
      (text) => setPreferences(parsePreferences(text)),
      () => setPreferences(DEFAULTS),
    );
  }, [device]);
  useEffect(() => {
    if (!preferences) return;
    void device.screen.setSecure(preferences.hideScreen).catch(() => undefined);
    void device.keyboard.setIncognito(preferences.incognitoKeyboard).catch(() => undefined);
  }, [device, preferences]);
  const change = useCallback(
    (part: Partial<Preferences>) => {
      setPreferences((before) => {
        const after = { ...(before ?? DEFAULTS), ...part };
        void device.preferences.write(JSON.stringify(after)).catch(() => undefined);
        return after;
      });
    },
    [device],
  );
  const held = useMemo(() => (preferences ? { preferences, change } : null), [preferences, change]);
  return held && <PreferencesContext.Provider value={held}>{children}</PreferencesContext.Provider>;
}

const DeviceContext = createContext<Device | null>(null);
export const DeviceProvider = DeviceContext.Provider;

export function useDevice(): Device {
  const device = useContext(DeviceContext);
  if (!device) throw new Error('outside of the device');
  return device;
}
