/** People: contacts, requests, blocking, safety numbers. */
import { shownName } from '../client.ts';
import type { ContactView, Messenger } from '../messenger.ts';
import type { Contact } from '../storage/people.ts';
import { notAvailable } from './core.ts';
import type { Core } from './core.ts';

export type PeoplePart = Pick<
  Messenger,
  | 'contacts'
  | 'contact'
  | 'card'
  | 'addByCard'
  | 'setContactName'
  | 'discover'
  | 'acceptRequest'
  | 'block'
  | 'unblock'
  | 'mute'
  | 'safetyNumber'
  | 'compareSafetyCode'
  | 'setVerified'
  | 'confirmIdentity'
>;

export class PeopleActions implements PeoplePart {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async contacts(): Promise<readonly ContactView[]> {
    return (await this.#core.store.people.all()).map(contactView);
  }

  async contact(peer: string): Promise<ContactView> {
    return contactView(await this.#core.client.contact(peer));
  }

  card(): Promise<string> {
    return this.#core.client.card();
  }

  async addByCard(link: string, inPerson: boolean): Promise<ContactView> {
    if (inPerson) return notAvailable('verifying by a scanned code');
    const contact = await this.#core.client.addContact(link);
    this.#core.changed({ topic: 'contacts' }, { topic: 'conversation', peer: contact.account });
    return contactView(contact);
  }

  setContactName(): Promise<never> {
    return notAvailable('naming contacts');
  }

  discover(): Promise<never> {
    return notAvailable('finding people by number');
  }

  acceptRequest(): Promise<never> {
    return notAvailable('accepting requests');
  }

  block(): Promise<never> {
    return notAvailable('blocking');
  }

  unblock(): Promise<never> {
    return notAvailable('blocking');
  }

  mute(): Promise<never> {
    return notAvailable('muting');
  }

  safetyNumber(): Promise<never> {
    return notAvailable('safety numbers');
  }

  compareSafetyCode(): Promise<never> {
    return notAvailable('safety numbers');
  }

  setVerified(): Promise<never> {
    return notAvailable('verifying');
  }

  confirmIdentity(): Promise<never> {
    return notAvailable('confirming an identity');
  }
}

export function contactView(contact: Contact): ContactView {
  const { account, profileName, verified, request, blocked, mutedUntil, identityState, accessKey } = contact;
  return {
    peer: account,
    name: shownName(contact) ?? account,
    profileName,
    number: null,
    numberConfirmed: false,
    verified,
    request,
    blocked,
    mutedUntil,
    identity: identityState,
    reachable: accessKey !== null,
  };
}
