/** The Device of a phone, as far as it is the native module's, over ports that tests can script. this_phone.ts puts the real ones in. */
import { CannotDo } from '../core/errors.ts';
import type { Messenger } from '../core/messenger.ts';
import type { Database, KeyVault } from '../core/ports.ts';
import type { AudioRoute, Device } from '../ui/device/device';
import type { Native, PushState, Routes } from './native.ts';
import type { PushLink } from './push_link.ts';

/** What Android lets an app do only when the person agrees. */
export interface Permissions {
  has(permission: 'notifications' | 'microphone' | 'contacts'): Promise<'granted' | 'denied' | 'ask'>;
  ask(permission: 'notifications' | 'microphone' | 'contacts'): Promise<boolean>;
}

export interface PhonePorts {
  readonly native: Native;
  readonly permissions: Permissions;
  readonly addressBook: () => Promise<readonly { readonly number: string; readonly name: string | null }[]>;
  readonly openMessenger: () => Promise<Messenger>;
  /** Before and after the person's choice of mode: without it no push is ever asked for. */
  readonly push: Pick<PushLink, 'begin' | 'end'>;
  readonly selfTest: Device['selfTest'];
  readonly version: string;
  readonly libsignal: string;
}

export type PhoneSide = Omit<Device, 'preferences' | 'files' | 'build'> & { readonly build: { readonly version: string; readonly libsignal: string; android: string } };

export function phoneSide({ native, push, permissions, addressBook, openMessenger, selfTest, version, libsignal }: PhonePorts): PhoneSide {
  let opening: Promise<Messenger> | null = null;
  const build = { version, libsignal, android: '' };
  void native.call<{ android: string }>('about').then(({ android }) => {
    build.android = android;
  });
  return {
    // One a process: two would each advance the same ratchets. A failure may be tried again.
    openMessenger() {
      opening ??= openMessenger().catch((error: unknown) => {
        opening = null;
        throw error;
      });
      return opening;
    },
    appLock: {
      available: () => native.call<'none' | 'credential' | 'biometric'>('lockAvailable'),
      unlock: ({ title, cancel }) => native.call<boolean>('unlock', { title, cancel }),
    },
    screen: { setSecure: async (on) => void (await native.call('setSecure', { on })) },
    clipboard: {
      copy: async (text, clearAfterS) => void (await native.call('copy', { text, clearAfterS })),
      read: () => native.call<string>('paste'),
    },
    keyboard: { setIncognito: async (on) => void (await native.call('setIncognito', { on })) },
    notifications: {
      async permission() {
        const permission = await permissions.has('notifications');
        // Granted once, and then switched off in the system's settings.
        return permission === 'granted' && !(await native.call<boolean>('noticesAllowed')) ? 'denied' : permission;
      },
      ask: () => permissions.ask('notifications'),
      showMessage: async ({ peer, title, body, unread }) => void (await native.call('showMessage', { peer, title, body, unread })),
      clear: async (peer) => void (await native.call('clearMessage', { peer })),
      showIncomingCall: async ({ call, title, body, answer, decline }) =>
        void (await native.call('call', { call, what: 'rings', words: { title, body, answer, decline, hangUp: decline } })),
      endIncomingCall: async (call) => void (await native.call('call', { call, what: 'ended' })),
      onOpened(listener) {
        const stopOpened = native.on('opened', ({ what, id }) => listener({ kind: what, id }));
        const stopCalls = native.on('call', ({ call, what }) => {
          if (what === 'decline') listener({ kind: 'decline', id: call });
        });
        void native.call('listen'); // what was touched before anybody listened
        return () => {
          stopOpened();
          stopCalls();
        };
      },
    },
    delivery: {
      mode: () => native.call<'service' | 'unified_push' | 'open_only'>('delivery'),
      async setMode(mode) {
        // Asked first: a mode that cannot work is not taken.
        if (mode === 'unified_push') await push.begin(await native.call<readonly { id: string }[]>('distributors'));
        else await push.end();
        await native.call('setDelivery', { mode });
      },
      distributors: () => native.call<readonly { id: string; name: string }[]>('distributors'),
      batteryExempt: () => native.call<boolean>('batteryExempt'),
      askBatteryExemption: async () => void (await native.call('askBatteryExemption')),
    },
    audio: {
      microphone: async () => ((await permissions.has('microphone')) === 'granted' || (await permissions.ask('microphone')) ? 'granted' : 'denied'),
      routes: async () => (await native.call<Routes>('routes')).routes,
      setRoute: async (route: AudioRoute) => void (await native.call('setRoute', { route })),
      onRoutes: (listener) =>
        native.on('routes', ({ routes, current }) => {
          if (current) listener(routes, current);
        }),
    },
    addressBook: {
      permission: () => permissions.has('contacts'),
      ask: () => permissions.ask('contacts'),
      entries: () => addressBook(),
      country: () => native.call<string | null>('country'),
    },
    selfTest,
    build,
  };
}

export interface Push {
  state(): Promise<PushState>;
  register(distributor: string, vapid: string | null): Promise<void>;
  unregister(): Promise<void>;
  /** An endpoint came, or went. */
  onChange(listener: (state: PushState) => void): () => void;
}

export function phonePush(native: Native): Push {
  return {
    state: () => native.call<PushState>('pushState'),
    register: async (distributor, vapid) => void (await native.call('pushRegister', { distributor, vapid })),
    unregister: async () => void (await native.call('pushUnregister')),
    onChange: (listener) => native.on('push', ({ distributor, endpoint, p256dh, auth }) => listener({ distributor, endpoint, p256dh, auth })),
  };
}

/** The database with its key. @throws CannotDo `lost_key` when there is a database and no key: a new one would not open it, and hide that */
export async function openWithKey(
  vault: KeyVault,
  random: (count: number) => Uint8Array,
  file: { readonly exists: () => boolean; readonly open: (key: Uint8Array) => Promise<Database> },
): Promise<Database> {
  let key = await vault.get('database');
  if (!key) {
    if (file.exists()) throw new CannotDo('lost_key', 'the key of the database is no longer in the Keystore: without it the messages cannot be read');
    key = random(32);
    await vault.put('database', key); // before the first page is written with it
  }
  return file.open(key);
}
