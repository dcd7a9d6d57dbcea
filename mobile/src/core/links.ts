import { fromBase64url, toBase64url } from './bytes.ts';
import type { DiscoveryKeys } from './discovery/numbers.ts';
import { CannotDo, Malformed } from './errors.ts';
import { isUuid } from './uuid.ts';

export interface Invite {
  /** Without a slash at its end. */
  readonly relayUrl: string;
  readonly code: string;
  /** 33 bytes: what signs the relay's certificates. */
  readonly trustRoot: Uint8Array;
  /** Null: this relay cannot find people by number. */
  readonly discovery: DiscoveryKeys | null;
}

export interface ContactCard {
  readonly account: string;
  readonly identityKey: Uint8Array;
  /** 16 bytes: lets the holder write to the account. */
  readonly accessKey: Uint8Array;
  readonly name: string | null;
}

const CONTACT = 'sottovoce:contact#';

/** `localhost`, whichever way it is written, with or without a port. */
const THIS_MACHINE = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/;
/**
 * An onion service of version 3 (Tor's rend-spec-v3, section 6): its name is its public key, 56 characters of base32 of which the last is the version, so Tor
 * encrypts to the service and to nobody else. Names of version 2 are too short for that, and names below it are no service's.
 */
const ONION_SERVICE = /^[a-z2-7]{55}d\.onion(:\d{1,5})?$/;

/** `a=1&b=2`; keys that nobody knows are left alone, a repeated key is refused. */
function parseFragment(fragment: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const pair of fragment.split('&')) {
    const at = pair.indexOf('=');
    if (at < 1) continue;
    const name = pair.slice(0, at);
    if (fields.has(name)) throw new Malformed(name, 'one value');
    fields.set(name, decodeURIComponent(pair.slice(at + 1)));
  }
  return fields;
}

/**
 * `<relay URL>/join#c=<code>&t=<trust root>&v=<VOPRF public key>&s=<app salt>`, or what the page behind it opens the app with:
 * `sottovoce://join#<the same>&r=<relay URL, percent-encoded>`. The relay must be reached over https, but for
 * this machine itself (localhost) and for onion services, whose way is encrypted by Tor.
 * @throws CannotDo `bad_link`
 */
export function parseInvite(link: string): Invite {
  try {
    const match = /^(https?):\/\/([^\s/?#@]+)((?:\/[^\s?#]*)?)\/join#(\S+)$/.exec(asWebLink(link.trim()));
    if (!match) throw new Malformed('link', 'an invite');
    const [, scheme, host, path, fragment] = match as unknown as [string, string, string, string, string];
    if (scheme === 'http' && !THIS_MACHINE.test(host) && !ONION_SERVICE.test(host)) throw new CannotDo('bad_link', 'the invite names a relay without encryption (http:): ask the operator for an https link');
    const fields = parseFragment(fragment);
    const code = fields.get('c') ?? '';
    if (!/^\S{24}$/.test(code)) throw new Malformed('c', '24 characters');
    const trustRoot = fromBase64url(fields.get('t') ?? '', 't');
    if (trustRoot.length !== 33 || trustRoot[0] !== 5) throw new Malformed('t', '33 bytes');
    return { relayUrl: `${scheme}://${host}${path}`, code, trustRoot, discovery: discoveryKeys(fields) };
  } catch (error) {
    if (error instanceof CannotDo) throw error;
    throw new CannotDo('bad_link', 'this is not an invite link, or part of it is missing: copy it whole, as the operator sent it (https://…/join#c=…&t=…)');
  }
}

/** The link that the page was opened by, from the one that the page makes (relay/pages/join.js); any other text is left as it is. */
function asWebLink(link: string): string {
  const fragment = /^sottovoce:\/\/join\/?#(\S+)$/.exec(link)?.[1];
  if (fragment === undefined) return link;
  const relay = parseFragment(fragment).get('r');
  // Without another #: what stands behind it in `r` would be read as the invite.
  if (relay === undefined || relay.includes('#')) throw new Malformed('r', 'the address of a relay');
  return `${relay}/join#${fragment}`;
}

/** Both or neither, 32 bytes each. */
function discoveryKeys(fields: ReadonlyMap<string, string>): DiscoveryKeys | null {
  if (!fields.has('v') && !fields.has('s')) return null;
  const [voprfPublicKey, appSalt] = [fromBase64url(fields.get('v') ?? '', 'v'), fromBase64url(fields.get('s') ?? '', 's')];
  if (voprfPublicKey.length !== 32) throw new Malformed('v', '32 bytes');
  if (appSalt.length !== 32) throw new Malformed('s', '32 bytes');
  return { voprfPublicKey, appSalt };
}

export function writeContactLink(card: ContactCard): string {
  const name = card.name === null ? '' : `&n=${encodeURIComponent(card.name)}`;
  return `${CONTACT}a=${card.account}&i=${toBase64url(card.identityKey)}&k=${toBase64url(card.accessKey)}${name}`;
}

/** @throws CannotDo `bad_link` */
export function parseContactLink(link: string): ContactCard {
  try {
    const text = link.trim();
    if (!text.startsWith(CONTACT)) throw new Malformed('link', 'a contact');
    const fields = parseFragment(text.slice(CONTACT.length));
    const account = fields.get('a') ?? '';
    const identityKey = fromBase64url(fields.get('i') ?? '', 'i');
    const accessKey = fromBase64url(fields.get('k') ?? '', 'k');
    if (!isUuid(account) || identityKey.length !== 33 || accessKey.length !== 16) throw new Malformed('link', 'a contact');
    return { account, identityKey, accessKey, name: fields.get('n') ?? null };
  } catch {
    throw new CannotDo('bad_link', 'this is not a contact link, or part of it is missing: copy it whole (sottovoce:contact#a=…&i=…&k=…)');
  }
}
