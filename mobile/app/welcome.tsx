import { useRouter } from 'expo-router';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Button } from '../src/ui/parts/button';
import { Icon, Mark } from '../src/ui/parts/icon';
import type { IconName } from '../src/ui/parts/icon';
import { Screen } from '../src/ui/parts/screen';
import { Heading, Txt } from '../src/ui/parts/text';
import { useColours } from '../src/ui/theme/theme';
import { space } from '../src/ui/theme/tokens';

function Point({ icon, text }: { readonly icon: IconName; readonly text: string }): ReactElement {
  const colours = useColours();
  return (
    <View style={{ flexDirection: 'row', gap: space.m, alignItems: 'flex-start' }}>
      <View aria-hidden style={{ paddingTop: 1 }}>
        <Icon name={icon} size={22} colour={colours.accent} />
      </View>
      <Txt style={{ flex: 1 }}>{text}</Txt>
    </View>
  );
}

export default function Welcome(): ReactElement {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  return (
    <Screen
      bar={false}
      footer={
        <>
          <Button label={t('welcome.join')} onPress={() => router.push('/join')} testID="join" />
          <Button look="plain" label={t('welcome.have_account')} onPress={() => router.push('/return')} testID="return" />
        </>
      }
    >
      <View style={{ flex: 1, justifyContent: 'center', gap: space.xl, paddingVertical: space.xl }}>
        <Mark size={84} ground={colours.accent} line={colours.onAccent} />
        <View style={{ gap: space.s }}>
          <Heading kind="display">{t('welcome.title')}</Heading>
          <Txt tone="inkSoft">{t('welcome.detail')}</Txt>
        </View>
        <View style={{ gap: space.l }}>
          <Point icon="lock" text={t('welcome.promise_sealed')} />
          <Point icon="server" text={t('welcome.promise_relay')} />
          <Point icon="person" text={t('welcome.promise_number')} />
        </View>
      </View>
    </Screen>
  );
}
