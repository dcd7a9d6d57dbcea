import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { AccountView } from '../../src/core/messenger.ts';
import { useT } from '../../src/ui/i18n/words';
import { readable } from '../../src/ui/join/numbers';
import { Button } from '../../src/ui/parts/button';
import { Field } from '../../src/ui/parts/field';
import { Screen } from '../../src/ui/parts/screen';
import { Failed, Loading, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAccount, useAction } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

export default function ProfileSettings(): ReactElement {
  const t = useT();
  const { data, error, retry } = useAccount();
  if (data) return <Form account={data} />;
  return <Screen title={t('settings.profile')}>{error === null ? <Loading /> : <Failed code={error} onRetry={retry} />}</Screen>;
}

function Form({ account }: { readonly account: AccountView }): ReactElement {
  const t = useT();
  const router = useRouter();
  const [name, setName] = useState(account.name);
  const save = useAction((messenger) => messenger.setName(name.trim()));
  return (
    <Screen
      title={t('settings.profile')}
      footer={<Button label={t('action.save')} busy={save.running} disabled={name.trim() === '' || name.trim() === account.name} onPress={() => void save.run().then((done) => done && router.back())} testID="save" />}
    >
      <View style={{ gap: space.l }}>
        <Field label={t('profile.name')} help={t('profile.name_help')} value={name} onChangeText={setName} maxLength={64} testID="name" />
        <Txt kind="small" tone="inkSoft">
          {account.number === null ? t('settings.no_number_detail') : t('settings.number', { number: readable(account.number) })}
        </Txt>
        <Trouble code={save.error} />
      </View>
    </Screen>
  );
}
