import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Button } from '../src/ui/parts/button';
import { Field } from '../src/ui/parts/field';
import { Screen } from '../src/ui/parts/screen';
import { Trouble } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { useAction } from '../src/ui/state/hooks';
import { space } from '../src/ui/theme/tokens';

export default function ConfirmRecovery(): ReactElement {
  const t = useT();
  const router = useRouter();
  const [typed, setTyped] = useState('');
  const [wrong, setWrong] = useState(false);
  const confirm = useAction(async (messenger) => {
    if (await messenger.confirmRecoveryCode(typed)) router.dismissTo('/chats');
    else setWrong(true);
  });
  return (
    <Screen title={t('confirm.title')} footer={<Button label={t('confirm.check')} busy={confirm.running} disabled={typed.trim() === ''} onPress={() => void confirm.run()} testID="check" />}>
      <View style={{ gap: space.l }}>
        <Txt tone="inkSoft">{t('confirm.detail')}</Txt>
        <Field
          label={t('recovery.code')}
          value={typed}
          onChangeText={(value) => {
            setTyped(value);
            setWrong(false);
          }}
          mistake={wrong ? t('confirm.wrong') : undefined}
          autoCapitalize="characters"
          autoComplete="off"
          spellCheck={false}
          multiline
          testID="code"
        />
        <Trouble code={confirm.error} />
      </View>
    </Screen>
  );
}
