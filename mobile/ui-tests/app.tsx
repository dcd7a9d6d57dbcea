/** The whole app in memory: its real routes over a made-up core. `mockDevice` is what jest.mock gives the app as this device. */
import { act } from '@testing-library/react-native';
import { router } from 'expo-router';
import type { Href } from 'expo-router';
import { renderRouter } from 'expo-router/testing-library';
import type { ReactTestInstance } from 'react-test-renderer';

import { FakeMessenger } from '../src/ui/scenes/fake_messenger';
import { worldOf } from '../src/ui/scenes/scenes';
import type { World } from '../src/ui/scenes/world';
import { testDevice } from './device';
import type { TestDevice } from './device';

export const held: { device: TestDevice | null } = { device: null };

export interface Opened {
  readonly fake: FakeMessenger;
  readonly device: TestDevice;
  readonly view: ReturnType<typeof renderRouter>;
}

export async function openApp(url: string, change: (world: World) => void = () => undefined, preferences: object = {}, prepare: (fake: FakeMessenger) => void = () => undefined): Promise<Opened> {
  const world = worldOf('en');
  change(world);
  const fake = new FakeMessenger(world);
  prepare(fake);
  const device = testDevice(async () => fake, preferences);
  held.device = device;
  const view = renderRouter('./app', { initialUrl: url });
  await settle();
  // The router remembers where the test before this one ended.
  if (url !== '/' && !url.startsWith(view.getPathname())) {
    act(() => router.replace(url as Href));
    await settle();
  }
  return { fake, device, view };
}

/** Lets what was asked be answered and drawn. The router's test library has put time under our hand. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await act(async () => void (await jest.advanceTimersByTimeAsync(60)));
}

const TOUCHED = ['onPress', 'onLongPress', 'onClick'];

/** Host elements that answer a touch. */
export function touchables(root: ReactTestInstance): ReactTestInstance[] {
  return root.findAll((node) => typeof node.type === 'string' && TOUCHED.some((name) => typeof (node.props as Record<string, unknown>)[name] === 'function'));
}
