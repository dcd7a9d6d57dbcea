/** Where what comes unasked leads: a ringing or ongoing call to its screen, a touched notification to its conversation. */
import { usePathname, useRouter } from 'expo-router';
import { useEffect } from 'react';

import { useCall } from '../state/hooks';
import { useDevice } from '../state/preferences';
import { attention } from './announcer';

export function Incoming(): null {
  const router = useRouter();
  const pathname = usePathname();
  const device = useDevice();
  const { data: call } = useCall();

  useEffect(() => {
    attention.peer = /^\/chat\/([^/]+)$/.exec(pathname)?.[1] ?? null;
    return () => {
      attention.peer = null; // the lock closed, or the app: nobody is looking
    };
  }, [pathname]);

  const ongoing = call && call.state !== 'ended' && !(call.outgoing && call.state === 'dialing') ? call.id : null;
  useEffect(() => {
    if (ongoing !== null) router.navigate('/call');
  }, [ongoing, router]);

  useEffect(
    () =>
      device.notifications.onOpened(({ kind, id }) => {
        if (kind === 'message') router.navigate(`/chat/${id}`);
        else if (kind !== 'decline') router.navigate('/call');
      }),
    [device, router],
  );
  return null;
}
