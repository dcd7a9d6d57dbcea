import { useRouter } from 'expo-router';
import { useEffect, useRef } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { toE164 } from '../src/ui/join/numbers';
import { Steps } from '../src/ui/join/steps';
import { Button } from '../src/ui/parts/button';
import { Screen } from '../src/ui/parts/screen';
import { Trouble } from '../src/ui/parts/states';
import { Heading, Txt } from '../src/ui/parts/text';
import { useJoinDraft } from '../src/ui/frame/join_draft';
import { useAction, useProgress } from '../src/ui/state/hooks';
import { space } from '../src/ui/theme/tokens';

/** Registration, step by step. It may be repeated after any failure: the core goes on where it stopped. */
export default function Joining(): ReactElement {
  const t = useT();
  const router = useRouter();
  const { draft } = useJoinDraft();
  const progress = useProgress('join');
  const join = useAction(async (messenger) => {
    await messenger.join({ invite: draft.invite.trim(), name: draft.name.trim(), number: draft.number.trim() === '' ? null : toE164(draft.number, draft.country) });
    await messenger.start();
    router.replace('/recovery');
  });
  const begun = useRef(false);
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    void join.run();
  });
  return (
    <Screen bar={false} footer={join.error === null ? undefined : <Button label={t('action.retry')} onPress={() => void join.run()} testID="retry" />}>
      <View style={{ flex: 1, justifyContent: 'center', gap: space.xl, paddingVertical: space.xxl }}>
        <View style={{ gap: space.s }}>
          <Heading kind="title">{t('joining.title')}</Heading>
          <Txt tone="inkSoft">{t('joining.detail')}</Txt>
        </View>
        <Steps progress={progress} running={join.running} />
        <Trouble code={join.error} />
        {join.error !== null && <Button look="plain" label={t('action.back')} onPress={() => router.back()} />}
      </View>
    </Screen>
  );
}
