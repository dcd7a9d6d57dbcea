import type { ReactElement } from 'react';
import { ActivityIndicator, View } from 'react-native';

import { Icon } from '../parts/icon';
import type { IconName } from '../parts/icon';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { night, radius, space } from '../theme/tokens';

const LOOKS = {
  plain: { ground: night.raised, ink: night.ink },
  active: { ground: night.active, ink: night.onActive },
  answer: { ground: night.answer, ink: night.onAnswer },
  end: { ground: night.end, ink: night.onEnd },
} as const;

interface Props {
  readonly icon: IconName;
  readonly label: string;
  readonly look: keyof typeof LOOKS;
  readonly onPress: () => void;
  readonly busy?: boolean;
  readonly disabled?: boolean;
  readonly testID?: string;
}

/** Large, and far from the next: it is touched in a hurry, by a thumb. */
export function CallButton({ icon, label, look, onPress, busy = false, disabled = false, testID }: Props): ReactElement {
  const { ground, ink } = LOOKS[look];
  return (
    <Touch label={label} onPress={onPress} disabled={disabled || busy} state={{ busy, selected: look === 'active' }} pressedColour={null} testID={testID} style={{ alignItems: 'center', gap: space.s, width: 96 }}>
      <View style={{ width: 68, height: 68, borderRadius: radius.full, backgroundColor: ground, alignItems: 'center', justifyContent: 'center', ...(look === 'end' && icon === 'phone' ? { transform: [{ rotate: '135deg' }] } : {}) }}>
        {busy ? <ActivityIndicator color={ink} /> : <Icon name={icon} size={28} colour={ink} />}
      </View>
      <Txt kind="caption" colour={night.ink} centred weight="500">
        {label}
      </Txt>
    </Touch>
  );
}
