/** The account: joining, recovery, moving to another phone, leaving. */
import { parseInvite } from '../links.ts';
import type { AccountView, InviteView, Messenger } from '../messenger.ts';
import type { RegistrationStep } from '../registration.ts';
import { AnonymousApi } from '../relay_api.ts';
import type { Account } from '../storage/account.ts';
import { notAvailable } from './core.ts';
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

const STEPS: readonly RegistrationStep[] = ['keys', 'number', 'request', 'registered'];

export class AccountActions implements AccountPart {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async account(): Promise<AccountView | null> {
    const account = await this.#core.store.account.get();
    return account?.accountId ? view(account, account.accountId) : null;
  }

  async inspectInvite(link: string): Promise<InviteView> {
    const { relayUrl } = parseInvite(link);
    const { http } = this.#core.client.machine.anonymous;
    await new AnonymousApi(http, relayUrl).relay();
    return { relayUrl, relayName: relayUrl.replace(/^https?:\/\//, ''), discovery: false, calls: false };
  }

  async join({ invite, name, number }: Parameters<Messenger['join']>[0]): Promise<AccountView> {
    const told = (step: RegistrationStep): void => this.#core.changed({ topic: 'progress', task: 'join', step, done: STEPS.indexOf(step) + 1, total: STEPS.length });
    const account = await this.#core.client.join(invite, name, told, number);
    this.#core.changed({ topic: 'account' });
    return view(account, account.accountId ?? '');
  }

  recover(): Promise<never> {
    return notAvailable('recovery');
  }

  recoveryCode(): Promise<never> {
    return notAvailable('the recovery code');
  }

  confirmRecoveryCode(): Promise<never> {
    return notAvailable('the recovery code');
  }

  setName(): Promise<never> {
    return notAvailable('changing the name');
  }

  deleteAccount(): Promise<never> {
    return notAvailable('deleting the account');
  }

  exportArchive(): Promise<never> {
    return notAvailable('moving to another phone');
  }

  importArchive(): Promise<never> {
    return notAvailable('moving to another phone');
  }
}

function view(account: Account, accountId: string): AccountView {
  return {
    account: accountId,
    name: account.name,
    number: null,
    relayUrl: account.relayUrl,
    relayName: account.relayUrl.replace(/^https?:\/\//, ''),
    recoveryConfirmed: false,
  };
}
