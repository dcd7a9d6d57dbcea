/** One message. Whose it is shows in side, colour and the label that is read out. */
import { memo } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { MessageView } from '../../core/messenger.ts';
import { clockTime } from '../i18n/times';
import { formatNumber, useWords } from '../i18n/words';
import { Icon } from '../parts/icon';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { errorText } from '../parts/errors';
import { useLook } from '../theme/theme';
import { measure, radius, space } from '../theme/tokens';
import type { Line } from './message_list';
import { STATUS_WORDS, StatusMark } from './status';

interface Props {
  readonly line: Line;
  readonly name: string;
  readonly onHold: (message: MessageView) => void;
  readonly onQuote: (id: string) => void;
}

/** Up to three pictures and nothing else are drawn large. */
const ONLY_EMOJI = /^(?:\p{Emoji_Presentation}\u200D?\uFE0F?){1,3}$/u;

export const Bubble = memo(function Bubble({ line, name, onHold, onQuote }: Props): ReactElement {
  const { t, language, locale } = useWords();
  const { colours } = useLook();
  const { message, first, last } = line;
  const { mine, quote, kind } = message;
  const text = kind === 'deleted' ? t(mine ? 'message.deleted_mine' : 'message.deleted') : (message.text ?? '');
  const ink = mine ? colours.onMine : colours.onTheirs;
  const soft = mine ? colours.onMineSoft : colours.onTheirsSoft;
  const time = clockTime(locale, message.at);
  const statusKey = mine && kind === 'text' ? STATUS_WORDS[message.status] : null;
  const status = statusKey ? t(statusKey) : null;
  const failed = message.status === 'failed';
  const large = kind === 'text' && !quote && ONLY_EMOJI.test(text);
  const counts = new Map<string, { count: number; own: boolean }>();
  for (const { emoji, mine: own } of message.reactions) {
    const before = counts.get(emoji) ?? { count: 0, own: false };
    counts.set(emoji, { count: before.count + 1, own: before.own || own });
  }
  const spoken = [
    mine ? t('message.you') : name,
    quote ? t('message.answers', { text: quote.text ?? '' }) : null,
    text,
    message.edited ? t('message.edited') : null,
    time,
    status,
    message.expiresAt !== null || message.timerS > 0 ? t('message.disappears') : null,
    counts.size > 0 ? t('message.reactions', { text: [...counts.keys()].join(' ') }) : null,
  ].filter((part) => part !== null);
  const joined = 6;
  const round = radius.l;
  return (
    <View style={{ alignItems: mine ? 'flex-end' : 'flex-start', marginTop: first ? space.s : 3, marginBottom: counts.size > 0 ? space.m : 0 }}>
      <View style={{ maxWidth: '84%', flexShrink: 1 }}>
        <Touch
          role="text"
          label={spoken.join(', ')}
          hint={t('message.hint')}
          onLongPress={() => onHold(message)}
          onPress={failed ? () => onHold(message) : undefined}
          actions={[{ name: 'more', label: t('action.more') }]}
          onAction={() => onHold(message)}
          pressedColour={mine ? colours.mineInset : colours.theirsInset}
          testID={`message-${message.row}`}
          style={{
            minHeight: 0,
            maxWidth: measure.bubble,
            backgroundColor: large ? 'transparent' : mine ? colours.mine : colours.theirs,
            paddingHorizontal: large ? space.xs : 14,
            paddingTop: quote ? space.s : 9,
            paddingBottom: 7,
            borderTopStartRadius: !mine && !first ? joined : round,
            borderBottomStartRadius: !mine && !last ? joined : round,
            borderTopEndRadius: mine && !first ? joined : round,
            borderBottomEndRadius: mine && !last ? joined : round,
          }}
        >
          {quote && (
            <Touch
              label={t('message.quote', { text: quote.text ?? t('message.quote_gone') })}
              onPress={() => onQuote(quote.id)}
              onLongPress={() => onHold(message)}
              style={{ backgroundColor: mine ? colours.mineInset : colours.theirsInset, borderRadius: radius.m - 2, borderStartWidth: 3, borderStartColor: soft, paddingHorizontal: space.m, paddingVertical: space.xs, marginBottom: space.xs, marginHorizontal: -6, justifyContent: 'center' }}
            >
              <Txt kind="caption" colour={soft} weight="600">
                {quote.mine ? t('message.you') : name}
              </Txt>
              <Txt kind="small" colour={ink} numberOfLines={2}>
                {quote.text ?? t('message.quote_gone')}
              </Txt>
            </Touch>
          )}
          <Txt colour={large ? colours.ink : kind === 'deleted' ? soft : ink} selectable={false} style={[kind === 'deleted' && { fontStyle: 'italic' }, large && { fontSize: 40, lineHeight: 50 }]}>
            {text}
          </Txt>
          <View style={{ flexDirection: 'row', alignItems: 'center', justifyContent: 'flex-end', gap: space.xs, marginTop: 1, flexWrap: 'wrap' }}>
            {(message.expiresAt !== null || message.timerS > 0) && <Icon name="timer" size={13} colour={large ? colours.inkSoft : soft} />}
            <Txt kind="caption" colour={large ? colours.inkSoft : soft}>
              {message.edited ? t('message.edited_at', { time }) : time}
            </Txt>
            {mine && kind === 'text' && !failed && <StatusMark status={message.status} colour={large ? colours.inkSoft : soft} readColour={large ? colours.accent : ink} />}
          </View>
        </Touch>
        {counts.size > 0 && (
          <View aria-hidden style={{ position: 'absolute', bottom: -16, flexDirection: 'row', gap: space.hair, ...(mine ? { start: space.s } : { end: space.s }) }}>
            {[...counts].map(([emoji, { count, own }]) => (
              <View key={emoji} style={{ flexDirection: 'row', alignItems: 'center', gap: 3, paddingHorizontal: 8, minHeight: 26, borderRadius: radius.full, backgroundColor: own ? colours.accentSoft : colours.surface, borderWidth: 1.5, borderColor: colours.canvas }}>
                <Txt kind="small">{emoji}</Txt>
                {count > 1 && (
                  <Txt kind="badge" tone={own ? 'onAccentSoft' : 'inkSoft'}>
                    {formatNumber(language, count)}
                  </Txt>
                )}
              </View>
            ))}
          </View>
        )}
      </View>
      {failed && (
        <View aria-hidden style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs, paddingTop: space.xs }}>
          <Icon name="alert" size={14} colour={colours.danger} />
          <Txt kind="caption" tone="danger" style={{ flexShrink: 1 }}>
            {t('status.failed_tap', { reason: message.reason === null ? t('status.failed') : errorText(t, message.reason) })}
          </Txt>
        </View>
      )}
    </View>
  );
});
