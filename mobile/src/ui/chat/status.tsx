/** How far an own message got: waiting, with the relay, on their phone, read, failed. */
import type { ReactElement } from 'react';

import type { MessageStatus } from '../../core/messenger.ts';
import type { PlainKey } from '../i18n/words';
import { Icon } from '../parts/icon';
import type { IconName } from '../parts/icon';

export const STATUS_WORDS: Readonly<Record<MessageStatus, PlainKey | null>> = { received: null, queued: 'status.queued', sent: 'status.sent', delivered: 'status.delivered', read: 'status.read', failed: 'status.failed' };

const ICONS: Readonly<Partial<Record<MessageStatus, IconName>>> = { queued: 'clock', sent: 'check', delivered: 'checks', read: 'checks', failed: 'alert' };

export function StatusMark({ status, colour, readColour, size = 15 }: { readonly status: MessageStatus; readonly colour: string; readonly readColour: string; readonly size?: number }): ReactElement | null {
  const name = ICONS[status];
  return name === undefined ? null : <Icon name={name} size={size} colour={status === 'read' ? readColour : colour} />;
}
