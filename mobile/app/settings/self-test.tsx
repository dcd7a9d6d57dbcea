import { useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { SelfTestResult } from '../../src/ui/device/device';
import { useT } from '../../src/ui/i18n/words';
import { Button } from '../../src/ui/parts/button';
import { Icon } from '../../src/ui/parts/icon';
import { Group } from '../../src/ui/parts/rows';
import { Screen } from '../../src/ui/parts/screen';
import { Notice, Trouble } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useAction } from '../../src/ui/state/hooks';
import { useDevice } from '../../src/ui/state/preferences';
import { useColours } from '../../src/ui/theme/theme';
import { space } from '../../src/ui/theme/tokens';

/** The cryptography of this very phone, held against recorded answers. */
export default function SelfTest(): ReactElement {
  const t = useT();
  const device = useDevice();
  const colours = useColours();
  const [results, setResults] = useState<readonly SelfTestResult[] | null>(null);
  const run = useAction(async () => setResults(await device.selfTest()));
  const failed = results?.filter(({ passed }) => !passed).length ?? 0;
  return (
    <Screen title={t('selftest.title')} padded={false} footer={<Button label={t('selftest.run')} busy={run.running} onPress={() => void run.run()} testID="run" />}>
      <Txt tone="inkSoft" style={{ paddingHorizontal: space.xl, paddingBottom: space.l }}>
        {t('selftest.detail')}
      </Txt>
      <View style={{ paddingHorizontal: space.l, paddingBottom: space.l }}>
        <Trouble code={run.error} />
        {results && (failed === 0 ? <Notice look="good" icon="check" text={t('selftest.passed', { count: results.length })} /> : <Notice look="danger" icon="alert" text={t('selftest.failed', { count: failed })} />)}
      </View>
      {results && (
        <Group>
          {results.map(({ name, passed, milliseconds }, at) => (
            <View key={name} accessible accessibilityLabel={`${name}, ${t(passed ? 'selftest.ok' : 'selftest.bad')}`} style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, padding: space.l, minHeight: 52, borderBottomWidth: at === results.length - 1 ? 0 : 1, borderBottomColor: colours.line }}>
              <Icon name={passed ? 'check' : 'close'} size={20} colour={passed ? colours.good : colours.danger} />
              <Txt kind="small" style={{ flex: 1 }}>
                {name}
              </Txt>
              <Txt kind="caption" tone="inkSoft">
                {t('selftest.time', { time: milliseconds })}
              </Txt>
            </View>
          ))}
        </Group>
      )}
    </Screen>
  );
}
