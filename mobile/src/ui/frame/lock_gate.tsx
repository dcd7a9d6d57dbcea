/** The app lock: nothing of the app is drawn, and no text of anybody is in the tree, until the phone's own prompt said yes. */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { AppState, View } from 'react-native';

import { useT } from '../i18n/words';
import { Button } from '../parts/button';
import { Mark } from '../parts/icon';
import { Heading, Txt } from '../parts/text';
import { useDevice, usePreferences } from '../state/preferences';
import { useColours } from '../theme/theme';
import { space } from '../theme/tokens';

/** Whether the lock closes when somebody comes back. `leftAt` and `now` in milliseconds of a clock that only goes forward. */
export function closes(leftAt: number | null, now: number, lockAfterS: number): boolean {
  return leftAt !== null && now - leftAt >= lockAfterS * 1000;
}

export function LockGate({ children }: { readonly children: ReactNode }): ReactElement {
  const t = useT();
  const device = useDevice();
  const { preferences } = usePreferences();
  const { appLock, lockAfterS } = preferences;
  const [locked, setLocked] = useState(appLock);
  const [asking, setAsking] = useState(false);
  const leftAt = useRef<number | null>(null);

  const unlock = useCallback(async () => {
    setAsking(true);
    const opened = await device.appLock.unlock({ title: t('lock.title'), cancel: t('action.cancel') }).catch(() => false);
    setAsking(false);
    if (opened) setLocked(false);
  }, [device, t]);

  useEffect(() => {
    const subscription = AppState.addEventListener('change', (state) => {
      if (state !== 'active') leftAt.current ??= performance.now();
      else {
        if (appLock && closes(leftAt.current, performance.now(), lockAfterS)) setLocked(true);
        leftAt.current = null;
      }
    });
    return () => subscription.remove();
  }, [appLock, lockAfterS]);

  const shut = locked && appLock;
  useEffect(() => {
    if (shut) void Promise.resolve().then(unlock);
  }, [shut, unlock]);

  return shut ? <LockScreen asking={asking} onUnlock={() => void unlock()} /> : <>{children}</>;
}

export function LockScreen({ asking, onUnlock }: { readonly asking: boolean; readonly onUnlock: () => void }): ReactElement {
  const t = useT();
  const colours = useColours();
  return (
    <View style={{ flex: 1, backgroundColor: colours.canvas, alignItems: 'center', justifyContent: 'center', padding: space.xxl, gap: space.l }}>
      <Mark size={88} ground={colours.accent} line={colours.onAccent} />
      <Heading kind="title" centred>
        {t('lock.title')}
      </Heading>
      <Txt tone="inkSoft" centred>
        {t('lock.detail')}
      </Txt>
      <View style={{ alignSelf: 'stretch', maxWidth: 320, width: '100%', marginHorizontal: 'auto' }}>
        <Button label={t('lock.unlock')} icon="lock" busy={asking} onPress={onUnlock} testID="unlock" />
      </View>
    </View>
  );
}
