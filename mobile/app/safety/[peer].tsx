import { useLocalSearchParams, useRouter } from 'expo-router';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { CodeBlock } from '../../src/ui/parts/code_block';
import { QrCode } from '../../src/ui/parts/qr_code';
import { Screen } from '../../src/ui/parts/screen';
import { Failed, Loading, Notice, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAction, useContact, useSafetyNumber } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

/** The safety number: scanned from the other's screen, or read aloud. Only people can tell that no one is in between. */
export default function Safety(): ReactElement {
  const t = useT();
  const router = useRouter();
  const { peer, result } = useLocalSearchParams<{ peer: string; result?: string }>();
  const { data: contact } = useContact(peer);
  const { data, error, retry } = useSafetyNumber(peer);
  const mark = useAction((messenger, verified: boolean) => messenger.setVerified(peer, verified));
  const name = contact?.name ?? '';
  const verified = contact?.verified === true && contact.identity === 'same';
  return (
    <Screen
      title={t('safety.title')}
      online
      footer={
        data && (
          <>
            <Button icon="scan" label={t('safety.scan', { name })} onPress={() => router.push(`/scan?for=safety&peer=${peer}`)} testID="scan" />
            <Button look="plain" label={t(verified ? 'safety.unmark' : 'safety.mark')} busy={mark.running} onPress={() => void mark.run(!verified)} testID="mark" />
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
        <View style={{ gap: space.l }}>
          {result === 'fits' && <Notice look="good" icon="verified" text={t('safety.fits', { name })} />}
          {result === 'differs' && <Notice look="danger" icon="shieldAlert" title={t('safety.differs')} text={t('safety.differs_detail', { name })} />}
          {verified && result !== 'fits' && <Notice look="good" icon="verified" text={t('contact.verified_detail', { name })} />}
          <Txt tone="inkSoft">{t('safety.detail', { name })}</Txt>
          <QrCode text={data.code} label={t('safety.code_label', { name })} size={196} />
          <CodeBlock groups={data.groups} label={t('safety.title')} columns={3} />
          <Trouble code={mark.error} />
        </View>
      )}
    </Screen>
  );
}
