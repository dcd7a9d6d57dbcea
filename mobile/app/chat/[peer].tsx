import { useLocalSearchParams, useRouter } from 'expo-router';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { ReactElement } from 'react';
import { AppState, View } from 'react-native';

import type { MessageView } from '../../src/core/messenger.ts';
import { ChatBanner } from '../../src/ui/chat/banner';
import { ChatHeader } from '../../src/ui/chat/header';
import { Composer } from '../../src/ui/chat/composer';
import type { Composing } from '../../src/ui/chat/composer';
import { MessageActions } from '../../src/ui/chat/message_actions';
import { MessageList } from '../../src/ui/chat/message_list';
import type { ListHandle } from '../../src/ui/chat/message_list';
import { TimerSheet } from '../../src/ui/chat/timer_sheet';
import { useT } from '../../src/ui/i18n/words';
import { OfflineLine } from '../../src/ui/parts/offline';
import { Screen } from '../../src/ui/parts/screen';
import { Failed, Loading } from '../../src/ui/parts/states';
import { Txt } from '../../src/ui/parts/text';
import { useConversation, useMessenger } from '../../src/ui/state/hooks';
import { useDevice } from '../../src/ui/state/preferences';
import { useMessages } from '../../src/ui/state/use_messages';
import { useColours } from '../../src/ui/theme/theme';
import { space } from '../../src/ui/theme/tokens';

const NEW: Composing = { kind: 'new' };

export default function Chat(): ReactElement {
  const { peer, row } = useLocalSearchParams<{ peer: string; row?: string }>();
  const { data: conversation, error, retry } = useConversation(peer);
  if (conversation === undefined) {
    return (
      <Screen title="" fixed>
        {error === null ? <Loading /> : <Failed code={error} onRetry={retry} />}
      </Screen>
    );
  }
  return <OpenChat key={peer} peer={peer} row={row === undefined ? null : Number(row)} />;
}

function OpenChat({ peer, row }: { readonly peer: string; readonly row: number | null }): ReactElement | null {
  const t = useT();
  const router = useRouter();
  const colours = useColours();
  const device = useDevice();
  const messenger = useMessenger();
  const { data: conversation } = useConversation(peer);
  const view = useMessages(peer);
  const { window, messages, atNewest } = view;
  const [composing, setComposing] = useState<Composing>(NEW);
  const [held, setHeld] = useState<MessageView | null>(null);
  const [timing, setTiming] = useState(false);
  const list = useRef<ListHandle>(null);

  useEffect(() => {
    if (row !== null) void window.toRow(row);
  }, [window, row]);

  // What is in front of somebody has been seen; what lies behind a lock or another app has not.
  const newest = atNewest ? messages[0]?.row : undefined;
  const request = conversation?.request ?? true;
  const markSeen = useCallback(() => {
    if (newest === undefined || request || AppState.currentState !== 'active') return;
    void messenger.markRead(peer, newest).catch(() => undefined);
    void device.notifications.clear(peer).catch(() => undefined);
  }, [device, messenger, newest, peer, request]);
  useEffect(() => {
    markSeen();
    const subscription = AppState.addEventListener('change', (state) => state === 'active' && markSeen());
    return () => subscription.remove();
  }, [markSeen]);

  const onQuote = useCallback(
    (id: string) => {
      const quoted = messages.find((message) => message.id === id);
      if (quoted) list.current?.show(quoted.row);
    },
    [messages],
  );
  const onHold = useCallback((message: MessageView) => setHeld(message), []);
  const toNewest = useCallback(() => {
    void window.toNewest().then(() => list.current?.toNewest());
  }, [window]);
  const onSent = useCallback(() => {
    setComposing(NEW);
    if (atNewest) list.current?.toNewest();
    else toNewest();
  }, [atNewest, toNewest]);
  const empty = useMemo(
    () => (
      <View style={{ flex: 1, alignItems: 'center', justifyContent: 'center', padding: space.xxl }}>
        <Txt tone="inkSoft" centred>
          {t('chat.empty', { name: conversation?.name ?? '' })}
        </Txt>
      </View>
    ),
    [t, conversation?.name],
  );
  if (!conversation) return null;
  const silent = conversation.request || conversation.blocked || conversation.identity === 'unconfirmed';
  return (
    <Screen bar={false} fixed>
      <View style={{ flex: 1, backgroundColor: colours.canvas }}>
        <ChatHeader conversation={conversation} onTimer={() => setTiming(true)} onCall={() => void messenger.startCall(peer).then(() => router.push('/call'), () => router.push('/call'))} />
        <OfflineLine />
        <View style={{ flex: 1 }}>
          {view.error !== null && messages.length === 0 ? (
            <Failed code={view.error} onRetry={() => void window.refresh()} />
          ) : view.loading ? (
            <Loading />
          ) : messages.length === 0 ? (
            empty
          ) : (
            <MessageList ref={list} view={view} name={conversation.name} typing={conversation.typing} onHold={onHold} onQuote={onQuote} onOlder={() => void window.loadOlder()} onNewer={() => void window.loadNewer()} onNewest={toNewest} />
          )}
        </View>
        <ChatBanner conversation={conversation} />
        {!silent && <Composer key={composing.kind === 'edit' ? composing.message.id : 'new'} conversation={conversation} composing={composing} onCancel={() => setComposing(NEW)} onSent={onSent} />}
      </View>
      <MessageActions peer={peer} message={held} onClose={() => setHeld(null)} onReply={(message) => setComposing({ kind: 'reply', message })} onEdit={(message) => setComposing({ kind: 'edit', message })} />
      <TimerSheet peer={peer} seconds={conversation.timerS} open={timing} onClose={() => setTiming(false)} />
    </Screen>
  );
}
