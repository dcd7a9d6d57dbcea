import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Avatar } from '../src/ui/parts/avatar';
import { Button } from '../src/ui/parts/button';
import { QrCode } from '../src/ui/parts/qr_code';
import { Screen } from '../src/ui/parts/screen';
import { Failed, Loading, Notice } from '../src/ui/parts/states';
import { Heading, Txt } from '../src/ui/parts/text';
import { useAccount, useCard } from '../src/ui/state/hooks';
import { useDevice, usePreferences } from '../src/ui/state/preferences';
import { space } from '../src/ui/theme/tokens';

/** The own contact code: whoever scans it from this screen can write, and knows that nobody is in between. */
export default function Card(): ReactElement {
  const t = useT();
  const router = useRouter();
  const device = useDevice();
  const { preferences } = usePreferences();
  const { data: account } = useAccount();
  const { data, error, retry } = useCard();
  const [copied, setCopied] = useState(false);
  return (
    <Screen
      title={t('card.title')}
      footer={
        data !== undefined && (
          <>
            <Button icon="scan" label={t('new.scan')} onPress={() => router.push('/scan?for=contact')} />
            <Button
              look="quiet"
              icon={copied ? 'check' : 'copy'}
              label={t(copied ? 'card.copied' : 'card.copy')}
              testID="copy-link"
              onPress={() => void device.clipboard.copy(data, preferences.clipboardClearS).then(() => setCopied(true), () => undefined)}
            />
          </>
        )
      }
    >
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <View style={{ gap: space.l, alignItems: 'center' }}>
          {account && (
            <View style={{ alignItems: 'center', gap: space.s }}>
              <Avatar peer={account.account} name={account.name} size={64} />
              <Heading centred>{account.name}</Heading>
            </View>
          )}
          <QrCode text={data} label={t('card.code_label')} size={224} />
          <Txt tone="inkSoft" centred>
            {t('card.detail')}
          </Txt>
          <View style={{ alignSelf: 'stretch' }}>
            <Notice look="caution" icon="info" text={t('card.warning')} />
          </View>
        </View>
      )}
    </Screen>
  );
}
