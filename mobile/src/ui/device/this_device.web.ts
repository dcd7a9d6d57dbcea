/**
 * The browser as a device, for pictures and walks only: `?bridge=ws://127.0.0.1:…&token=…` joins a real core, `?scene=…` shows
 * a made-up one. Everything that only a phone has is played just far enough to be looked at.
 */
import { openScene } from '../scenes/scenes';
import { connectBridge } from './bridge_messenger';
import type { AudioRoute, Device } from './device';
import { notHere } from './not_here';

const asked = new URLSearchParams(window.location.search);
let copied = '';

export const device: Device = {
  openMessenger() {
    const bridge = asked.get('bridge');
    return bridge === null ? openScene(asked.get('scene') ?? 'home') : connectBridge(bridge, asked.get('token') ?? '');
  },
  preferences: {
    read: async () => JSON.stringify({ theme: asked.get('theme') ?? 'light', appLock: asked.get('lock') === 'on' }),
    write: async () => undefined,
  },
  appLock: { available: async () => 'biometric', unlock: () => new Promise<boolean>((resolve) => window.addEventListener('unlocked', () => resolve(true), { once: true })) },
  screen: { setSecure: async () => undefined },
  clipboard: {
    async copy(text) {
      copied = text;
      Object.assign(window, { copiedText: text });
    },
    read: async () => copied,
  },
  keyboard: { setIncognito: async () => undefined },
  notifications: {
    permission: async () => 'granted',
    ask: async () => true,
    showMessage: async () => undefined,
    clear: async () => undefined,
    showIncomingCall: async () => undefined,
    endIncomingCall: async () => undefined,
    onOpened: () => () => undefined,
  },
  delivery: {
    mode: async () => 'service',
    setMode: async () => undefined,
    distributors: async () => [],
    batteryExempt: async () => false,
    askBatteryExemption: async () => undefined,
  },
  audio: {
    microphone: async () => 'granted',
    routes: async () => ['earpiece', 'speaker'],
    setRoute: async () => undefined,
    onRoutes(listener: (routes: readonly AudioRoute[], current: AudioRoute) => void) {
      listener(['earpiece', 'speaker'], 'earpiece');
      return () => undefined;
    },
  },
  addressBook: { permission: async () => 'granted', ask: async () => true, entries: async () => [], country: async () => 'DE' },
  files: { temporary: notHere, saveAs: notHere, choose: notHere, remove: notHere },
  selfTest: notHere,
  build: { version: '0.1.0', libsignal: '–', android: '–' },
};
