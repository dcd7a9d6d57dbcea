/** This phone. What Expo's packages do not give comes from src/phone and the native module. */
import { getLocales } from 'expo-localization';
import { Directory, File, Paths } from 'expo-file-system';

import type { Device } from './device';
import { notHere } from './not_here';

const preferences = (): File => new File(Paths.document, 'preferences.json');

export const device: Device = {
  openMessenger: notHere,
  preferences: {
    read: async () => (preferences().exists ? preferences().text() : null),
    write: async (text) => preferences().write(text),
  },
  appLock: { available: async () => 'none', unlock: async () => false },
  screen: { setSecure: notHere },
  clipboard: { copy: notHere, read: notHere },
  keyboard: { setIncognito: notHere },
  notifications: { permission: async () => 'denied', ask: async () => false, showMessage: notHere, clear: notHere, showIncomingCall: notHere, endIncomingCall: notHere, onOpened: () => () => undefined },
  delivery: { mode: async () => 'open_only', setMode: notHere, distributors: async () => [], batteryExempt: async () => false, askBatteryExemption: notHere },
  audio: { microphone: async () => 'denied', routes: async () => [], setRoute: notHere, onRoutes: () => () => undefined },
  addressBook: { permission: async () => 'denied', ask: async () => false, entries: notHere, country: async () => getLocales()[0]?.regionCode ?? null },
  files: {
    temporary: async () => new File(Paths.cache, 'sottovoce.archive').uri,
    async saveAs(file, name) {
      const folder = await Directory.pickDirectoryAsync();
      const target = folder.createFile(name, 'application/octet-stream');
      new File(file).copySync(target);
      return target.uri;
    },
    async choose() {
      const { canceled, result } = await File.pickFileAsync();
      return canceled ? null : result.uri;
    },
    async remove(file) {
      new File(file).delete();
    },
  },
  selfTest: notHere,
  build: { version: '0.1.0', libsignal: '0.86', android: '' },
};
