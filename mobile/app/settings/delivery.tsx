import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { ConnectionView } from '../../src/core/messenger.ts';
import { fullTime } from '../../src/ui/i18n/times';
import { useWords } from '../../src/ui/i18n/words';
import type { PlainKey } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { ChoiceRow, Group, Row } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Failed, Loading, Notice, Trouble } from '../../src/ui/parts/states';
import { useAction, useConnection } from '../../src/ui/state/hooks';
import { useDevice } from '../../src/ui/state/preferences';
import { useAsked } from '../../src/ui/state/use_asked';
import { space } from '../../src/ui/theme/tokens';

const STATES: Readonly<Record<ConnectionView['state'], PlainKey>> = {
  off: 'delivery.state_off',
  connecting: 'delivery.state_connecting',
  online: 'delivery.state_online',
  waiting: 'delivery.state_waiting',
  elsewhere: 'delivery.state_elsewhere',
  revoked: 'delivery.state_revoked',
};

/** Whether messages reach this phone, when that was last seen to work, and what stands in the way. */
export default function Delivery(): ReactElement {
  const { t, locale } = useWords();
  const device = useDevice();
  const { data, error, retry } = useConnection();
  const [turn, setTurn] = useState(0);
  const { data: way } = useAsked(() => device.delivery.mode(), turn);
  const { data: exempt } = useAsked(() => device.delivery.batteryExempt(), turn);
  const { data: distributors } = useAsked(() => device.delivery.distributors(), turn);
  const probe = useAction((messenger) => messenger.probe());
  const setMode = (mode: 'service' | 'unified_push' | 'open_only') => () => void device.delivery.setMode(mode).then(() => setTurn(turn + 1), () => setTurn(turn + 1));
  const when = (at: number | null): string => (at === null ? t('delivery.never') : fullTime(locale, at));
  const well = data?.state === 'online' && !data.probeFailed;
  const push = (distributors?.length ?? 0) > 0;
  return (
    <Screen title={t('delivery.title')} padded={false}>
      {data === undefined ? (
        error === null ? (
          <Loading />
        ) : (
          <Failed code={error} onRetry={retry} />
        )
      ) : (
        <>
          <View style={{ padding: space.l, paddingTop: 0, gap: space.m }}>
            <Notice look={well ? 'good' : 'caution'} icon={well ? 'check' : 'alert'} title={t(well ? 'delivery.well' : 'delivery.not_well')} text={t(data.probeFailed ? 'delivery.probe_failed' : STATES[data.state])} />
            <Trouble code={probe.error} />
          </View>
          <Group note={t('delivery.probe_note')}>
            <Row icon="clock" title={t('delivery.last')} value={when(data.deliveredAt)} />
            <Row icon="pulse" title={t('delivery.probed')} value={when(data.probedAt)} last />
          </Group>
          <View style={{ paddingHorizontal: space.xl, paddingBottom: space.l }}>
            <Button look="quiet" label={t('delivery.probe')} busy={probe.running} onPress={() => void probe.run()} testID="probe" />
          </View>
          <Group title={t('delivery.way')} note={push ? undefined : t('delivery.no_distributor')}>
            <ChoiceRow title={t('delivery.service')} detail={t('delivery.service_detail')} chosen={way === 'service'} onPress={setMode('service')} />
            {push && <ChoiceRow title={t('delivery.push')} detail={t('delivery.push_detail')} chosen={way === 'unified_push'} onPress={setMode('unified_push')} />}
            <ChoiceRow title={t('delivery.open')} detail={t('delivery.open_detail')} chosen={way === 'open_only'} onPress={setMode('open_only')} last />
          </Group>
          {exempt === false && (
            <View style={{ paddingHorizontal: space.l }}>
              <Notice look="caution" icon="alert" text={t('delivery.battery')}>
                <Button look="plain" label={t('delivery.battery_allow')} onPress={() => void device.delivery.askBatteryExemption().then(() => setTurn(turn + 1), () => undefined)} />
              </Notice>
            </View>
          )}
        </>
      )}
    </Screen>
  );
}
