import { useLocalSearchParams, useRouter } from 'expo-router';
import { useEffect, useRef } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import { useT } from '../src/ui/i18n/words';
import { Button } from '../src/ui/parts/button';
import { Field } from '../src/ui/parts/field';
import { Screen } from '../src/ui/parts/screen';
import { Trouble } from '../src/ui/parts/states';
import { Txt } from '../src/ui/parts/text';
import { useJoinDraft } from '../src/ui/frame/join_draft';
import { useAction } from '../src/ui/state/hooks';
import { useDevice } from '../src/ui/state/preferences';
import { EXAMPLES } from '../src/ui/i18n/examples';
import { space } from '../src/ui/theme/tokens';

/** The invite: scanned, pasted, or come by a link. */
export default function Join(): ReactElement {
  const t = useT();
  const router = useRouter();
  const device = useDevice();
  const { link } = useLocalSearchParams<{ link?: string }>();
  const { draft, change } = useJoinDraft();
  const inspect = useAction(async (messenger, invite: string) => {
    change({ invite, relay: await messenger.inspectInvite(invite) });
    router.push('/profile');
  });
  const arrived = useRef<string | null>(null);
  useEffect(() => {
    if (link === undefined || arrived.current === link) return;
    arrived.current = link;
    change({ invite: link });
    void inspect.run(link);
  }, [link, change, inspect]);
  const next = (): void => void inspect.run(draft.invite.trim());
  return (
    <Screen
      title={t('join.title')}
      footer={<Button label={t('action.next')} busy={inspect.running} disabled={draft.invite.trim() === ''} onPress={next} testID="next" />}
    >
      <View style={{ gap: space.l }}>
        <Txt tone="inkSoft">{t('join.detail')}</Txt>
        <Button look="quiet" icon="scan" label={t('join.scan')} onPress={() => router.push('/scan?for=invite')} />
        <Field
          label={t('join.link')}
          multiline
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          value={draft.invite}
          onChangeText={(invite) => {
            inspect.clear();
            change({ invite });
          }}
          placeholder={EXAMPLES.invite}
          testID="invite"
        />
        <Button look="plain" icon="copy" label={t('join.paste')} onPress={() => void device.clipboard.read().then((invite) => change({ invite }), () => undefined)} />
        <Trouble code={inspect.error} />
      </View>
    </Screen>
  );
}
