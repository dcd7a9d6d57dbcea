/** Everything that can be touched: at least 48 dp, with a role and a label for TalkBack, and told what state it is in. */
import { useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import { Pressable } from 'react-native';
import type { AccessibilityActionEvent, AccessibilityActionInfo, AccessibilityRole, AccessibilityState, GestureResponderEvent, StyleProp, ViewStyle } from 'react-native';

import { useColours } from '../theme/theme';
import { radius, touch } from '../theme/tokens';
import { Icon } from './icon';
import type { IconName } from './icon';

export interface TouchProps {
  readonly label: string;
  readonly role?: AccessibilityRole;
  readonly hint?: string;
  readonly state?: AccessibilityState;
  readonly onPress?: ((event: GestureResponderEvent) => void) | undefined;
  readonly onLongPress?: ((event: GestureResponderEvent) => void) | undefined;
  readonly disabled?: boolean;
  /** What lies under a finger; null for nothing. */
  readonly pressedColour?: string | null;
  readonly style?: StyleProp<ViewStyle>;
  readonly actions?: readonly AccessibilityActionInfo[];
  readonly onAction?: (event: AccessibilityActionEvent) => void;
  readonly testID?: string;
  readonly children?: ReactNode;
}

export function Touch({ label, role = 'button', hint, state, onPress, onLongPress, disabled = false, pressedColour, style, actions, onAction, testID, children }: TouchProps): ReactElement {
  const colours = useColours();
  const [focused, setFocused] = useState(false);
  const under = pressedColour === undefined ? colours.pressed : pressedColour;
  return (
    <Pressable
      accessible
      accessibilityRole={role}
      accessibilityLabel={label}
      accessibilityHint={hint}
      accessibilityState={{ ...state, disabled }}
      accessibilityActions={actions}
      onAccessibilityAction={onAction}
      onPress={onPress}
      onLongPress={onLongPress}
      onFocus={() => setFocused(true)}
      onBlur={() => setFocused(false)}
      disabled={disabled}
      testID={testID}
      style={({ pressed }) => [
        { minHeight: touch, minWidth: touch },
        style,
        pressed && under !== null && { backgroundColor: under },
        // A keyboard or switch must see where it is.
        focused && { outlineColor: colours.accent, outlineWidth: 2, outlineStyle: 'solid' },
      ]}
    >
      {children}
    </Pressable>
  );
}

interface IconButtonProps extends Omit<TouchProps, 'children'> {
  readonly icon: IconName;
  readonly colour?: string;
  readonly size?: number;
}

export function IconButton({ icon, colour, size, style, disabled, ...rest }: IconButtonProps): ReactElement {
  const colours = useColours();
  return (
    <Touch {...rest} disabled={disabled ?? false} style={[{ width: touch, height: touch, alignItems: 'center', justifyContent: 'center', borderRadius: radius.full, opacity: disabled === true ? 0.4 : 1 }, style]}>
      <Icon name={icon} colour={colour ?? colours.ink} size={size ?? 24} />
    </Touch>
  );
}
