import { useRouter } from 'expo-router';
import type { ReactElement } from 'react';

import { useT } from '../src/ui/i18n/words';
import { Group, Row } from '../src/ui/parts/rows';
import { Screen } from '../src/ui/parts/screen';
import { Txt } from '../src/ui/parts/text';
import { space } from '../src/ui/theme/tokens';

/** Two ways back into an account: from the old phone, or with the recovery code. */
export default function Return(): ReactElement {
  const t = useT();
  const router = useRouter();
  return (
    <Screen title={t('return.title')} padded={false}>
      <Txt tone="inkSoft" style={{ paddingHorizontal: space.xl, paddingBottom: space.l }}>
        {t('return.detail')}
      </Txt>
      <Group>
        <Row icon="transfer" title={t('return.transfer')} detail={t('return.transfer_detail')} onPress={() => router.push('/restore')} testID="restore" />
        <Row icon="key" title={t('return.code')} detail={t('return.code_detail')} onPress={() => router.push('/recover')} last testID="recover" />
      </Group>
    </Screen>
  );
}
