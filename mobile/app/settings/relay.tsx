import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Failed, Loading, Notice } from '../../src/ui/parts/states';
import { useAccount } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

/** Who carries the messages, and what they can and cannot see. */
export default function Relay(): ReactElement {
  const t = useT();
  const { data, error, retry } = useAccount();
  return (
    <Screen title={t('relay.title')} padded={false} online>
      {!data ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <>
          <Group>
            <Row icon="server" title={t('relay.name')} value={data.relayName} />
            <Row icon="link" title={t('relay.address')} value={new URL(data.relayUrl).host} />
            <Row icon="person" title={t('relay.account')} detail={`\u2066${data.account}\u2069`} last />
          </Group>
          <View style={{ paddingHorizontal: space.l, gap: space.m }}>
            <Notice look="good" icon="lock" title={t('relay.never')} text={t('relay.never_detail')} />
            <Notice look="plain" icon="info" title={t('relay.knows')} text={t('relay.knows_detail')} />
            <Notice look="caution" icon="alert" title={t('relay.could')} text={t('relay.could_detail')} />
          </View>
        </>
      )}
    </Screen>
  );
}
