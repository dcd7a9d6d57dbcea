import { useRouter } from 'expo-router';
import type { ReactElement } from 'react';
import { View } from 'react-native';

import type { ConversationView } from '../../core/messenger.ts';
import { duration } from '../i18n/times';
import { useT } from '../i18n/words';
import { Avatar } from '../parts/avatar';
import { Icon } from '../parts/icon';
import { Heading, Txt } from '../parts/text';
import { IconButton, Touch } from '../parts/touch';
import { useColours } from '../theme/theme';
import { radius, space } from '../theme/tokens';

/** Who it is, whether they are who they seem, and what can be begun. */
export function ChatHeader({ conversation, onTimer, onCall }: { readonly conversation: ConversationView; readonly onTimer: () => void; readonly onCall: () => void }): ReactElement {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  const { peer, name, verified, identity, timerS, request, blocked } = conversation;
  const under = conversation.typing ? t('chat.typing') : identity !== 'same' ? t('chats.key_changed') : verified ? t('contact.verified') : request ? t('chat.request') : t('contact.not_verified');
  return (
    <View style={{ flexDirection: 'row', alignItems: 'center', paddingHorizontal: space.xs, minHeight: 60, borderBottomWidth: 1, borderBottomColor: colours.line }}>
      <IconButton icon="back" label={t('action.back')} onPress={() => (router.canGoBack() ? router.back() : router.replace('/chats'))} />
      <Touch
        label={[name, under, timerS > 0 ? t('chat.timer_on', { time: duration(t, timerS) }) : null].filter((part) => part !== null).join(', ')}
        hint={t('chat.open_contact')}
        onPress={() => router.push(`/contact/${peer}`)}
        testID="chat-header"
        style={{ flex: 1, flexDirection: 'row', alignItems: 'center', gap: space.m, paddingVertical: space.xs, paddingHorizontal: space.xs, borderRadius: radius.m }}
      >
        <Avatar peer={peer} name={name} size={40} />
        <View style={{ flex: 1 }}>
          <Heading kind="strong" numberOfLines={1} largest={1.5} accessibilityRole="text">
            {name}
          </Heading>
          <View style={{ flexDirection: 'row', alignItems: 'center', gap: space.xs }}>
            {verified && identity === 'same' && !conversation.typing && <Icon name="verified" size={14} colour={colours.good} />}
            <Txt kind="caption" tone={conversation.typing ? 'accent' : identity !== 'same' ? 'caution' : verified ? 'good' : 'inkSoft'} numberOfLines={1} largest={1.5} style={{ flexShrink: 1 }}>
              {under}
            </Txt>
          </View>
        </View>
      </Touch>
      {!request && !blocked && (
        <>
          <IconButton icon="timer" colour={timerS > 0 ? colours.accent : colours.inkSoft} label={t('chat.timer_label', { time: duration(t, timerS) })} onPress={onTimer} testID="timer" />
          <IconButton icon="phone" label={t('chat.call', { name })} onPress={onCall} testID="call" />
        </>
      )}
    </View>
  );
}
