/** How the app looks and behaves on this phone: kept beside the database, and about nobody. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';

import type { Device } from '../device/device';
import { DEFAULTS, parsePreferences } from './preference_file';
import type { Preferences } from './preference_file';

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
