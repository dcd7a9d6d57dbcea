/**
 * What the screens need from the machine they run on, beside the Messenger. The phone's side is in src/phone, the browser's
 * (for pictures and walks) in web_device.ts, the one of tests in ui-tests. Everything here may fail or be absent: screens
 * show what is missing instead of guessing.
 */
import type { Messenger } from '../../core/messenger.ts';

export interface Device {
  /** Opens the database with the key of the Keystore and joins it with engine, relay and clock; one instance a process. */
  openMessenger(): Promise<Messenger>;
  readonly preferences: PreferenceFile;
  readonly appLock: AppLock;
  readonly screen: ScreenGuard;
  readonly clipboard: Clipboard;
  readonly keyboard: Keyboard;
  readonly notifications: Notifications;
  readonly delivery: Delivery;
  readonly audio: CallAudio;
  readonly addressBook: AddressBook;
  readonly files: ArchiveFolder;
  /** Conformance vectors of the Signal engine and a round through the database, on this very device. */
  selfTest(): Promise<readonly SelfTestResult[]>;
  readonly build: { readonly version: string; readonly libsignal: string; readonly android: string };
}

/** Text of at most 64 KiB in the app's private directory: how the app looks, never anything about people. */
export interface PreferenceFile {
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

export interface AppLock {
  /** `none`: neither a fingerprint nor a screen lock is set up, so there is nothing to lock with. */
  available(): Promise<'none' | 'credential' | 'biometric'>;
  /** Shows the system's own prompt; false when it was dismissed or failed. */
  unlock(words: { readonly title: string; readonly cancel: string }): Promise<boolean>;
}

export interface ScreenGuard {
  /** FLAG_SECURE: no screenshots, no picture in the list of recent apps. */
  setSecure(on: boolean): Promise<void>;
}

export interface Clipboard {
  /** Marked sensitive; taken away after `clearAfterS` seconds (0: left) if it is still there. */
  copy(text: string, clearAfterS: number): Promise<void>;
  read(): Promise<string>;
}

export interface Keyboard {
  /** IME_FLAG_NO_PERSONALIZED_LEARNING for every text field from now on. Keyboards may ignore it. */
  setIncognito(on: boolean): Promise<void>;
}

/** What a notification may say: nothing but that there is one, who wrote, or also what. */
export type NotificationDetail = 'nothing' | 'name' | 'text';

/** Ready-made words: the phone's side composes no text. */
export interface MessageNotification {
  readonly peer: string;
  readonly title: string;
  readonly body: string;
  readonly unread: number;
}

export interface CallNotification {
  readonly call: string;
  readonly title: string;
  readonly body: string;
  readonly answer: string;
  readonly decline: string;
}

export interface Notifications {
  permission(): Promise<'granted' | 'denied' | 'ask'>;
  ask(): Promise<boolean>;
  /** One a conversation; showing it again replaces it. */
  showMessage(notification: MessageNotification): Promise<void>;
  clear(peer: string): Promise<void>;
  /** Full-screen and ringing, on the lock screen too (CallStyle). */
  showIncomingCall(notification: CallNotification): Promise<void>;
  endIncomingCall(call: string): Promise<void>;
  /** A notification was touched, or its button: where to go. The returned function ends it. */
  onOpened(listener: (opened: { readonly kind: 'message' | 'call' | 'answer' | 'decline'; readonly id: string }) => void): () => void;
}

/** How messages reach the phone while the app is not open. */
export interface Delivery {
  mode(): Promise<'service' | 'unified_push' | 'open_only'>;
  setMode(mode: 'service' | 'unified_push' | 'open_only'): Promise<void>;
  /** UnifiedPush distributors that are installed, by name. */
  distributors(): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Whether Android lets the app work in Doze. */
  batteryExempt(): Promise<boolean>;
  askBatteryExemption(): Promise<void>;
}

export type AudioRoute = 'earpiece' | 'speaker' | 'bluetooth' | 'wired';

export interface CallAudio {
  microphone(): Promise<'granted' | 'denied'>;
  routes(): Promise<readonly AudioRoute[]>;
  setRoute(route: AudioRoute): Promise<void>;
  onRoutes(listener: (routes: readonly AudioRoute[], current: AudioRoute) => void): () => void;
}

export interface AddressBook {
  permission(): Promise<'granted' | 'denied' | 'ask'>;
  ask(): Promise<boolean>;
  /** Numbers as they were written down; E.164 is made of them by the caller. */
  entries(): Promise<readonly { readonly number: string; readonly name: string | null }[]>;
  /** Two letters, ISO 3166-1: of the SIM card or the network, else of the language. Null when nobody knows. */
  country(): Promise<string | null>;
}

export interface ArchiveFolder {
  /** A file of the app's own to write an archive to. */
  temporary(): Promise<string>;
  /** The system's dialog: where to put it. Null when dismissed. */
  saveAs(file: string, name: string): Promise<string | null>;
  /** The system's dialog: which one. A path that can be read; null when dismissed. */
  choose(): Promise<string | null>;
  remove(file: string): Promise<void>;
}

export interface SelfTestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly milliseconds: number;
}
