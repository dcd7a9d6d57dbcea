/**
 * What comes unasked, made into notifications: once a process, beside all screens. So it works behind the lock, and when Android
 * has started JavaScript for the mailbox alone and no screen exists.
 */
import { AppState } from 'react-native';

import type { ConversationView, Messenger } from '../../core/messenger.ts';
import type { Device, MessageNotification, NotificationDetail } from '../device/device';
import type { Translate } from '../i18n/words';
import { parsePreferences } from '../state/preference_file';

/** The conversation in front of somebody: it needs no notification. There is one screen a process. */
export const attention: { peer: string | null } = { peer: null };

/** What a notification says: no more than the person chose. Null for none. */
export function notificationOf(t: Translate, conversation: ConversationView, detail: NotificationDetail, now: number): MessageNotification | null {
  if (conversation.blocked || (conversation.mutedUntil !== null && conversation.mutedUntil > now)) return null;
  const { peer, unread } = conversation;
  // A stranger's words and name are theirs to choose: nothing of them is shown before the request is accepted.
  if (detail === 'nothing' || conversation.request) return { peer, title: t('app.name'), body: conversation.request ? t('notify.request') : t('notify.new'), unread };
  const text = conversation.preview?.kind === 'text' && !conversation.preview.mine ? conversation.preview.text : null;
  return { peer, title: conversation.name, body: detail === 'text' && text !== null ? text : t('notify.unread', { count: Math.max(1, unread) }), unread };
}

/** The returned function ends it. */
export function announce(messenger: Messenger, { notifications, preferences }: Pick<Device, 'notifications' | 'preferences'>, t: Translate): () => void {
  const detail = async (): Promise<NotificationDetail> => parsePreferences(await preferences.read().catch(() => null)).notificationDetail;
  let ringing: string | null = null;

  const message = async (peer: string): Promise<void> => {
    if (AppState.currentState === 'active' && attention.peer === peer) return;
    const notification = notificationOf(t, await messenger.conversation(peer), await detail(), Date.now() / 1000);
    if (notification) await notifications.showMessage(notification);
  };
  const call = async (): Promise<void> => {
    const now = await messenger.call();
    const rings = now && !now.outgoing && now.state === 'ringing' ? now : null;
    if (rings && ringing !== rings.id) {
      ringing = rings.id;
      const title = (await detail()) === 'nothing' ? t('app.name') : rings.name;
      await notifications.showIncomingCall({ call: rings.id, title, body: t('call.incoming'), answer: t('call.answer'), decline: t('call.decline') });
    } else if (!rings && ringing !== null) {
      const over = ringing;
      ringing = null;
      await notifications.endIncomingCall(over);
    }
  };
  const quietly = (work: Promise<void>): void => void work.catch(() => undefined); // a notification that cannot be shown is no fault of the message
  const stopTelling = messenger.subscribe((change) => {
    if (change.topic === 'message') quietly(message(change.peer));
    if (change.topic === 'call') quietly(call());
  });
  const stopOpening = notifications.onOpened(({ kind, id }) => {
    if (kind === 'answer') quietly(messenger.answerCall(id));
    if (kind === 'decline') quietly(messenger.endCall(id));
  });
  return () => {
    stopTelling();
    stopOpening();
  };
}
