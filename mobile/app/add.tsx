import { useLocalSearchParams, useRouter } from 'expo-router';
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
import { useDevice } from '../src/ui/state/preferences';
import { EXAMPLES } from '../src/ui/i18n/examples';
import { space } from '../src/ui/theme/tokens';

/** Somebody's contact link, sent by other means: it lets write, and verifies nothing. */
export default function Add(): ReactElement {
  const t = useT();
  const router = useRouter();
  const device = useDevice();
  const arrived = useLocalSearchParams<{ link?: string }>().link;
  const [link, setLink] = useState(arrived ?? '');
  const add = useAction(async (messenger) => {
    const contact = await messenger.addByCard(link.trim(), false);
    router.replace(`/chat/${contact.peer}`);
  });
  return (
    <Screen title={t('add.title')} online footer={<Button label={t('add.go')} busy={add.running} disabled={link.trim() === ''} onPress={() => void add.run()} testID="add" />}>
      <View style={{ gap: space.l }}>
        <Txt tone="inkSoft">{t('add.detail')}</Txt>
        <Field
          label={t('add.link')}
          multiline
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          value={link}
          onChangeText={(value) => {
            add.clear();
            setLink(value);
          }}
          placeholder={EXAMPLES.contact}
          testID="contact-link"
        />
        <Button look="plain" icon="copy" label={t('join.paste')} onPress={() => void device.clipboard.read().then(setLink, () => undefined)} />
        <Trouble code={add.error} />
      </View>
    </Screen>
  );
}
