import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { duration } from '../../src/ui/i18n/times';
import { useT } from '../../src/ui/i18n/words';
import { ChoiceRow, Group, Row, SwitchRow } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Sheet } from '../../src/ui/parts/sheet';
import { Notice } from '../../src/ui/parts/states';
import { useDevice, usePreferences } from '../../src/ui/state/preferences';
import { useAsked } from '../../src/ui/state/use_asked';
import { space } from '../../src/ui/theme/tokens';

const LOCK_AFTER = [0, 60, 300, 900, 3600] as const;
const CLEAR_AFTER = [30, 60, 300, 0] as const;

/** What keeps the phone in somebody else's hand from showing what is in the app. */
export default function Security(): ReactElement {
  const t = useT();
  const device = useDevice();
  const { preferences, change } = usePreferences();
  const { data: lock } = useAsked(() => device.appLock.available(), 0);
  const [choosing, setChoosing] = useState<'lock' | 'clipboard' | null>(null);
  const after = (seconds: number): string => (seconds === 0 ? t('security.at_once') : duration(t, seconds));
  const clear = (seconds: number): string => (seconds === 0 ? t('security.never') : duration(t, seconds));
  const turnLock = async (on: boolean): Promise<void> => {
    // Both ways through the lock itself: whoever holds the phone must be able to open it.
    if (await device.appLock.unlock({ title: t('lock.title'), cancel: t('action.cancel') }).catch(() => false)) change({ appLock: on });
  };
  return (
    <Screen title={t('security.title')} padded={false}>
      {lock === 'none' && (
        <View style={{ padding: space.l }}>
          <Notice look="caution" icon="lock" text={t('security.no_lock')} />
        </View>
      )}
      <Group title={t('security.lock')} note={t('security.lock_note')}>
        <SwitchRow title={t('security.lock_app')} detail={t('security.lock_detail')} on={preferences.appLock} disabled={lock === undefined || lock === 'none'} onChange={(on) => void turnLock(on)} last={!preferences.appLock} testID="app-lock" />
        {preferences.appLock && <Row title={t('security.lock_after')} value={after(preferences.lockAfterS)} onPress={() => setChoosing('lock')} last />}
      </Group>
      <Group title={t('security.phone')}>
        <SwitchRow title={t('security.screen')} detail={t('security.screen_detail')} on={preferences.hideScreen} onChange={(on) => change({ hideScreen: on })} testID="hide-screen" />
        <SwitchRow title={t('security.keyboard')} detail={t('security.keyboard_detail')} on={preferences.incognitoKeyboard} onChange={(on) => change({ incognitoKeyboard: on })} />
        <Row title={t('security.clipboard')} value={clear(preferences.clipboardClearS)} onPress={() => setChoosing('clipboard')} last />
      </Group>
      <Sheet open={choosing === 'lock'} onClose={() => setChoosing(null)} title={t('security.lock_after')}>
        {LOCK_AFTER.map((seconds) => (
          <ChoiceRow
            key={seconds}
            title={after(seconds)}
            chosen={seconds === preferences.lockAfterS}
            onPress={() => {
              change({ lockAfterS: seconds });
              setChoosing(null);
            }}
          />
        ))}
      </Sheet>
      <Sheet open={choosing === 'clipboard'} onClose={() => setChoosing(null)} title={t('security.clipboard')}>
        {CLEAR_AFTER.map((seconds) => (
          <ChoiceRow
            key={seconds}
            title={clear(seconds)}
            chosen={seconds === preferences.clipboardClearS}
            onPress={() => {
              change({ clipboardClearS: seconds });
              setChoosing(null);
            }}
          />
        ))}
      </Sheet>
    </Screen>
  );
}
