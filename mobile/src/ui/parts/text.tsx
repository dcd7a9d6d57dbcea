/** Text in one of the app's styles. It grows with the phone's setting, up to twice its size. */
import type { ReactElement, ReactNode } from 'react';
import { Platform, Text } from 'react-native';
import type { StyleProp, TextProps, TextStyle } from 'react-native';

import { useWords } from '../i18n/words';
import { ownTextScale } from '../theme/text_scale';
import { useLook } from '../theme/theme';
import { families, largestScale, type as styles } from '../theme/tokens';
import type { Palette, TypeName, Weight } from '../theme/tokens';

export type Tone = keyof Palette;

interface Props extends Omit<TextProps, 'style'> {
  readonly kind?: TypeName;
  readonly tone?: Tone;
  /** A colour outside the palette: the call screen's, an avatar's. */
  readonly colour?: string;
  readonly weight?: Weight;
  readonly centred?: boolean;
  /** Where there is no more room: not larger than this, and the whole text in a label. */
  readonly largest?: number;
  readonly style?: StyleProp<TextStyle>;
  readonly children: ReactNode;
}

/** Size, line and face of a style, also for text fields. */
export function useTypeStyle(kind: TypeName, weight?: Weight, largest: number = largestScale): TextStyle {
  const { textScale } = useLook();
  const { language } = useWords();
  const { size, line, weight: usual, tracking } = styles[kind];
  const own = Math.min(ownTextScale(textScale), largest);
  const chosen = weight ?? usual;
  const first = language === 'ar' ? families.arabic[chosen] : families.latin[chosen];
  const second = language === 'ar' ? families.latin[chosen] : families.arabic[chosen];
  return {
    // A browser takes a list; Android falls back to its own faces for what a file lacks.
    fontFamily: Platform.OS === 'web' ? `${first}, ${second}, "Noto Color Emoji"` : first,
    fontSize: size * own,
    // Arabic letters join, and reach further above and below the line.
    lineHeight: (language === 'ar' ? line + 3 : line) * own,
    letterSpacing: language === 'ar' ? 0 : tracking,
    ...(kind === 'digits' ? { fontVariant: ['tabular-nums' as const] } : {}),
  };
}

export function Txt({ kind = 'body', tone = 'ink', colour, weight, centred, largest = largestScale, style, children, ...rest }: Props): ReactElement {
  const { colours } = useLook();
  const face = useTypeStyle(kind, weight, largest);
  return (
    <Text maxFontSizeMultiplier={largest} {...rest} style={[face, { color: colour ?? colours[tone] }, centred === true && { textAlign: 'center' }, style]}>
      {children}
    </Text>
  );
}

/** A heading for screen readers: people jump from one to the next. */
export function Heading({ kind = 'heading', ...rest }: Props): ReactElement {
  return <Txt kind={kind} accessibilityRole="header" {...rest} />;
}
