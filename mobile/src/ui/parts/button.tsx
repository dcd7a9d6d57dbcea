import type { ReactElement } from 'react';
import { ActivityIndicator, View } from 'react-native';

import { useColours } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import type { Palette } from '../theme/tokens';
import { Icon } from './icon';
import type { IconName } from './icon';
import { Txt } from './text';
import { Touch } from './touch';

type Look = 'main' | 'quiet' | 'plain' | 'danger';

const LOOKS: Readonly<Record<Look, { readonly ground: keyof Palette | null; readonly text: keyof Palette }>> = {
  main: { ground: 'accent', text: 'onAccent' },
  quiet: { ground: 'accentSoft', text: 'onAccentSoft' },
  plain: { ground: null, text: 'accent' },
  danger: { ground: 'dangerSoft', text: 'onDangerSoft' },
};

interface Props {
  readonly label: string;
  readonly onPress: () => void;
  readonly look?: Look;
  readonly icon?: IconName;
  readonly busy?: boolean;
  readonly disabled?: boolean;
  readonly testID?: string;
}

/** A button with words. While busy it stays where it is and says so. */
export function Button({ label, onPress, look = 'main', icon, busy = false, disabled = false, testID }: Props): ReactElement {
  const colours = useColours();
  const { ground, text } = LOOKS[look];
  const off = disabled && !busy;
  return (
    <Touch
      label={label}
      onPress={onPress}
      disabled={disabled || busy}
      state={{ busy }}
      pressedColour={look === 'plain' ? colours.pressed : null}
      testID={testID}
      style={{
        flexDirection: 'row',
        alignItems: 'center',
        justifyContent: 'center',
        gap: space.s,
        paddingHorizontal: space.xl,
        paddingVertical: space.m,
        borderRadius: radius.m,
        backgroundColor: off && ground ? colours.sunken : ground ? colours[ground] : 'transparent',
      }}
    >
      {busy ? <ActivityIndicator size="small" color={colours[text]} /> : icon && <Icon name={icon} size={20} colour={off ? colours.inkSoft : colours[text]} />}
      <View style={{ flexShrink: 1 }}>
        <Txt kind="strong" tone={off ? 'inkSoft' : text} centred>
          {label}
        </Txt>
      </View>
    </Touch>
  );
}
