import type { ReactElement } from 'react';
import { View } from 'react-native';

import { PROGRAMS } from '../../src/ui/i18n/examples';
import { useT } from '../../src/ui/i18n/words';
import { Mark } from '../../src/ui/parts/icon';
import { Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Notice } from '../../src/ui/parts/states';
import { Heading, Txt } from '../../src/ui/parts/text';
import { useDevice } from '../../src/ui/state/preferences';
import { useColours } from '../../src/ui/theme/theme';
import { space } from '../../src/ui/theme/tokens';
import { PACKAGES } from '../../src/ui/parts/licences';

export default function About(): ReactElement {
  const t = useT();
  const device = useDevice();
  const colours = useColours();
  const { version, libsignal, android } = device.build;
  return (
    <Screen title={t('about.title')} padded={false}>
      <View style={{ alignItems: 'center', gap: space.s, padding: space.xl }}>
        <Mark size={72} ground={colours.accent} line={colours.onAccent} />
        <Heading kind="title">{t('app.name')}</Heading>
        <Txt tone="inkSoft">{t('about.version', { version })}</Txt>
      </View>
      <View style={{ paddingHorizontal: space.l, paddingBottom: space.l }}>
        <Notice look="caution" icon="alert" text={t('about.unaudited')} />
      </View>
      <Group>
        <Row title={PROGRAMS.libsignal} value={libsignal} />
        <Row title={PROGRAMS.android} value={android} last />
      </Group>
      <Group title={t('about.licence')} note={t('about.licence_detail')}>
        {PACKAGES.map(({ name, licence }, at) => (
          <Row key={name} title={name} value={licence} last={at === PACKAGES.length - 1} />
        ))}
      </Group>
    </Screen>
  );
}
