/** How far a long task is. */
import type { ReactElement } from 'react';
import { ActivityIndicator, View } from 'react-native';

import { en } from '../i18n/en';
import { useT } from '../i18n/words';
import type { PlainKey, Translate } from '../i18n/words';
import { Icon } from '../parts/icon';
import { Txt } from '../parts/text';
import { useColours } from '../theme/theme';
import { radius, space } from '../theme/tokens';

function stepWords(t: Translate, step: string): string {
  const key = `step.${step}` as PlainKey;
  return key in en ? t(key) : t('step.working');
}

interface Props {
  readonly progress: { readonly step: string; readonly done: number; readonly total: number } | null;
  readonly running: boolean;
}

/** How far, as a bar; and the step in words, read out when it changes. */
export function Steps({ progress, running }: Props): ReactElement {
  const t = useT();
  const colours = useColours();
  const part = progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  const words = progress ? stepWords(t, progress.step) : t('step.working');
  return (
    <View style={{ gap: space.m }} accessible accessibilityRole="progressbar" accessibilityLabel={words} accessibilityValue={{ min: 0, max: 100, now: Math.round(part * 100) }} accessibilityLiveRegion="polite">
      <View style={{ height: 8, borderRadius: radius.full, backgroundColor: colours.sunken, overflow: 'hidden' }}>
        <View style={{ width: `${Math.max(4, part * 100)}%`, height: 8, borderRadius: radius.full, backgroundColor: colours.accent }} />
      </View>
      <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, minHeight: 28 }}>
        {running ? <ActivityIndicator size="small" color={colours.accent} /> : <Icon name={part >= 1 ? 'check' : 'clock'} size={20} colour={colours.inkSoft} />}
        <Txt style={{ flex: 1 }}>{words}</Txt>
      </View>
    </View>
  );
}
