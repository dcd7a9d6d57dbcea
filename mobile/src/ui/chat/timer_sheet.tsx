import type { ReactElement } from 'react';
import { View } from 'react-native';

import { duration, TIMERS } from '../i18n/times';
import { useT } from '../i18n/words';
import { ChoiceRow } from '../parts/rows';
import { Sheet } from '../parts/sheet';
import { Txt } from '../parts/text';
import { useMessenger } from '../state/hooks';
import { space } from '../theme/tokens';

export function TimerSheet({ peer, seconds, open, onClose }: { readonly peer: string; readonly seconds: number; readonly open: boolean; readonly onClose: () => void }): ReactElement {
  const t = useT();
  const messenger = useMessenger();
  return (
    <Sheet open={open} onClose={onClose} title={t('timer.title')}>
      <Txt kind="small" tone="inkSoft" style={{ paddingHorizontal: space.xl, paddingBottom: space.s }}>
        {t('timer.detail')}
      </Txt>
      <View accessibilityRole="radiogroup">
        {TIMERS.map((choice, at) => (
          <ChoiceRow
            key={choice}
            title={duration(t, choice)}
            chosen={choice === seconds}
            last={at === TIMERS.length - 1}
            onPress={() => {
              onClose();
              void messenger.setTimer(peer, choice).catch(() => undefined);
            }}
          />
        ))}
      </View>
    </Sheet>
  );
}
