import type { ReactElement } from 'react';
import { Linking } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { ChoiceRow, Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { usePreferences } from '../../src/ui/state/preferences';

export default function Appearance(): ReactElement {
  const t = useT();
  const { preferences, change } = usePreferences();
  return (
    <Screen title={t('appearance.title')} padded={false}>
      <Group title={t('appearance.theme')}>
        <ChoiceRow title={t('appearance.system')} chosen={preferences.theme === 'system'} onPress={() => change({ theme: 'system' })} />
        <ChoiceRow title={t('appearance.light')} chosen={preferences.theme === 'light'} onPress={() => change({ theme: 'light' })} testID="light" />
        <ChoiceRow title={t('appearance.dark')} chosen={preferences.theme === 'dark'} onPress={() => change({ theme: 'dark' })} last testID="dark" />
      </Group>
      <Group note={t('appearance.language_detail')}>
        <Row icon="info" title={t('appearance.language')} onPress={() => void Linking.openSettings()} last />
      </Group>
    </Screen>
  );
}
