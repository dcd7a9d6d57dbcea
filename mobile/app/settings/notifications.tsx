import { useState } from 'react';
import type { ReactElement } from 'react';
import { Linking, View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { ChoiceRow, Group } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Notice } from '../../src/ui/parts/states';
import { useAsked } from '../../src/ui/state/use_asked';
import { useDevice, usePreferences } from '../../src/ui/state/preferences';
import { space } from '../../src/ui/theme/tokens';

export default function NotificationSettings(): ReactElement {
  const t = useT();
  const device = useDevice();
  const { preferences, change } = usePreferences();
  const [turn, setTurn] = useState(0);
  const { data: permission } = useAsked(() => device.notifications.permission(), turn);
  const allow = (): void => void (permission === 'ask' ? device.notifications.ask().then(() => setTurn(turn + 1)) : Linking.openSettings());
  return (
    <Screen title={t('notifications.title')} padded={false}>
      {permission !== undefined && permission !== 'granted' && (
        <View style={{ padding: space.l }}>
          <Notice look="caution" icon="bellOff" text={t('notifications.off')}>
            <Button look="plain" label={t('notifications.allow')} onPress={allow} />
          </Notice>
        </View>
      )}
      <Group title={t('notifications.show')} note={t('notifications.note')}>
        <ChoiceRow title={t('notifications.text')} detail={t('notifications.text_detail')} chosen={preferences.notificationDetail === 'text'} onPress={() => change({ notificationDetail: 'text' })} />
        <ChoiceRow title={t('notifications.name')} detail={t('notifications.name_detail')} chosen={preferences.notificationDetail === 'name'} onPress={() => change({ notificationDetail: 'name' })} />
        <ChoiceRow title={t('notifications.nothing')} detail={t('notifications.nothing_detail')} chosen={preferences.notificationDetail === 'nothing'} onPress={() => change({ notificationDetail: 'nothing' })} last />
      </Group>
    </Screen>
  );
}
