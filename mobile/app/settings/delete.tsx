import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { Screen } from '../../src/ui/parts/screen';
import { Question } from '../../src/ui/parts/sheet';
import { Notice, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAction } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

export default function DeleteAccount(): ReactElement {
  const t = useT();
  const router = useRouter();
  const [asking, setAsking] = useState(false);
  const remove = useAction(async (messenger) => {
    await messenger.deleteAccount();
    router.dismissTo('/welcome');
  });
  return (
    <Screen title={t('account.delete')} online footer={<Button look="danger" icon="trash" label={t('account.delete')} onPress={() => setAsking(true)} testID="delete-account" />}>
      <View style={{ gap: space.l }}>
        <Txt>{t('account.delete_detail')}</Txt>
        <Notice look="danger" icon="alert" text={t('account.delete_warning')} />
        <Trouble code={remove.error} />
      </View>
      <Question
        open={asking}
        danger
        busy={remove.running}
        title={t('account.delete_title')}
        text={t('account.delete_last')}
        confirm={t('account.delete')}
        onConfirm={() => void remove.run().then(() => setAsking(false))}
        onClose={() => setAsking(false)}
      />
    </Screen>
  );
}
