/** The account: joining, recovery, moving to another phone, leaving. */
import { sameBytes } from '../bytes.ts';
import { CannotDo, RelayRefused, RelayUnreachable } from '../errors.ts';
import { readCode, RECOVERY_CODE, writeCode } from '../human_code.ts';
import { parseInvite } from '../links.ts';
import type { AccountView, InviteView, Messenger } from '../messenger.ts';
import { checkedName } from '../people/names.ts';
import type { RecoveryStep } from '../recovery.ts';
import type { RegistrationStep } from '../registration.ts';
import { AnonymousApi } from '../relay_api.ts';
import { readSettings, settingsStatement } from '../settings.ts';
import type { Transfer } from '../transfer/transfer.ts';
import type { ConnectionActions } from './connection.ts';
import type { Core } from './core.ts';

export type AccountPart = Pick<
  Messenger,
  | 'account'
  | 'inspectInvite'
  | 'join'
  | 'recover'
  | 'recoveryCode'
  | 'confirmRecoveryCode'
  | 'setName'
  | 'deleteAccount'
  | 'exportArchive'
  | 'importArchive'
>;

/** The setting that remembers that the recovery code was written down right. */
const CONFIRMED = 'recovery_confirmed';
const RECOVERY_STEPS: readonly RecoveryStep[] = ['keys', 'number', 'request', 'recovered'];
const STEPS: readonly RegistrationStep[] = ['keys', 'number', 'request', 'registered'];

export class AccountActions implements AccountPart {
  readonly #core: Core;
  readonly #connection: ConnectionActions;
  readonly #transfer: Transfer;

  constructor(core: Core, connection: ConnectionActions, transfer: Transfer) {
    this.#core = core;
    this.#connection = connection;
    this.#transfer = transfer;
  }

  async account(): Promise<AccountView | null> {
    const { store, client } = this.#core;
    const account = await store.account.get();
    if (!account?.accountId) return null;
    return {
      account: account.accountId,
      name: account.name,
      number: (await client.discovery.ownNumber())?.number ?? null,
      relayUrl: account.relayUrl,
      relayName: account.relayUrl.replace(/^https?:\/\//, ''),
      recoveryConfirmed: (await store.account.setting(CONFIRMED)) === true,
    };
  }

  async inspectInvite(link: string): Promise<InviteView> {
    const { relayUrl, discovery } = parseInvite(link);
    const { http } = this.#core.client.machine.anonymous;
    const { calls } = await new AnonymousApi(http, relayUrl).relay();
    return { relayUrl, relayName: relayUrl.replace(/^https?:\/\//, ''), discovery: discovery !== null, calls };
  }

  async join({ invite, name, number }: Parameters<Messenger['join']>[0]): Promise<AccountView> {
    const told = (step: RegistrationStep): void => this.#core.changed({ topic: 'progress', task: 'join', step, done: STEPS.indexOf(step) + 1, total: STEPS.length });
    const { client, store, changed } = this.#core;
    await client.join(invite, name, told, number);
    // Whoever gives a number may be found and written to by it; the relay has just been told so.
    if (number !== null) await store.write([settingsStatement(store, { ...(await readSettings(store)), strangers: true })]);
    changed({ topic: 'account' });
    return this.#joined();
  }

  async recover({ invite, name, account, number, recoveryCode }: Parameters<Messenger['recover']>[0]): Promise<AccountView> {
    const told = (step: RecoveryStep): void => this.#core.changed({ topic: 'progress', task: 'recover', step, done: RECOVERY_STEPS.indexOf(step) + 1, total: RECOVERY_STEPS.length });
    const claim = { name, account, number, recoveryCode: readCode(RECOVERY_CODE, recoveryCode) };
    const { client, store, changed } = this.#core;
    await client.recover(invite, claim, told);
    // Contacts, where there are any, hold a key that is void; and who knows the number may write, or not, as the relay was told.
    // There is another recovery code now, which nobody has written down yet.
    const facts = [settingsStatement(store, { ...(await readSettings(store)), strangers: number !== null }), store.account.setSetting(CONFIRMED, false)];
    await store.write([...facts, ...(await client.notices())]);
    changed({ topic: 'account' });
    return this.#joined();
  }

  async recoveryCode(): Promise<string> {
    return writeCode(RECOVERY_CODE, (await this.#core.client.account()).recoveryCode);
  }

  /** @throws CannotDo `mistyped_code` when it is no recovery code at all, before anything is compared */
  async confirmRecoveryCode(typed: string): Promise<boolean> {
    const { client, store, changed } = this.#core;
    const { recoveryCode } = await client.account();
    if (!sameBytes(readCode(RECOVERY_CODE, typed), recoveryCode)) return false;
    await store.write([store.account.setSetting(CONFIRMED, true)]);
    changed({ topic: 'account' });
    return true;
  }

  /** Contacts are told inside the encryption, each at a time of its own. */
  async setName(name: string): Promise<void> {
    const { client, store, changed } = this.#core;
    const checked = checkedName(name);
    await client.account();
    await store.write([store.account.setName(checked), ...(await client.notices())]);
    changed({ topic: 'account' });
    await (await client.running()).sender.resume();
  }

  async #joined(): Promise<AccountView> {
    const account = await this.account();
    if (!account) throw new CannotDo('not_joined', 'there is no account here yet: join with an invite first');
    return account;
  }

  /** The connection is off from here on. */
  async deleteAccount(): Promise<void> {
    await this.#connection.stop();
    await this.#transfer.delete();
  }

  async exportArchive(file: string): Promise<{ readonly code: string; readonly messages: number; readonly contacts: number }> {
    const online = this.#connection.started;
    await this.#connection.stop();
    try {
      return await this.#transfer.export(file);
    } finally {
      if (online) await this.#connection.start(); // after an archive was made: to say that this copy rests
    }
  }

  /** Whether the relay could be told at once or not: what is left of it is done at the first connection. */
  async importArchive(file: string, code: string): Promise<AccountView> {
    await this.#transfer.import(file, code);
    this.#core.changed({ topic: 'account' }, { topic: 'contacts' }, { topic: 'conversations' }, { topic: 'settings' });
    await this.#transfer.renew().catch((error: unknown) => {
      if (!(error instanceof RelayUnreachable || error instanceof RelayRefused)) throw error;
    });
    return this.#joined();
  }
}
