/** The window of one conversation, kept true by its changes. */
import { useCallback, useMemo, useSyncExternalStore } from 'react';

import { useChanges, useMessenger } from './hooks';
import { MessageWindow } from './message_window';
import type { WindowView } from './message_window';

export function useMessages(peer: string): WindowView & { readonly window: MessageWindow } {
  const messenger = useMessenger();
  const window = useMemo(() => new MessageWindow(messenger, peer), [messenger, peer]);
  const view = useSyncExternalStore(window.watch, window.view, window.view);
  useChanges(
    useCallback(
      (change) => {
        if (change.topic === 'conversation' && change.peer === peer) void window.refresh();
      },
      [window, peer],
    ),
  );
  return { ...view, window };
}
