/** One conversation in the list: who, what last, when, how many unread; swiped for its actions, held for all of them. */
import { useRouter } from 'expo-router';
import { memo, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { View } from 'react-native';
import ReanimatedSwipeable from 'react-native-gesture-handler/ReanimatedSwipeable';
import type { SwipeableMethods } from 'react-native-gesture-handler/ReanimatedSwipeable';

import type { ConversationView } from '../../core/messenger.ts';
import { listTime } from '../i18n/times';
import { formatNumber, useWords } from '../i18n/words';
import { Avatar } from '../parts/avatar';
import { Icon } from '../parts/icon';
import type { IconName } from '../parts/icon';
import { Txt } from '../parts/text';
import { Touch } from '../parts/touch';
import { useMessenger } from '../state/hooks';
import { useNow } from '../state/now';
import { useLook } from '../theme/theme';
import { radius, space } from '../theme/tokens';
import { ConversationActions } from './conversation_actions';
import { previewWords } from './preview';
import { STATUS_WORDS, StatusMark } from './status';

function SwipeAction({ icon, label, ground, ink, onPress }: { readonly icon: IconName; readonly label: string; readonly ground: string; readonly ink: string; readonly onPress: () => void }): ReactElement {
  return (
    <Touch label={label} onPress={onPress} pressedColour={null} style={{ width: 88, backgroundColor: ground, alignItems: 'center', justifyContent: 'center', gap: space.xs, padding: space.xs }}>
      <Icon name={icon} size={22} colour={ink} />
      <Txt kind="caption" colour={ink} numberOfLines={2} centred>
        {label}
      </Txt>
    </Touch>
  );
}

export const ConversationLine = memo(function ConversationLine({ conversation }: { readonly conversation: ConversationView }): ReactElement {
  const { t, language, locale } = useWords();
  const { colours, textScale } = useLook();
  const router = useRouter();
  const messenger = useMessenger();
  const now = useNow();
  const swipe = useRef<SwipeableMethods>(null);
  const [held, setHeld] = useState(false);
  const { peer, name, preview, unread, archived, draft, typing, identity } = conversation;
  const muted = conversation.mutedUntil !== null && conversation.mutedUntil > now;
  const time = conversation.at === null ? '' : listTime(locale, t, conversation.at, now);
  const line = typing ? t('chat.typing') : draft !== '' ? t('chats.draft', { text: draft }) : preview ? previewWords(t, preview) : '';
  const statusKey = preview?.mine === true ? STATUS_WORDS[preview.state] : null;
  const spoken = [
    name,
    conversation.verified ? t('contact.verified') : null,
    unread > 0 ? t('chats.unread', { count: unread }) : null,
    line,
    statusKey ? t(statusKey) : null,
    time,
    muted ? t('chats.muted') : null,
    identity !== 'same' ? t('chats.key_changed') : null,
  ].filter((part) => part !== null && part !== '');

  const act = (work: Promise<void>): void => {
    swipe.current?.close();
    void work.catch(() => undefined);
  };
  const toggleArchive = (): void => act(messenger.setArchived(peer, !archived));
  const markRead = (): void =>
    act(
      messenger.messages(peer, { before: null, limit: 1 }).then(({ messages }) => {
        const newest = messages.at(-1);
        return newest ? messenger.markRead(peer, newest.row) : undefined;
      }),
    );

  return (
    <ReanimatedSwipeable
      ref={swipe}
      friction={1.6}
      overshootLeft={false}
      overshootRight={false}
      renderRightActions={() => <SwipeAction icon="archive" label={t(archived ? 'chats.unarchive' : 'chats.archive')} ground={colours.mine} ink={colours.onMine} onPress={toggleArchive} />}
      {...(unread > 0 ? { renderLeftActions: () => <SwipeAction icon="checks" label={t('chats.mark_read')} ground={colours.goodSoft} ink={colours.onGoodSoft} onPress={markRead} /> } : {})}
    >
      <Touch
        label={spoken.join(', ')}
        hint={t('chats.line_hint')}
        onPress={() => router.push(`/chat/${peer}`)}
        onLongPress={() => setHeld(true)}
        testID={`conversation-${name}`}
        actions={[{ name: 'archive', label: t(archived ? 'chats.unarchive' : 'chats.archive') }, { name: 'more', label: t('action.more') }]}
        onAction={({ nativeEvent }) => (nativeEvent.actionName === 'archive' ? toggleArchive() : setHeld(true))}
        style={{ flexDirection: 'row', alignItems: 'center', gap: space.m, paddingHorizontal: space.l, paddingVertical: space.m, backgroundColor: colours.canvas }}
      >
        <Avatar peer={peer} name={name} size={52} />
        <View style={{ flex: 1, gap: space.hair }}>
          <View style={{ flexDirection: textScale > 1.5 ? 'column' : 'row', alignItems: textScale > 1.5 ? 'flex-start' : 'center', gap: textScale > 1.5 ? 0 : space.s }}>
            <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs, flexShrink: 1, flexGrow: 1 }}>
              <Txt kind="strong" numberOfLines={1} style={{ flexShrink: 1 }}>
                {name}
              </Txt>
              {conversation.verified && identity === 'same' && <Icon name="verified" size={16} colour={colours.good} />}
              {identity !== 'same' && <Icon name="shieldAlert" size={16} colour={colours.caution} />}
              {muted && <Icon name="bellOff" size={15} colour={colours.inkSoft} />}
            </View>
            <Txt kind="caption" tone={unread > 0 ? 'accent' : 'inkSoft'} weight={unread > 0 ? '600' : '400'}>
              {time}
            </Txt>
          </View>
          <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs }}>
            {preview?.mine === true && !typing && draft === '' && <StatusMark status={preview.state} colour={preview.state === 'failed' ? colours.danger : colours.inkSoft} readColour={colours.accent} />}
            <Txt kind="small" tone={typing ? 'accent' : draft !== '' ? 'caution' : unread > 0 ? 'ink' : 'inkSoft'} numberOfLines={textScale > 1.3 ? 2 : 1} style={{ flex: 1 }}>
              {line}
            </Txt>
            {unread > 0 && (
              <View style={{ minWidth: 22, minHeight: 22, borderRadius: radius.full, paddingHorizontal: 6, backgroundColor: muted ? colours.sunken : colours.accent, alignItems: 'center', justifyContent: 'center' }}>
                <Txt kind="badge" tone={muted ? 'inkSoft' : 'onAccent'}>
                  {unread > 99 ? t('chats.many_unread') : formatNumber(language, unread)}
                </Txt>
              </View>
            )}
          </View>
        </View>
        <ConversationActions conversation={conversation} open={held} onClose={() => setHeld(false)} />
      </Touch>
    </ReanimatedSwipeable>
  );
});
