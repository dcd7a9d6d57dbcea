import type { Messenger, SettingsView } from '../messenger.ts';
import { readSettings, settingsStatement } from '../settings.ts';
import type { Core } from './core.ts';

export type SettingsPart = Pick<Messenger, 'settings' | 'changeSettings'>;

export class SettingsActions implements SettingsPart {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  settings(): Promise<SettingsView> {
    return readSettings(this.#core.store);
  }

  async changeSettings(change: Partial<SettingsView>): Promise<SettingsView> {
    const { store, changed } = this.#core;
    await store.write([settingsStatement(store, { ...(await readSettings(store)), ...change })]);
    changed({ topic: 'settings' });
    return readSettings(store);
  }
}
