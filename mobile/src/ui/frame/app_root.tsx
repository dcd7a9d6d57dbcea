/** Everything around the screens: typefaces, words, look, preferences, the lock, and the core once it is open. */
import { useFonts } from 'expo-font';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { AccessibilityInfo, AppState, useColorScheme, View } from 'react-native';
import { GestureHandlerRootView } from 'react-native-gesture-handler';
import { SafeAreaProvider } from 'react-native-safe-area-context';

import type { Device } from '../device/device';
import { chooseLanguage, isRtl } from '../i18n/languages';
import { translator, WordsProvider } from '../i18n/words';
import { Failed, Loading } from '../parts/states';
import { Cache, codeOf } from '../state/cache';
import { ClientProvider } from '../state/hooks';
import type { Client } from '../state/hooks';
import { DeviceProvider, PreferencesProvider, usePreferences } from '../state/preferences';
import { fontFiles } from '../theme/fonts';
import { systemTextScale } from '../theme/text_scale';
import { lookOf, LookProvider } from '../theme/theme';
import { LockGate } from './lock_gate';
import { phoneLanguages, phoneLocale, showBars } from './system';

export function AppRoot({ device, children }: { readonly device: Device; readonly children: ReactNode }): ReactElement | null {
  const [loaded, failed] = useFonts(fontFiles);
  const words = useMemo(() => {
    const language = chooseLanguage(phoneLanguages());
    return { language, locale: phoneLocale(language), t: translator(language) };
  }, []);
  // A face that does not load is no reason to stay shut: Android's own takes its place.
  if (!loaded && !failed) return null;
  return (
    <GestureHandlerRootView style={{ flex: 1 }}>
      <SafeAreaProvider>
        <DeviceProvider value={device}>
          <WordsProvider value={words}>
            <PreferencesProvider device={device}>
              <Looks rtl={isRtl(words.language)} language={words.language}>
                <CoreGate device={device}>
                  <LockGate>{children}</LockGate>
                </CoreGate>
              </Looks>
            </PreferencesProvider>
          </WordsProvider>
        </DeviceProvider>
      </SafeAreaProvider>
    </GestureHandlerRootView>
  );
}

function useStill(): boolean {
  const [still, setStill] = useState(false);
  useEffect(() => {
    void AccessibilityInfo.isReduceMotionEnabled().then(setStill, () => undefined);
    const subscription = AccessibilityInfo.addEventListener('reduceMotionChanged', setStill);
    return () => subscription.remove();
  }, []);
  return still;
}

function Looks({ rtl, language, children }: { readonly rtl: boolean; readonly language: string; readonly children: ReactNode }): ReactElement {
  const system = useColorScheme();
  const { preferences } = usePreferences();
  const scheme = preferences.theme === 'system' ? (system === 'dark' ? 'dark' : 'light') : preferences.theme;
  const still = useStill();
  const look = useMemo(() => lookOf(scheme, systemTextScale(), rtl, still), [scheme, rtl, still]);
  useEffect(() => showBars(look), [look]);
  // `dir` and `lang` are for the browser; on a phone direction is the system's.
  const web = { dir: rtl ? 'rtl' : 'ltr', lang: language } as object;
  return (
    <LookProvider value={look}>
      <View style={{ flex: 1, backgroundColor: look.colours.canvas }} {...web}>
        {children}
      </View>
    </LookProvider>
  );
}

/** Opens the core once, also behind the lock: messages arrive there too. Tells it whether somebody is looking. */
function CoreGate({ device, children }: { readonly device: Device; readonly children: ReactNode }): ReactElement {
  const [client, setClient] = useState<Client | null>(null);
  const [error, setError] = useState<string | null>(null);
  const open = useCallback(async () => {
    setError(null);
    try {
      const messenger = await device.openMessenger();
      setClient({ messenger, cache: new Cache(messenger) });
      if (await messenger.account()) await messenger.start();
    } catch (failure) {
      setError(codeOf(failure));
    }
  }, [device]);
  useEffect(() => {
    void Promise.resolve().then(open);
  }, [open]);
  useEffect(() => {
    if (!client) return undefined;
    const tell = (state: string): void => void client.messenger.setForeground(state === 'active').catch(() => undefined);
    tell(AppState.currentState);
    const subscription = AppState.addEventListener('change', tell);
    return () => {
      subscription.remove();
      client.cache.close();
    };
  }, [client]);
  if (client) return <ClientProvider value={client}>{children}</ClientProvider>;
  return error === null ? <Loading /> : <Failed code={error} onRetry={() => void open()} />;
}
