/** The messages, newest at the bottom: an inverted list over a window that never grows past a few hundred rows. */
import { forwardRef, useCallback, useImperativeHandle, useMemo, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { FlatList, View } from 'react-native';
import type { NativeScrollEvent, NativeSyntheticEvent } from 'react-native';

import type { MessageView } from '../../core/messenger.ts';
import { dayTitle, sameDay } from '../i18n/times';
import { useWords } from '../i18n/words';
import { Icon } from '../parts/icon';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import type { WindowView } from '../state/message_window';
import { useNow } from '../state/now';
import { useLook } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import { Bubble } from './bubble';
import { EventLine } from './event_line';

export interface Line {
  readonly message: MessageView;
  /** A day begins with this message. */
  readonly day: boolean;
  /** First and last of what one person wrote in a row. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Minutes apart, two messages of one person still belong together. */
const TOGETHER_S = 300;

const isBubble = ({ kind }: MessageView): boolean => kind === 'text' || kind === 'deleted';

function together(older: MessageView | undefined, newer: MessageView): boolean {
  return older !== undefined && isBubble(older) && isBubble(newer) && older.mine === newer.mine && newer.at - older.at < TOGETHER_S && sameDay(older.at, newer.at);
}

/** `messages` newest first, and so are the lines. */
export function linesOf(messages: readonly MessageView[]): readonly Line[] {
  return messages.map((message, at) => {
    const older = messages[at + 1];
    const newer = messages[at - 1];
    return { message, day: older === undefined || !sameDay(older.at, message.at), first: !together(older, message), last: newer === undefined || !together(message, newer) };
  });
}

export interface ListHandle {
  toNewest(): void;
  show(row: number): void;
}

interface Props {
  readonly view: WindowView;
  readonly name: string;
  readonly typing: boolean;
  readonly onHold: (message: MessageView) => void;
  readonly onQuote: (id: string) => void;
  readonly onOlder: () => void;
  readonly onNewer: () => void;
  readonly onNewest: () => void;
}

export const MessageList = forwardRef<ListHandle, Props>(function MessageList({ view, name, typing, onHold, onQuote, onOlder, onNewer, onNewest }, ref): ReactElement {
  const { t, locale } = useWords();
  const { colours, still } = useLook();
  const now = useNow();
  const list = useRef<FlatList<Line>>(null);
  const [away, setAway] = useState(false);
  const lines = useMemo(() => linesOf(view.messages), [view.messages]);

  useImperativeHandle(
    ref,
    () => ({
      toNewest: () => list.current?.scrollToOffset({ offset: 0, animated: !still }),
      show: (row) => {
        const index = lines.findIndex(({ message }) => message.row === row);
        if (index >= 0) list.current?.scrollToIndex({ index, animated: !still, viewPosition: 0.5 });
      },
    }),
    [lines, still],
  );

  const renderItem = useCallback(
    ({ item }: { readonly item: Line }) => (
      <View>
        {item.day && (
          <View style={{ alignItems: 'center', paddingTop: space.l, paddingBottom: space.s }}>
            <Txt kind="caption" tone="inkSoft" weight="500" accessibilityRole="header">
              {dayTitle(locale, t, item.message.at, now)}
            </Txt>
          </View>
        )}
        {isBubble(item.message) ? <Bubble line={item} name={name} onHold={onHold} onQuote={onQuote} /> : <EventLine message={item.message} name={name} />}
      </View>
    ),
    [locale, name, now, onHold, onQuote, t],
  );
  const onScroll = (event: NativeSyntheticEvent<NativeScrollEvent>): void => {
    const far = event.nativeEvent.contentOffset.y > 320;
    if (far !== away) setAway(far);
  };
  return (
    <View style={{ flex: 1 }}>
      <FlatList
        ref={list}
        inverted
        data={lines}
        keyExtractor={({ message }) => `${message.row}`}
        renderItem={renderItem}
        initialNumToRender={16}
        maxToRenderPerBatch={12}
        windowSize={9}
        onEndReached={view.older ? onOlder : undefined}
        onEndReachedThreshold={1.5}
        onStartReached={view.atNewest ? undefined : onNewer}
        onStartReachedThreshold={1}
        maintainVisibleContentPosition={{ minIndexForVisible: 0, autoscrollToTopThreshold: view.atNewest ? 80 : null }}
        onScroll={onScroll}
        scrollEventThrottle={64}
        onScrollToIndexFailed={({ index, averageItemLength }) => list.current?.scrollToOffset({ offset: index * averageItemLength, animated: false })}
        keyboardShouldPersistTaps="handled"
        keyboardDismissMode="interactive"
        contentContainerStyle={{ paddingHorizontal: space.m, paddingVertical: space.s }}
        ListHeaderComponent={typing ? <Typing name={name} /> : null}
        testID="messages"
      />
      {(away || !view.atNewest) && (
        <Touch
          label={t('chat.to_newest')}
          onPress={onNewest}
          testID="to-newest"
          style={{ position: 'absolute', end: space.l, bottom: space.l, width: 48, height: 48, borderRadius: radius.full, backgroundColor: colours.surface, borderWidth: 1, borderColor: colours.line, alignItems: 'center', justifyContent: 'center', boxShadow: '0 2px 8px rgba(30, 12, 40, 0.18)' }}
        >
          <Icon name="down" size={22} colour={colours.ink} />
        </Touch>
      )}
    </View>
  );
});

function Typing({ name }: { readonly name: string }): ReactElement {
  const { t } = useWords();
  const { colours } = useLook();
  return (
    <View style={{ flexDirection: 'row', alignSelf: 'flex-start', gap: 5, backgroundColor: colours.theirs, borderRadius: radius.l, paddingHorizontal: space.l, paddingVertical: 14, marginTop: space.s }} accessible accessibilityLiveRegion="polite" accessibilityLabel={t('chat.typing_spoken', { name })}>
      {[0.9, 0.65, 0.4].map((opacity) => (
        <View key={opacity} style={{ width: 7, height: 7, borderRadius: 4, backgroundColor: colours.onTheirsSoft, opacity }} />
      ))}
    </View>
  );
}
