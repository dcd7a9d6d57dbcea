import { useRouter } from 'expo-router';
import { useEffect, useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { CodeBlock } from '../src/ui/parts/code_block';
import { Button } from '../src/ui/parts/button';
import { Screen } from '../src/ui/parts/screen';
import { Failed, Loading, Notice } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { useAction } from '../src/ui/state/hooks';
import { space } from '../src/ui/theme/tokens';

/** The recovery code, to be written down. It is the only way back when the phone is gone. */
export default function Recovery(): ReactElement {
  const t = useT();
  const router = useRouter();
  const [code, setCode] = useState<string | null>(null);
  const load = useAction(async (messenger) => setCode(await messenger.recoveryCode()));
  const { run } = load;
  const loaded = code !== null || load.error !== null;
  useEffect(() => {
    if (!loaded) void Promise.resolve().then(() => run());
    // Asked once; a failure is asked again by the person.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return (
    <Screen
      title={t('recovery.title')}
      onLeave={() => router.replace('/chats')}
      leave="close"
      footer={
        code !== null && (
          <>
            <Button label={t('recovery.written')} onPress={() => router.push('/recovery-confirm')} testID="written" />
            <Button look="plain" label={t('recovery.later')} onPress={() => router.replace('/chats')} testID="later" />
          </>
        )
      }
    >
      <View style={{ flex: 1, gap: space.xl }}>
        <Txt tone="inkSoft">{t('recovery.detail')}</Txt>
        {code !== null ? <CodeBlock groups={code.split(/[\s-]+/)} label={t('recovery.code')} /> : load.error !== null ? <Failed code={load.error} onRetry={() => void run()} /> : <Loading />}
        {code !== null && <Notice look="caution" icon="pencil" text={t('recovery.warning')} />}
      </View>
    </Screen>
  );
}
