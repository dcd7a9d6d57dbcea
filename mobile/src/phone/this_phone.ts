/** The real phone: Expo's packages and the native module, put into the adapters of this folder. The only file here that imports them. */
import Constants from 'expo-constants';
import * as Contacts from 'expo-contacts';
import { File, Paths } from 'expo-file-system';
import * as SQLite from 'expo-sqlite';
import { AppRegistry, AppState, PermissionsAndroid } from 'react-native';
import * as Keychain from 'react-native-keychain';

import { openApp } from '../core/app.ts';
import type { Messenger } from '../core/messenger.ts';
import type { Database } from '../core/ports.ts';
import { sottovoceModule } from '../../modules/sottovoce-native/index.ts';
import { bridgeCalls } from './call_bridge.ts';
import { openPhoneDatabase } from './database.ts';
import type { ExpoDatabase } from './database.ts';
import { phoneKeyVault } from './key_vault.ts';
import { phoneLanes } from './lanes.ts';
import { phoneClock, phoneRandom } from './machine.ts';
import { Native } from './native.ts';
import { openWithKey, phoneSide } from './phone_side.ts';
import type { Permissions, PhoneSide } from './phone_side.ts';
import { selfTest } from './self_test.ts';
import { PhoneSignalEngine } from './signal_engine.ts';
import { mailTask } from './wake.ts';

const DATABASE = 'messages.db';

/** The task that WakeService.kt names. */
const TASK = 'sottovoce-mail';

const ANDROID = {
  notifications: PermissionsAndroid.PERMISSIONS.POST_NOTIFICATIONS,
  microphone: PermissionsAndroid.PERMISSIONS.RECORD_AUDIO,
  contacts: PermissionsAndroid.PERMISSIONS.READ_CONTACTS,
} as const;

const permissions: Permissions = {
  has: async (name) => ((await PermissionsAndroid.check(ANDROID[name])) ? 'granted' : 'ask'),
  ask: async (name) => (await PermissionsAndroid.request(ANDROID[name])) === PermissionsAndroid.RESULTS.GRANTED,
};

async function open(name: string, key: Uint8Array): Promise<Database> {
  const driver = await SQLite.openDatabaseAsync(name, { useNewConnection: true, enableChangeListener: false });
  return openPhoneDatabase(driver as unknown as ExpoDatabase, key);
}

const file = (name: string): File => new File(Paths.document, 'SQLite', name); // expo-sqlite's folder

async function addressBook(): Promise<readonly { number: string; name: string | null }[]> {
  const { data } = await Contacts.getContactsAsync({ fields: [Contacts.Fields.PhoneNumbers, Contacts.Fields.Name] });
  return data.flatMap(({ name, phoneNumbers = [] }) => phoneNumbers.flatMap(({ number }) => (number ? [{ number, name: name || null }] : [])));
}

let phone: PhoneSide | null = null;

/** One a process, made when it is first asked for. */
export function thisPhone(): PhoneSide {
  return (phone ??= make());
}

function make(): PhoneSide {
  const native = new Native(sottovoceModule());
  const clock = phoneClock(native);
  const engine = new PhoneSignalEngine(native);
  return phoneSide({
    native,
    permissions,
    addressBook,
    async openMessenger(): Promise<Messenger> {
      const vault = phoneKeyVault(Keychain);
      const database = await openWithKey(vault, (count) => phoneRandom.bytes(count), { exists: () => file(DATABASE).exists, open: (key) => open(DATABASE, key) });
      const messenger = await openApp({ database, engine, clock, random: phoneRandom, ...phoneLanes(native) });
      bridgeCalls(native, messenger);
      AppState.addEventListener('change', (state) => void messenger.setForeground(state === 'active').catch(() => undefined));
      return messenger;
    },
    selfTest: () =>
      selfTest({
        engine,
        clock,
        random: phoneRandom,
        async withDatabase(work) {
          const name = 'self-test.db';
          const made = await open(name, phoneRandom.bytes(32));
          try {
            await work(made);
          } finally {
            await made.close();
            await SQLite.deleteDatabaseAsync(name);
          }
        },
      }),
    version: Constants.expoConfig?.version ?? '',
    libsignal: '0.86.5',
  });
}

/** Called where the app begins, before any screen: Android may start JavaScript for this alone. */
export function registerMailTask(): void {
  AppRegistry.registerHeadlessTask(TASK, () => () => mailTask(() => thisPhone().openMessenger(), phoneClockOf));
}

const phoneClockOf = { after: (ms: number, run: () => void) => void setTimeout(run, ms) };
