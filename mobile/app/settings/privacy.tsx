import { useRouter } from 'expo-router';
import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { SettingsView } from '../../src/core/messenger.ts';
import { duration, TIMERS } from '../../src/ui/i18n/times';
import { useT } from '../../src/ui/i18n/words';
import { ChoiceRow, Group, Row, SwitchRow } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Question, Sheet } from '../../src/ui/parts/sheet';
import { Failed, Loading, Trouble } from '../../src/ui/parts/states';
import { useAction, useContacts, useSettings } from '../../src/ui/state/hooks';
import { space } from '../../src/ui/theme/tokens';

export default function Privacy(): ReactElement {
  const t = useT();
  const router = useRouter();
  const { data, error, retry } = useSettings();
  const { data: contacts } = useContacts();
  const change = useAction((messenger, part: Partial<SettingsView>) => messenger.changeSettings(part));
  const [timing, setTiming] = useState(false);
  const [exposing, setExposing] = useState(false);
  const set = (part: Partial<SettingsView>): void => void change.run(part);
  const blocked = contacts?.filter((contact) => contact.blocked).length ?? 0;
  return (
    <Screen title={t('privacy.title')} padded={false}>
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <>
          <View style={{ paddingHorizontal: space.l }}>
            <Trouble code={change.error} />
          </View>
          <Group title={t('privacy.messages')} note={t('privacy.receipts_note')}>
            <SwitchRow title={t('privacy.delivery')} detail={t('privacy.delivery_detail')} on={data.deliveryReceipts} onChange={(on) => set({ deliveryReceipts: on })} testID="delivery-receipts" />
            <SwitchRow title={t('privacy.read')} detail={t('privacy.read_detail')} on={data.readReceipts} onChange={(on) => set({ readReceipts: on })} testID="read-receipts" />
            <SwitchRow title={t('privacy.typing')} detail={t('privacy.typing_detail')} on={data.typing} onChange={(on) => set({ typing: on })} />
            <Row title={t('privacy.timer')} value={duration(t, data.timerS)} onPress={() => setTiming(true)} last />
          </Group>
          <Group title={t('privacy.people')}>
            <SwitchRow title={t('privacy.strangers')} detail={t('privacy.strangers_detail')} on={data.strangers} onChange={(on) => set({ strangers: on })} />
            <Row title={t('privacy.blocked')} value={t('privacy.blocked_count', { count: blocked })} onPress={() => router.push('/settings/blocked')} last />
          </Group>
          <Group title={t('privacy.calls')}>
            <SwitchRow title={t('privacy.relay_calls')} detail={t('privacy.relay_calls_detail')} on={!data.directCalls} onChange={(on) => (on ? set({ directCalls: false }) : setExposing(true))} last testID="relay-calls" />
          </Group>
          <Sheet open={timing} onClose={() => setTiming(false)} title={t('privacy.timer')}>
            {TIMERS.map((seconds, at) => (
              <ChoiceRow
                key={seconds}
                title={duration(t, seconds)}
                chosen={seconds === data.timerS}
                last={at === TIMERS.length - 1}
                onPress={() => {
                  setTiming(false);
                  set({ timerS: seconds });
                }}
              />
            ))}
          </Sheet>
          <Question
            open={exposing}
            danger
            title={t('privacy.direct_title')}
            text={t('privacy.direct_detail')}
            confirm={t('privacy.direct_confirm')}
            onConfirm={() => {
              setExposing(false);
              set({ directCalls: true });
            }}
            onClose={() => setExposing(false)}
          />
        </>
      )}
    </Screen>
  );
}
