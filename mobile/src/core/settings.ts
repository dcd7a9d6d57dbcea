/** What a member may switch. Stored by name; what is not stored has the default below. */
import type { Store } from './storage/store.ts';
import type { SettingsView } from './messenger.ts';

export type Settings = SettingsView;

export const DEFAULT_SETTINGS: Settings = {
  deliveryReceipts: true,
  readReceipts: true,
  typing: true,
  strangers: false,
  directCalls: false,
  timerS: 0,
};

const NAME = 'settings';

/** Fields of an older or newer version are taken or left one by one. */
export async function readSettings(store: Store): Promise<Settings> {
  const stored = await store.account.setting(NAME);
  const fields: Record<string, unknown> = typeof stored === 'object' && stored !== null ? { ...stored } : {};
  const known = Object.entries(DEFAULT_SETTINGS).map(([name, normal]) => [name, typeof fields[name] === typeof normal ? fields[name] : normal]);
  return Object.fromEntries(known) as Settings;
}

export function settingsStatement(store: Store, settings: Settings) {
  return store.account.setSetting(NAME, settings);
}
