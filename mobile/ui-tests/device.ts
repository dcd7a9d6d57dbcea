/** The device of component tests: everything is there, everything is remembered. */
import type { Messenger } from '../src/core/messenger.ts';
import { announce } from '../src/ui/frame/announcer';
import { translator } from '../src/ui/i18n/words';
import type { CallNotification, Device, MessageNotification } from '../src/ui/device/device';

export interface TestDevice extends Device {
  readonly seen: { secure: boolean[]; incognito: boolean[]; copied: { text: string; clearAfterS: number }[]; messages: MessageNotification[]; calls: CallNotification[]; unlockAnswers: boolean[]; written: string[] };
}

export function testDevice(open: () => Promise<Messenger>, preferences: object = {}): TestDevice {
  const seen: TestDevice['seen'] = { secure: [], incognito: [], copied: [], messages: [], calls: [], unlockAnswers: [], written: [] };
  let stored = JSON.stringify(preferences);
  const device: TestDevice = {
    seen,
    async openMessenger() {
      const messenger = await open();
      announce(messenger, device, translator('en'));
      return messenger;
    },
    preferences: {
      read: async () => stored,
      write: async (text) => {
        stored = text;
        seen.written.push(text);
      },
    },
    appLock: { available: async () => 'biometric', unlock: async () => seen.unlockAnswers.shift() ?? false },
    screen: { setSecure: async (on) => void seen.secure.push(on) },
    clipboard: { copy: async (text, clearAfterS) => void seen.copied.push({ text, clearAfterS }), read: async () => 'https://relay.example.org/join#c=abc&t=def' },
    keyboard: { setIncognito: async (on) => void seen.incognito.push(on) },
    notifications: {
      permission: async () => 'denied',
      ask: async () => true,
      showMessage: async (notification) => void seen.messages.push(notification),
      clear: async () => undefined,
      showIncomingCall: async (notification) => void seen.calls.push(notification),
      endIncomingCall: async () => undefined,
      onOpened: () => () => undefined,
    },
    delivery: { mode: async () => 'service', setMode: async () => undefined, distributors: async () => [{ id: 'org.example', name: 'Example' }], batteryExempt: async () => false, askBatteryExemption: async () => undefined },
    audio: {
      microphone: async () => 'granted',
      routes: async () => ['earpiece', 'speaker'],
      setRoute: async () => undefined,
      onRoutes: (listener) => {
        listener(['earpiece', 'speaker'], 'earpiece');
        return () => undefined;
      },
    },
    addressBook: { permission: async () => 'granted', ask: async () => true, entries: async () => [{ number: '0151 12345678', name: 'Marta' }], country: async () => 'DE' },
    files: { temporary: async () => '/tmp/archive', saveAs: async () => '/sdcard/archive', choose: async () => '/sdcard/archive', remove: async () => undefined },
    selfTest: async () => [
      { name: 'encrypt', passed: true, milliseconds: 3 },
      { name: 'decrypt', passed: false, milliseconds: 4 },
    ],
    build: { version: '0.1.0', libsignal: '0.86.5', android: '15' },
  };
  return device;
}
