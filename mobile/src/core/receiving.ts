import { sameBytes } from './bytes.ts';
import { EngineError } from './engine.ts';
import type { CertifiedSender, Decrypted, DecryptionKeys, SessionCiphertext, SignalEngine } from './engine.ts';
import { Malformed } from './errors.ts';
import { unpad } from './padding.ts';
import type { Statement } from './ports.ts';
import { preKeyIds } from './prekey_message.ts';
import type { KeyedQueue } from './queue.ts';
import type { RelayTime } from './relay_time.ts';
import type { Account, Contact, Message } from './storage/rows.ts';
import type { Store } from './storage/store.ts';
import { parseContent } from './wire/content.ts';
import type { Content } from './wire/content.ts';
import type { DeliveredEnvelope } from './wire/frames.ts';

/** What an envelope turned out to be. In every case it is settled on disk and is to be acknowledged. */
export type Received =
  | { readonly kind: 'message'; readonly contact: Contact; readonly message: Omit<Message, 'seq'> }
  | { readonly kind: 'undecryptable'; readonly peer: string | null; readonly reason: string }
  | { readonly kind: 'duplicate' }
  /** Nothing to show: a content of a kind not known yet, or a profile. */
  | { readonly kind: 'silent' };

export interface ReceivingDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly queue: KeyedQueue;
  readonly time: RelayTime;
  readonly account: Account & { readonly accountId: string };
}

interface Outcome {
  readonly received: Received;
  readonly statements: readonly Statement[];
}

const OWN_DEVICE = 1;

/**
 * From an envelope to rows, as one unit of work: session, identity, consumed prekeys, the message and the envelope's id are
 * written in ONE transaction, and only when `receive` has resolved may the envelope be acknowledged. Rejects only when this
 * machine failed (a full disk): then nothing was written, nothing is acknowledged, and the relay delivers again.
 */
export class Receiver {
  readonly #deps: ReceivingDeps;

  constructor(deps: ReceivingDeps) {
    this.#deps = deps;
  }

  async receive(envelope: DeliveredEnvelope): Promise<Received> {
    const { store, engine, queue, account } = this.#deps;
    if (await store.envelopeSeen(envelope.id)) return { kind: 'duplicate' };
    let sender: CertifiedSender;
    let message: SessionCiphertext;
    try {
      const unwrapped = await engine.sealedUnwrap(account.identity, unpad(envelope.body));
      message = unwrapped;
      // By the time of arrival: mail waits up to 30 days, a certificate lasts one.
      sender = await engine.checkCertificate(unwrapped.certificate, account.trustRoot, envelope.at * 1000);
      if (sender.device !== OWN_DEVICE || sender.account === account.accountId) throw new EngineError('bad_certificate', 'not a sender we accept');
    } catch (error) {
      // Whoever it claims to be from has not been established, so it is shown as from nobody.
      return this.#settle(envelope, this.#unreadable(envelope, null, reasonOf(error)));
    }
    return queue.run(sender.account, async () => this.#settle(envelope, await this.#open(envelope, sender, message)));
  }

  async #settle(envelope: DeliveredEnvelope, { received, statements }: Outcome): Promise<Received> {
    const { store, time } = this.#deps;
    await store.write([...statements, ...store.envelopeIsSeen(envelope.id, time.nowS())]);
    return received;
  }

  /** Runs in the sender's queue. */
  async #open(envelope: DeliveredEnvelope, sender: CertifiedSender, message: SessionCiphertext): Promise<Outcome> {
    const { store, engine, account } = this.#deps;
    const contact = await store.contact(sender.account);
    if (contact?.identityKey && !sameBytes(contact.identityKey, sender.identityKey)) {
      return this.#unreadable(envelope, sender.account, 'identity_changed');
    }
    let opened: Decrypted;
    try {
      const peer = {
        localAccount: account.accountId,
        identity: account.identity,
        registrationId: account.registrationId,
        peerAccount: sender.account,
        session: await store.session(sender.account),
        peerIdentity: contact?.identityKey ?? null,
      };
      opened = await engine.decrypt(peer, message, await this.#keysFor(message));
      // The certificate says who sealed it, the session who encrypted it: they must be one.
      if (!sameBytes(opened.peerIdentity, sender.identityKey)) throw new EngineError('untrusted_identity', 'sealed by another than encrypted it');
      if (opened.usedKyber && (await this.#isReplay(opened.usedKyber))) throw new EngineError('undecryptable', 'a first message again');
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === 'duplicate') return { received: { kind: 'duplicate' }, statements: [] };
      return this.#unreadable(envelope, sender.account, reason);
    }
    return this.#accept(envelope, sender, contact, opened, message.type === 2);
  }

  async #keysFor(message: SessionCiphertext): Promise<DecryptionKeys> {
    if (message.type !== 3) return {};
    const { store } = this.#deps;
    const ids = preKeyIds(message.body);
    const ec = ids.preKeyId === null ? null : await store.preKey('ec', ids.preKeyId);
    const signed = await store.preKey('signed', ids.signedPreKeyId);
    const kyber = ids.kyberPreKeyId === null ? null : await this.#kyber(ids.kyberPreKeyId);
    return {
      ...(ec && { preKey: ec.record }),
      ...(signed && { signedPreKey: signed.record }),
      ...(kyber && { kyberPreKey: kyber.record }),
    };
  }

  /** One-time and last-resort keys share their ids on the wire. */
  async #kyber(id: number) {
    const { store } = this.#deps;
    return (await store.preKey('kyber_last_resort', id)) ?? store.preKey('kyber', id);
  }

  async #isReplay({ id, signedPreKeyId, baseKey }: NonNullable<Decrypted['usedKyber']>): Promise<boolean> {
    return this.#deps.store.baseKeySeen(id, signedPreKeyId, baseKey);
  }

  /** `answered`: an ordinary message, so they have read one of ours, and our profile in it. Who begins with a number key has not. */
  async #accept(envelope: DeliveredEnvelope, sender: CertifiedSender, before: Contact | null, opened: Decrypted, answered: boolean): Promise<Outcome> {
    const { store } = this.#deps;
    const statements: Statement[] = [store.saveSession(sender.account, opened.session)];
    if (opened.usedPreKeyId !== null) statements.push(store.dropPreKey('ec', opened.usedPreKeyId));
    if (opened.usedKyber) {
      const { id, signedPreKeyId, baseKey } = opened.usedKyber;
      const lastResort = await store.preKey('kyber_last_resort', id);
      statements.push(lastResort ? store.useLastResort(id, signedPreKeyId, baseKey) : store.dropPreKey('kyber', id));
    }
    let content: Content;
    try {
      content = parseContent(opened.plaintext);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      const unreadable = this.#unreadable(envelope, sender.account, 'bad_content');
      const known = store.saveContact({ account: sender.account, identityKey: sender.identityKey, answered });
      return { received: unreadable.received, statements: [...statements, known, ...unreadable.statements] };
    }
    const contact: Contact = {
      account: sender.account,
      name: before?.name ?? content.profile?.name ?? null, // a name that is here already is the member's own choice
      identityKey: sender.identityKey,
      accessKey: content.profile?.contactAccessKey ?? before?.accessKey ?? null,
      answered,
    };
    statements.push(store.saveContact(contact));
    if (content.profile) statements.push(...store.outboxUnblock(sender.account));
    if (content.kind !== 'text') return { received: { kind: 'silent' }, statements };
    if (await store.contentSeen(sender.account, content.id)) return { received: { kind: 'duplicate' }, statements };
    const message: Omit<Message, 'seq'> = {
      contentId: content.id,
      peer: sender.account,
      direction: 'in',
      kind: 'text',
      text: content.text,
      sentAt: content.sentAt,
      arrivedAt: envelope.at,
      state: 'received',
      reason: null,
    };
    statements.push(store.addMessage(message));
    return { received: { kind: 'message', contact, message }, statements };
  }

  /** A visible row: something came and could not be read. Never silently lost, never asked for again. */
  #unreadable(envelope: DeliveredEnvelope, peer: string | null, reason: string): Outcome {
    const row = this.#deps.store.addMessage({
      contentId: envelope.id,
      peer,
      direction: 'in',
      kind: 'undecryptable',
      text: null,
      sentAt: envelope.at,
      arrivedAt: envelope.at,
      state: 'received',
      reason,
    });
    return { received: { kind: 'undecryptable', peer, reason }, statements: [row] };
  }
}

/** The code of a verdict on what came; a fault of this machine is thrown on. */
function reasonOf(error: unknown): string {
  if (error instanceof EngineError || error instanceof Malformed) return error.code;
  throw error;
}
