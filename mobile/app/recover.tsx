import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { toE164 } from '../src/ui/join/numbers';
import { Steps } from '../src/ui/join/steps';
import { Button } from '../src/ui/parts/button';
import { Field } from '../src/ui/parts/field';
import { Screen } from '../src/ui/parts/screen';
import { Notice, Trouble } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { useAction, useProgress } from '../src/ui/state/hooks';
import { space } from '../src/ui/theme/tokens';

/** Back into an account whose phone is gone. */
export default function Recover(): ReactElement {
  const t = useT();
  const router = useRouter();
  const [invite, setInvite] = useState('');
  const [name, setName] = useState('');
  const [who, setWho] = useState('');
  const [code, setCode] = useState('');
  const progress = useProgress('recover');
  const number = toE164(who, null);
  const recover = useAction(async (messenger) => {
    await messenger.recover({ invite: invite.trim(), name: name.trim(), account: number === null ? who.trim() : null, number, recoveryCode: code.trim() });
    await messenger.start();
    router.dismissTo('/chats');
  });
  const ready = [invite, name, who, code].every((value) => value.trim() !== '');
  return (
    <Screen title={t('recover.title')} footer={<Button label={t('recover.go')} busy={recover.running} disabled={!ready} onPress={() => void recover.run()} testID="recover-now" />}>
      <View style={{ gap: space.l }}>
        <Txt tone="inkSoft">{t('recover.detail')}</Txt>
        <Field label={t('recover.link')} help={t('recover.link_help')} value={invite} onChangeText={setInvite} autoCapitalize="none" autoComplete="off" testID="invite" />
        <Field label={t('recover.who')} help={t('recover.who_help')} value={who} onChangeText={setWho} autoCapitalize="none" autoComplete="off" testID="who" />
        <Field label={t('profile.name')} value={name} onChangeText={setName} autoComplete="off" maxLength={64} testID="name" />
        <Field label={t('recovery.code')} value={code} onChangeText={setCode} autoCapitalize="characters" autoComplete="off" multiline testID="code" />
        {recover.running && <Steps progress={progress} running />}
        <Trouble code={recover.error} />
        <Notice look="caution" icon="info" text={t('recover.warning')} />
      </View>
    </Screen>
  );
}
