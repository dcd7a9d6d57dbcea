/** Turns changes into what comes unasked: notifications, a ringing call, and where touching them leads. */
import { usePathname, useRouter } from 'expo-router';
import { useCallback, useEffect, useRef } from 'react';
import { AppState } from 'react-native';

import type { ConversationView } from '../../core/messenger.ts';
import { useT } from '../i18n/words';
import type { Translate } from '../i18n/words';
import type { MessageNotification, NotificationDetail } from '../device/device';
import { useCall, useChanges, useMessenger } from '../state/hooks';
import { useDevice, usePreferences } from '../state/preferences';

/** What a notification says: no more than the person chose. Null for none. */
export function notificationOf(t: Translate, conversation: ConversationView, detail: NotificationDetail, now: number): MessageNotification | null {
  if (conversation.blocked || (conversation.mutedUntil !== null && conversation.mutedUntil > now)) return null;
  const { peer, unread } = conversation;
  // A stranger's words and name are theirs to choose: nothing of them is shown before the request is accepted.
  if (detail === 'nothing' || conversation.request) return { peer, title: t('app.name'), body: conversation.request ? t('notify.request') : t('notify.new'), unread };
  const text = conversation.preview?.kind === 'text' && !conversation.preview.mine ? conversation.preview.text : null;
  return { peer, title: conversation.name, body: detail === 'text' && text !== null ? text : t('notify.unread', { count: Math.max(1, unread) }), unread };
}

export function Incoming(): null {
  const t = useT();
  const router = useRouter();
  const pathname = usePathname();
  const device = useDevice();
  const messenger = useMessenger();
  const { preferences } = usePreferences();
  const { data: call } = useCall();

  useChanges(
    useCallback(
      (change) => {
        if (change.topic !== 'message') return;
        if (AppState.currentState === 'active' && pathname === `/chat/${change.peer}`) return;
        void messenger
          .conversation(change.peer)
          .then((conversation) => {
            const notification = notificationOf(t, conversation, preferences.notificationDetail, Date.now() / 1000);
            return notification && device.notifications.showMessage(notification);
          })
          .catch(() => undefined);
      },
      [device, messenger, pathname, preferences.notificationDetail, t],
    ),
  );

  const ringing = call && !call.outgoing && call.state === 'ringing' ? call : null;
  const shown = useRef<string | null>(null);
  useEffect(() => {
    if (ringing) {
      shown.current = ringing.id;
      const anonymous = preferences.notificationDetail === 'nothing';
      void device.notifications
        .showIncomingCall({ call: ringing.id, title: anonymous ? t('app.name') : ringing.name, body: t('call.incoming'), answer: t('call.answer'), decline: t('call.decline') })
        .catch(() => undefined);
      router.navigate('/call');
    } else if (shown.current !== null) {
      void device.notifications.endIncomingCall(shown.current).catch(() => undefined);
      shown.current = null;
    }
    // The call's id stands for it: its other fields change while it rings.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [ringing?.id]);

  useEffect(
    () =>
      device.notifications.onOpened(({ kind, id }) => {
        if (kind === 'message') router.navigate(`/chat/${id}`);
        else {
          router.navigate('/call');
          if (kind === 'answer') void messenger.answerCall(id).catch(() => undefined);
          if (kind === 'decline') void messenger.endCall(id).catch(() => undefined);
        }
      }),
    [device, messenger, router],
  );
  return null;
}
