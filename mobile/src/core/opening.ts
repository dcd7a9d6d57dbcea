/** The first half of receiving: from a sealed body to a content and who sent it. Decides nothing about what it means, writes nothing. */
import { sameBytes } from './bytes.ts';
import { EngineError } from './engine.ts';
import type { CertifiedSender, Decrypted, DecryptionKeys, SessionCiphertext, SignalEngine } from './engine.ts';
import { Malformed } from './errors.ts';
import { unpad } from './padding.ts';
import type { Statement } from './ports.ts';
import { preKeyIds } from './prekey_message.ts';
import type { Account } from './storage/account.ts';
import type { Contact } from './storage/people.ts';
import type { Store } from './storage/store.ts';
import { parseContent } from './wire/content.ts';
import type { Arrived } from './wire/content.ts';

export interface OpeningDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly account: Account & { readonly accountId: string };
}

/** A sealed body, and when it came by the relay's clock, seconds since 1970. */
export interface Sealed {
  readonly at: number;
  readonly body: Uint8Array;
}

/** Whose it is has been established by a certificate; what is in it is not known yet. */
export interface Unwrapped {
  readonly kind: 'unwrapped';
  readonly sender: CertifiedSender;
  /** From this very account: a probe of our own. */
  readonly own: boolean;
  readonly message: SessionCiphertext;
}

export interface Opened {
  readonly kind: 'opened';
  readonly sender: CertifiedSender;
  readonly content: Arrived;
  /** As it was before this message. */
  readonly contact: Contact | null;
  readonly identityChanged: boolean;
  /** Session, identity and used prekeys: part of the unit of work, whatever the content is. */
  readonly statements: readonly Statement[];
}

export interface Unreadable {
  readonly kind: 'unreadable';
  readonly reason: string;
  readonly contact: Contact | null;
  /** What is to be written all the same: a session that moved on although the content was none. */
  readonly statements: readonly Statement[];
}

const OWN_DEVICE = 1;

/** Unwraps and checks the certificate. Null with a reason when the sender cannot be established: it is then from nobody. */
export async function unwrap(deps: OpeningDeps, sealed: Sealed): Promise<Unwrapped | { readonly kind: 'nobody'; readonly reason: string }> {
  const { engine, account } = deps;
  try {
    const message = await engine.sealedUnwrap(account.identity, unpad(sealed.body));
    // By the time of arrival: mail waits up to 30 days, a certificate lasts one.
    const sender = await engine.checkCertificate(message.certificate, account.trustRoot, sealed.at * 1000);
    const own = sender.account === account.accountId;
    if (sender.device !== OWN_DEVICE || (own && !sameBytes(sender.identityKey, account.identityKey))) {
      throw new EngineError('bad_certificate', 'not a sender we accept');
    }
    return { kind: 'unwrapped', sender, own, message };
  } catch (error) {
    return { kind: 'nobody', reason: reasonOf(error) };
  }
}

/** Decrypts. Runs in the sender's queue: the session is read here and written by who called. */
export async function open(deps: OpeningDeps, { sender, own, message }: Unwrapped): Promise<Opened | Unreadable | { readonly kind: 'duplicate' }> {
  const { store, engine, account } = deps;
  const contact = own ? null : await store.people.get(sender.account);
  const known = contact?.identityKey ?? null;
  const identityChanged = known !== null && !sameBytes(known, sender.identityKey);
  const session = own ? null : await store.keys.session(sender.account);
  const unreadable = (reason: string, statements: readonly Statement[] = []): Unreadable => ({ kind: 'unreadable', reason, contact, statements });
  let opened: Decrypted;
  try {
    const peer = {
      localAccount: account.accountId,
      identity: account.identity,
      registrationId: account.registrationId,
      peerAccount: sender.account,
      // Under another identity only a first message can be read, and nothing of the old session has a part in it.
      session: identityChanged ? null : session,
      peerIdentity: sender.identityKey,
    };
    opened = await engine.decrypt(peer, message, await keysFor(store, message));
    // The certificate says who sealed it, the session who encrypted it: they must be one.
    if (!sameBytes(opened.peerIdentity, sender.identityKey)) throw new EngineError('untrusted_identity', 'sealed by another than encrypted it');
    if (opened.usedKyber && (await isReplay(store, opened.usedKyber))) throw new EngineError('undecryptable', 'a first message again');
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === 'duplicate') return { kind: 'duplicate' };
    return unreadable(identityChanged ? 'identity_changed' : reason);
  }
  const statements: Statement[] = await usedKeys(store, opened);
  if (!own) {
    statements.push(store.keys.saveSession(sender.account, opened.session));
    if (identityChanged) statements.push(store.people.changeIdentity(sender.account, sender.identityKey), store.outbox.encryptAgain(sender.account));
    // Somebody new is a stranger until a person says otherwise. An ordinary message means that they have read one of ours, and our
    // profile in it; who begins may know no more than a number.
    statements.push(store.people.save({ account: sender.account, identityKey: sender.identityKey, answered: message.type === 2, ...(contact ? {} : { request: true }) }));
  }
  let content: Arrived;
  try {
    content = parseContent(opened.plaintext);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return unreadable('bad_content', statements);
  }
  return { kind: 'opened', sender, content, contact, identityChanged, statements };
}

async function keysFor(store: Store, message: SessionCiphertext): Promise<DecryptionKeys> {
  if (message.type !== 3) return {};
  const ids = preKeyIds(message.body);
  const ec = ids.preKeyId === null ? null : await store.keys.preKey('ec', ids.preKeyId);
  const signed = await store.keys.preKey('signed', ids.signedPreKeyId);
  // One-time and last-resort keys share their ids on the wire.
  const kyber = ids.kyberPreKeyId === null ? null : ((await store.keys.preKey('kyber_last_resort', ids.kyberPreKeyId)) ?? (await store.keys.preKey('kyber', ids.kyberPreKeyId)));
  return {
    ...(ec && { preKey: ec.record }),
    ...(signed && { signedPreKey: signed.record }),
    ...(kyber && { kyberPreKey: kyber.record }),
  };
}

function isReplay(store: Store, { id, signedPreKeyId, baseKey }: NonNullable<Decrypted['usedKyber']>): Promise<boolean> {
  return store.keys.baseKeySeen(id, signedPreKeyId, baseKey);
}

async function usedKeys(store: Store, { usedPreKeyId, usedKyber }: Decrypted): Promise<Statement[]> {
  const statements: Statement[] = [];
  if (usedPreKeyId !== null) statements.push(store.keys.dropPreKey('ec', usedPreKeyId));
  if (usedKyber) {
    const { id, signedPreKeyId, baseKey } = usedKyber;
    const lastResort = await store.keys.preKey('kyber_last_resort', id);
    statements.push(lastResort ? store.keys.useLastResort(id, signedPreKeyId, baseKey) : store.keys.dropPreKey('kyber', id));
  }
  return statements;
}

/** The code of a verdict on what came; a fault of this machine is thrown on. */
function reasonOf(error: unknown): string {
  if (error instanceof EngineError || error instanceof Malformed) return error.code;
  throw error;
}
