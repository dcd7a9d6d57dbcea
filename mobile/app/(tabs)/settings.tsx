import { useRouter } from 'expo-router';
import type { Href } from 'expo-router';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { readable } from '../../src/ui/join/numbers';
import { Avatar } from '../../src/ui/parts/avatar';
import { Icon } from '../../src/ui/parts/icon';
import { Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Failed } from '../../src/ui/parts/states';
import { Heading, Txt } from '../../src/ui/parts/text';
import { IconButton, Touch } from '../../src/ui/parts/touch';
import { useAccount, useConnection } from '../../src/ui/state/hooks';
import { useColours } from '../../src/ui/theme/theme';
import { space } from '../../src/ui/theme/tokens';

export default function Settings(): ReactElement {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  const { data: account, error, retry } = useAccount();
  const { data: connection } = useConnection();
  const go = (to: Href) => () => router.push(to);
  if (error !== null && account === undefined) return <Failed code={error} onRetry={retry} />;
  return (
    <Screen leave="none" title={t('settings.title')} padded={false}>
      {account && (
        <View style={{ flexDirection: 'row', alignItems: 'center', paddingHorizontal: space.l, paddingBottom: space.l }}>
          <Touch label={[account.name, account.number, t('settings.profile')].filter((part) => part !== null).join(', ')} onPress={go('/settings/profile')} testID="profile" style={{ flex: 1, flexDirection: 'row', alignItems: 'center', gap: space.l, paddingVertical: space.s, paddingHorizontal: space.s, borderRadius: 16 }}>
            <Avatar peer={account.account} name={account.name} size={64} />
            <View style={{ flex: 1 }}>
              <Heading kind="title" numberOfLines={2} accessibilityRole="text">
                {account.name}
              </Heading>
              <Txt kind="small" tone="inkSoft">
                {account.number === null ? t('settings.no_number') : `\u2066${readable(account.number)}\u2069`}
              </Txt>
            </View>
          </Touch>
          <IconButton icon="qr" label={t('new.my_code')} colour={colours.accent} onPress={go('/card')} />
        </View>
      )}
      <Group>
        <Row icon="palette" title={t('appearance.title')} onPress={go('/settings/appearance')} testID="appearance" />
        <Row icon="bell" title={t('notifications.title')} onPress={go('/settings/notifications')} />
        <Row icon="pulse" title={t('delivery.title')} value={connection ? t(connection.state === 'online' ? 'delivery.online' : 'delivery.offline') : undefined} onPress={go('/settings/delivery')} last testID="delivery" />
      </Group>
      <Group>
        <Row icon="shield" title={t('privacy.title')} onPress={go('/settings/privacy')} testID="privacy" />
        <Row icon="lock" title={t('security.title')} onPress={go('/settings/security')} testID="security" />
        <Row icon="key" title={t('recovery.title')} value={account ? t(account.recoveryConfirmed ? 'recovery.confirmed' : 'recovery.not_confirmed') : undefined} onPress={go('/recovery')} last />
      </Group>
      <Group>
        <Row icon="server" title={t('relay.title')} value={account?.relayName} onPress={go('/settings/relay')} testID="relay" />
        <Row icon="transfer" title={t('transfer.title')} onPress={go('/settings/transfer')} testID="transfer" />
        <Row icon="check" title={t('selftest.title')} onPress={go('/settings/self-test')} testID="self-test" />
        <Row icon="info" title={t('about.title')} onPress={go('/settings/about')} last />
      </Group>
      <Group>
        <Row icon="trash" title={t('account.delete')} tone="danger" onPress={go('/settings/delete')} last testID="delete" />
      </Group>
      <View style={{ alignItems: 'center', paddingBottom: space.l }} aria-hidden>
        <Icon name="lock" size={16} colour={colours.inkSoft} />
      </View>
    </Screen>
  );
}
