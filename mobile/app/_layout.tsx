import { Stack } from 'expo-router';
import type { ReactElement } from 'react';

import { device } from '../src/ui/device/this_device';
import { AppRoot } from '../src/ui/frame/app_root';
import { Incoming } from '../src/ui/frame/incoming';
import { JoinDraftProvider } from '../src/ui/frame/join_draft';
import { useLook } from '../src/ui/theme/theme';

export default function Layout(): ReactElement {
  return (
    <AppRoot device={device}>
      <JoinDraftProvider>
        <Screens />
        <Incoming />
      </JoinDraftProvider>
    </AppRoot>
  );
}

function Screens(): ReactElement {
  const { colours, still } = useLook();
  return (
    <Stack screenOptions={{ headerShown: false, contentStyle: { backgroundColor: colours.canvas }, animation: still ? 'none' : 'simple_push' }}>
      <Stack.Screen name="call" options={{ presentation: 'fullScreenModal', animation: still ? 'none' : 'fade', gestureEnabled: false }} />
      <Stack.Screen name="scan" options={{ presentation: 'fullScreenModal', animation: still ? 'none' : 'fade' }} />
    </Stack>
  );
}
