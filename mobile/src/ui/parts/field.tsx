/** A text field with its label above, help or the mistake below. */
import { useState } from 'react';
import type { ReactElement, ReactNode, Ref } from 'react';
import { TextInput, View } from 'react-native';
import type { TextInputProps } from 'react-native';

import { useColours } from '../theme/theme';
import { largestScale, radius, space, touch } from '../theme/tokens';
import type { TypeName } from '../theme/tokens';
import { Txt, useTypeStyle } from './text';

interface Props extends Omit<TextInputProps, 'style'> {
  readonly label: string;
  readonly help?: string | undefined;
  readonly mistake?: string | undefined;
  readonly before?: ReactNode;
  readonly after?: ReactNode;
  readonly kind?: TypeName;
  readonly inputRef?: Ref<TextInput>;
}

export function Field({ label, help, mistake, before, after, kind = 'body', inputRef, multiline, ...rest }: Props): ReactElement {
  const colours = useColours();
  const face = useTypeStyle(kind);
  const [focused, setFocused] = useState(false);
  const edge = mistake !== undefined ? colours.danger : focused ? colours.accent : 'transparent';
  return (
    <View style={{ gap: space.xs }}>
      <Txt kind="label" tone="inkSoft" aria-hidden importantForAccessibility="no">
        {label}
      </Txt>
      <View style={{ flexDirection: 'row', alignItems: multiline === true ? 'flex-start' : 'center', backgroundColor: colours.sunken, borderRadius: radius.m, borderWidth: 2, borderColor: edge, minHeight: touch + 4 }}>
        {before}
        <TextInput
          ref={inputRef}
          accessibilityLabel={label}
          accessibilityHint={mistake ?? help}
          maxFontSizeMultiplier={largestScale}
          placeholderTextColor={colours.inkSoft}
          selectionColor={colours.accent}
          cursorColor={colours.accent}
          multiline={multiline}
          autoCorrect={false}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          {...rest}
          style={[face, { flex: 1, minWidth: 0, color: colours.ink, paddingHorizontal: space.l, paddingVertical: space.m, outlineStyle: 'none' as never }, multiline === true && { minHeight: 96, textAlignVertical: 'top' }]}
        />
        {after}
      </View>
      {(mistake ?? help) !== undefined && (
        <Txt kind="small" tone={mistake !== undefined ? 'danger' : 'inkSoft'} accessibilityLiveRegion={mistake !== undefined ? 'polite' : 'none'}>
          {mistake ?? help}
        </Txt>
      )}
    </View>
  );
}
