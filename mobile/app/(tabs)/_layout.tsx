import { Tabs } from 'expo-router';
import type { ReactElement } from 'react';

import { TabBar } from '../../src/ui/frame/tab_bar';

export default function TabsLayout(): ReactElement {
  return (
    <Tabs tabBar={({ state, navigation }) => <TabBar current={state.routes[state.index]?.name ?? 'chats'} onGo={(name) => navigation.navigate(name)} />} screenOptions={{ headerShown: false }}>
      <Tabs.Screen name="chats" />
      <Tabs.Screen name="calls" />
      <Tabs.Screen name="settings" />
    </Tabs>
  );
}
