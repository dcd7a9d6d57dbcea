import { CannotDo } from '../errors.ts';
import type { Messenger, SettingsView } from '../messenger.ts';
import { readSettings, settingsStatement } from '../settings.ts';
import type { Core } from './core.ts';
import type { PeopleActions } from './people.ts';

export type SettingsPart = Pick<Messenger, 'settings' | 'changeSettings'>;

export class SettingsActions implements SettingsPart {
  readonly #core: Core;
  readonly #people: PeopleActions;

  constructor(core: Core, people: PeopleActions) {
    this.#core = core;
    this.#people = people;
  }

  settings(): Promise<SettingsView> {
    return readSettings(this.#core.store);
  }

  /** @throws CannotDo `no_number` when strangers are let in who cannot know the account by any */
  async changeSettings(change: Partial<SettingsView>): Promise<SettingsView> {
    const { store, client, changed } = this.#core;
    const before = await readSettings(store);
    const after = { ...before, ...change };
    const strangers = after.strangers === before.strangers ? null : after.strangers;
    if (strangers === true && !(await client.discovery.ownNumber())?.secrets) {
      throw new CannotDo('no_number', 'this account was made without a number, so nobody can know it by one');
    }
    // The relay is told when there is a connection; what is planned is on disk with the setting.
    const planned = strangers === null ? [] : [client.discovery.planAccessChange({ contactKey: null, strangers })];
    await store.write([settingsStatement(store, after), ...planned]);
    if (strangers !== null) this.#people.finishAccessChange();
    changed({ topic: 'settings' });
    return after;
  }
}
