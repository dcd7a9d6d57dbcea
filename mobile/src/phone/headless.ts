/**
 * What is shown when mail comes and no screen has run since the phone started: that there is something, and nothing more. The screens, which know
 * language and how much may be said, show the same conversation anew once they run.
 */
import type { Messenger } from '../core/messenger.ts';
import type { PhoneSide } from './phone_side.ts';

export interface NoticeWords {
  readonly app: string;
  readonly newMessage: string;
  readonly incomingCall: string;
  readonly answer: string;
  readonly decline: string;
  /** Names of channels in the system's settings, and what the notice of the service says. */
  readonly service: string;
  readonly serviceBody: string;
  readonly messages: string;
  readonly calls: string;
}

export type NoticeEnd = Pick<Messenger, 'conversation' | 'call' | 'subscribe'>;

/** Until the returned function is called, which the screens' own notices do when they begin. */
export function plainNotices(messenger: NoticeEnd, notifications: Pick<PhoneSide['notifications'], 'showMessage' | 'showIncomingCall' | 'endIncomingCall'>, words: NoticeWords, nowS: () => number): () => void {
  let ringing: string | null = null;
  const message = async (peer: string): Promise<void> => {
    const { blocked, mutedUntil, unread } = await messenger.conversation(peer);
    if (blocked || (mutedUntil !== null && mutedUntil > nowS())) return;
    await notifications.showMessage({ peer, title: words.app, body: words.newMessage, unread });
  };
  const call = async (): Promise<void> => {
    const now = await messenger.call();
    const rings = now && !now.outgoing && now.state === 'ringing' ? now.id : null;
    if (rings === ringing) return;
    const before = ringing;
    ringing = rings;
    if (before) await notifications.endIncomingCall(before);
    if (rings) await notifications.showIncomingCall({ call: rings, title: words.app, body: words.incomingCall, answer: words.answer, decline: words.decline });
  };
  return messenger.subscribe((change) => {
    const showing = change.topic === 'message' ? message(change.peer) : change.topic === 'call' ? call() : null;
    showing?.catch(() => undefined);
  });
}
