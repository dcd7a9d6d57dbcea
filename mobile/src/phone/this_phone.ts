/** The real phone: Expo's packages and the native module, put into the adapters of this folder. The only file here that imports them. */
import Constants from 'expo-constants';
import * as Contacts from 'expo-contacts';
import { File, Paths } from 'expo-file-system';
import * as SQLite from 'expo-sqlite';
import { AppRegistry, AppState, PermissionsAndroid } from 'react-native';
import InCallManager from 'react-native-incall-manager';
import * as Keychain from 'react-native-keychain';
import { mediaDevices, RTCPeerConnection } from 'react-native-webrtc';

import { openApp } from '../core/app.ts';
import type { App } from '../core/app.ts';
import { bearer } from '../core/relay_api.ts';
import type { Messenger } from '../core/messenger.ts';
import type { Database } from '../core/ports.ts';
import { sottovoceModule } from '../../modules/sottovoce-native/index.ts';
import { phoneArchiveFiles } from './archive_files.ts';
import type { PhoneFile } from './archive_files.ts';
import { bridgeCalls } from './call_bridge.ts';
import { openPhoneDatabase } from './database.ts';
import type { ExpoDatabase } from './database.ts';
import { phoneKeyVault } from './key_vault.ts';
import { phoneLanes } from './lanes.ts';
import { phoneClock, phoneRandom } from './machine.ts';
import { Native } from './native.ts';
import { plainNotices } from './headless.ts';
import type { NoticeWords } from './headless.ts';
import { phonePeerConnections } from './peer_connections.ts';
import type { CallSound, WebRtc } from './peer_connections.ts';
import { openWithKey, phonePush, phoneSide } from './phone_side.ts';
import type { Permissions, PhoneSide } from './phone_side.ts';
import { pushLink } from './push_link.ts';
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

/** A database that nothing is left of: its key is forgotten, and its file deleted when it is closed, or at the next scratch after a crash. */
async function scratch(): Promise<Database> {
  const name = 'scratch.db';
  if (file(name).exists) await SQLite.deleteDatabaseAsync(name);
  const made = await open(name, phoneRandom.bytes(32));
  return {
    ...made,
    close: async () => {
      await made.close();
      await SQLite.deleteDatabaseAsync(name);
    },
  };
}

const sound: CallSound = {
  start: () => InCallManager.start({ media: 'audio', auto: false }),
  stop: () => InCallManager.stop(),
};

/** Who rings is the screens, or plainNotices: they hear of the call as of any other change. */
const ringer = { ring: () => undefined, stop: () => undefined };

async function addressBook(): Promise<readonly { number: string; name: string | null }[]> {
  const { data } = await Contacts.getContactsAsync({ fields: [Contacts.Fields.PhoneNumbers, Contacts.Fields.Name] });
  return data.flatMap(({ name, phoneNumbers = [] }) => phoneNumbers.flatMap(({ number }) => (number ? [{ number, name: name || null }] : [])));
}

interface ThisPhone {
  readonly native: Native;
  readonly side: PhoneSide;
}

let phone: ThisPhone | null = null;

/** One a process, made when it is first asked for. */
const here = (): ThisPhone => (phone ??= make());

export const thisPhone = (): PhoneSide => here().side;

function make(): ThisPhone {
  const native = new Native(sottovoceModule());
  const clock = phoneClock(native);
  const engine = new PhoneSignalEngine(native);
  let opened: App | null = null;
  /** @throws CannotDo `not_joined` */
  const account = async () => {
    if (!opened) await side.openMessenger();
    if (!opened) throw new Error('the messenger is open without having been opened');
    const { api, anonymousApi, account } = await opened.client.running();
    return { api, anonymousApi, authorization: bearer(account.accountId, account.secret) };
  };
  const push = pushLink(phonePush(native), {
    key: async () => (await account()).anonymousApi.pushKey(),
    async set(subscription) {
      const { api, authorization } = await account();
      await api.setPush(authorization, subscription);
    },
    async forget() {
      const { api, authorization } = await account();
      await api.forgetPush(authorization);
    },
  });
  const side = phoneSide({
    native,
    push,
    permissions,
    addressBook,
    async openMessenger(): Promise<Messenger> {
      const vault = phoneKeyVault(Keychain);
      const database = await openWithKey(vault, (count) => phoneRandom.bytes(count), { exists: () => file(DATABASE).exists, open: (key) => open(DATABASE, key) });
      const messenger = await openApp({
        database,
        engine,
        clock,
        random: phoneRandom,
        ...phoneLanes(native),
        files: phoneArchiveFiles((uri) => new File(uri) as unknown as PhoneFile, scratch),
        calls: { peers: phonePeerConnections({ RTCPeerConnection, mediaDevices } as unknown as WebRtc, sound), ringer },
      });
      opened = messenger;
      bridgeCalls(native, messenger);
      void push.renew().catch(() => undefined); // not joined yet, or out of reach: at the next start
      AppState.addEventListener('change', (state) => void messenger.setForeground(state === 'active').catch(() => undefined));
      return messenger;
    },
    selfTest: () =>
      selfTest({
        engine,
        clock,
        random: phoneRandom,
        async withDatabase(work) {
          const made = await scratch();
          try {
            await work(made);
          } finally {
            await made.close();
          }
        },
      }),
    version: Constants.expoConfig?.version ?? '',
    libsignal: '0.86.5',
  });
  const { notifications } = side;
  const listening: PhoneSide['notifications'] = {
    ...notifications,
    onOpened(listener) {
      stopPlainNotices(); // the screens are here, and show notices themselves
      return notifications.onOpened(listener);
    },
  };
  return { native, side: { ...side, notifications: listening } };
}

let stopPlainNotices: () => void = () => undefined;

/**
 * Called where the app begins, before any screen: Android may start JavaScript for this alone. Without `words` nothing is shown
 * until a screen runs.
 */
export function registerMailTask(words: (() => NoticeWords) | null = null): void {
  const timers = { after: (ms: number, run: () => void) => void setTimeout(run, ms) };
  let plain = false;
  AppRegistry.registerHeadlessTask(TASK, () => async () => {
    const { native, side } = here();
    await mailTask(async () => {
      const messenger = await side.openMessenger();
      if (words && !plain && AppState.currentState !== 'active') {
        plain = true;
        stopPlainNotices = plainNotices(messenger, side.notifications, words(), () => Date.now() / 1000);
      }
      return messenger;
    }, timers);
    await native.call('settled').catch(() => undefined); // the processor may sleep
  });
}

/** Whenever the language is known, or another: Android starts the service before any screen has run. */
export async function nameChannels({ service, serviceBody, messages, calls }: NoticeWords): Promise<void> {
  await here().native.call('setWords', { service, serviceBody, messages, calls, ongoing: calls });
}
