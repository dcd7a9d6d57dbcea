/** The frame of a screen: bar at the top, content that scrolls and stays readable on wide screens, and buttons at the bottom. */
import { useRouter } from 'expo-router';
import type { ReactElement, ReactNode } from 'react';
import { KeyboardAvoidingView, ScrollView, View } from 'react-native';
import { useSafeAreaInsets } from 'react-native-safe-area-context';

import { useT } from '../i18n/words';
import { useColours, useLook } from '../theme/theme';
import { measure, space, touch } from '../theme/tokens';
import { OfflineLine } from './offline';
import { Heading } from './text';
import { IconButton } from './touch';

interface BarProps {
  readonly title?: string;
  /** Instead of a title: the person of a conversation, a search field. */
  readonly middle?: ReactNode;
  readonly right?: ReactNode;
  /** `close` for what lies above the rest, `none` at the root. */
  readonly leave?: 'back' | 'close' | 'none';
  readonly onLeave?: () => void;
}

export function TopBar({ title, middle, right, leave = 'back', onLeave }: BarProps): ReactElement {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  const { top } = useSafeAreaInsets();
  const go = onLeave ?? (() => (router.canGoBack() ? router.back() : router.replace('/')));
  return (
    <View style={{ paddingTop: top, backgroundColor: colours.canvas }}>
      <View style={{ minHeight: 56, flexDirection: 'row', alignItems: 'center', gap: space.xs, paddingStart: leave === 'none' ? space.l : space.xs, paddingEnd: space.xs }}>
        {leave !== 'none' && <IconButton icon={leave === 'close' ? 'close' : 'back'} label={t(leave === 'close' ? 'action.close' : 'action.back')} onPress={go} />}
        <View style={{ flex: 1, justifyContent: 'center', minHeight: touch }}>{middle ?? (title !== undefined && <Heading kind={leave === 'none' ? 'title' : 'heading'} numberOfLines={2}>{title}</Heading>)}</View>
        {right}
      </View>
    </View>
  );
}

interface ScreenProps extends BarProps {
  readonly children: ReactNode;
  /** Stays at the bottom, above the keyboard. */
  readonly footer?: ReactNode;
  /** The content brings its own list. */
  readonly fixed?: boolean;
  readonly bar?: boolean;
  readonly padded?: boolean;
  /** Shows a line while there is no connection. */
  readonly online?: boolean;
}

export function Screen({ children, footer, fixed = false, bar = true, padded = true, online = false, ...head }: ScreenProps): ReactElement {
  const { colours, textScale } = useLook();
  const { bottom, top } = useSafeAreaInsets();
  // Large buttons would leave no room for what they are about: they scroll with it then.
  const scrolls = footer !== undefined && !fixed && textScale > 1.5;
  const inner = { width: '100%', maxWidth: measure.page, alignSelf: 'center', paddingHorizontal: padded ? space.xl : 0 } as const;
  return (
    <KeyboardAvoidingView behavior="padding" style={{ flex: 1, backgroundColor: colours.canvas, paddingTop: bar ? 0 : top }}>
      {bar && <TopBar {...head} />}
      {online && <OfflineLine />}
      {fixed ? (
        <View style={{ flex: 1 }}>{children}</View>
      ) : (
        <ScrollView style={{ flex: 1 }} contentContainerStyle={{ flexGrow: 1, paddingTop: space.s, paddingBottom: footer === undefined || scrolls ? bottom + space.xl : space.l }} keyboardShouldPersistTaps="handled">
          <View style={[inner, { flexGrow: 1 }]}>{children}</View>
          {scrolls && <View style={[inner, { paddingHorizontal: space.xl, paddingTop: space.xl, gap: space.s }]}>{footer}</View>}
        </ScrollView>
      )}
      {footer !== undefined && !scrolls && <View style={[inner, { paddingHorizontal: space.xl, paddingTop: space.s, paddingBottom: bottom + space.l, gap: space.s }]}>{footer}</View>}
    </KeyboardAvoidingView>
  );
}
