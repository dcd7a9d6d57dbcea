/** What somebody is called, and how a contact is shown. */
import { CannotDo } from '../errors.ts';
import type { ContactView } from '../messenger.ts';
import type { KnownNumber } from '../storage/discovery_store.ts';
import type { Contact } from '../storage/people.ts';
import { LONGEST_NAME } from '../wire/content.ts';

/** @throws CannotDo `bad_name` */
export function checkedName(name: string): string {
  const trimmed = name.trim();
  if (trimmed.length === 0 || trimmed.length > LONGEST_NAME) throw new CannotDo('bad_name', `a name has 1 to ${LONGEST_NAME} characters`);
  return trimmed;
}

/** The member's own choice, the address book's, theirs; at last the number, or the account, which nobody else has. */
export function nameShown(contact: Pick<Contact, 'account' | 'name' | 'profileName'>, known: KnownNumber | null): string {
  return contact.name ?? known?.name ?? contact.profileName ?? known?.number ?? contact.account;
}

export function contactView(contact: Contact, known: KnownNumber | null): ContactView {
  const { account, profileName, verified, request, blocked, mutedUntil, identityState, accessKey } = contact;
  return {
    peer: account,
    name: nameShown(contact, known),
    profileName,
    number: known?.number ?? null,
    numberConfirmed: known !== null,
    verified,
    request,
    blocked,
    mutedUntil,
    identity: identityState,
    reachable: accessKey !== null || (known?.accessKey ?? null) !== null,
  };
}
