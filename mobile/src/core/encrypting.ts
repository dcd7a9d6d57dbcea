/** From a content to a sealed body: session, certificate, padding. Used by the outbox, by signals and by the probe. */
import { sameBytes } from './bytes.ts';
import type { SenderCertificates } from './certificates.ts';
import { EngineError } from './engine.ts';
import type { MessageType, PeerState, PreKeyBundle, SessionCiphertext, SignalEngine } from './engine.ts';
import { RelayRefused, SottovoceError } from './errors.ts';
import { pad } from './padding.ts';
import type { Random, Statement } from './ports.ts';
import { LOOK_AGAIN_S } from './people/access.ts';
import type { Access } from './people/access.ts';
import type { KeyedQueue } from './queue.ts';
import type { AnonymousApi } from './relay_api.ts';
import type { RelayTime } from './relay_time.ts';
import type { Account } from './storage/account.ts';
import type { Contact } from './storage/people.ts';
import type { Store } from './storage/store.ts';
import { envelopeId, uuid4 } from './uuid.ts';
import { encodeContent } from './wire/content.ts';
import type { Content, Profile } from './wire/content.ts';

export interface EncryptingDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly queue: KeyedQueue;
  readonly time: RelayTime;
  readonly random: Random;
  readonly api: AnonymousApi;
  readonly certificates: SenderCertificates;
  readonly access: Access;
  readonly account: Account & { readonly accountId: string };
  /** Told after it is on disk. */
  readonly onIdentityChanged: (peer: string) => void;
}

/** It cannot go on by itself; the code becomes the message's reason. */
export class Blocked extends SottovoceError {}

/** It is to be tried again after so many seconds. */
export class Postponed extends SottovoceError {
  readonly inS: number;

  constructor(code: string, message: string, inS: number) {
    super(code, message);
    this.inS = inS;
  }
}

export interface Encrypted {
  readonly messageType: MessageType;
  readonly ciphertext: Uint8Array;
  readonly peerIdentity: Uint8Array;
}

export interface SealedBody {
  readonly id: string;
  readonly body: Uint8Array;
  /** When the certificate within expires, seconds since 1970. */
  readonly sealedUntil: number;
}

export interface HowToEncrypt {
  /** `keep`: a session is begun if there is none. `renew`: always. `never`: rather not at all. */
  readonly session: 'keep' | 'renew' | 'never';
  /** What the content is by now: asked for in the peer's queue, where nobody changes it between here and `also`. */
  latest?(): Promise<Content>;
  /** Written in the same transaction as the session. */
  also(encrypted: Encrypted): readonly Statement[];
}

/** @throws Blocked `no_access_key` */
export function accessKeyOf(contact: Contact | null): Uint8Array {
  if (!contact?.accessKey) throw new Blocked('no_access_key', 'they have not told their access key');
  return contact.accessKey;
}

export class Encryptor {
  readonly #deps: EncryptingDeps;

  constructor(deps: EncryptingDeps) {
    this.#deps = deps;
  }

  /**
   * Session and ciphertext in one transaction, before anything leaves.
   * @throws Blocked `identity_unconfirmed`, `blocked`, `no_access`, `no_access_key`, `no_session` (with `never`), `bad_bundle`; Postponed; RelayUnreachable, RelayRefused
   */
  async encrypt(peer: string, content: Content, how: HowToEncrypt): Promise<Encrypted> {
    const { store, queue } = this.#deps;
    const missing = how.session === 'renew' || !(await store.keys.session(peer));
    if (missing && how.session === 'never') throw new Blocked('no_session', 'there is no session yet');
    // The bundle is fetched outside the queue: a slow relay must not hold up what arrives from this peer.
    let bundle = missing ? await this.#takeBundle(peer) : null;
    for (;;) {
      try {
        return await queue.run(peer, () => this.#encryptNow(peer, content, bundle, how));
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'no_session' || bundle) throw error;
        if (how.session === 'never') throw new Blocked('no_session', 'the session has gone stale');
        bundle = await this.#takeBundle(peer); // the session there was has gone stale
      }
    }
  }

  async #encryptNow(account: string, content: Content, bundle: PreKeyBundle | null, how: HowToEncrypt): Promise<Encrypted> {
    const { store, engine, time } = this.#deps;
    const contact = await store.people.get(account);
    if (contact?.blocked) throw new Blocked('blocked', 'this contact is blocked');
    if (contact?.identityState === 'unconfirmed') throw new Blocked('identity_unconfirmed', 'their identity key changed and nobody has confirmed the new one');
    let peer = this.#peer(account, await store.keys.session(account), contact?.identityKey ?? null);
    const profile = content.kind === 'profile' || !contact?.answered ? await this.#profile() : null;
    const plaintext = encodeContent({ ...((await how.latest?.()) ?? content), profile });
    const changes: Statement[] = [];
    let message = how.session === 'renew' ? null : await this.#encryptUnlessStale(peer, plaintext);
    if (!message) {
      if (!bundle) throw new EngineError('no_session', 'the session has gone stale');
      if (peer.peerIdentity && !sameBytes(peer.peerIdentity, bundle.identityKey)) {
        changes.push(...(await this.#identityChanged(account, bundle.identityKey)));
        peer = { ...peer, session: null, peerIdentity: bundle.identityKey };
      }
      peer = { ...peer, ...(await this.#begin(peer, bundle)) };
      message = await engine.encrypt(peer, plaintext, time.nowMs());
    }
    const { peerIdentity } = peer;
    if (!peerIdentity) throw new EngineError('untrusted_identity', 'a session without an identity');
    const encrypted: Encrypted = { messageType: message.type, ciphertext: message.body, peerIdentity };
    await store.write([
      ...changes,
      store.keys.saveSession(account, message.session),
      store.people.save({ account, identityKey: peerIdentity }),
      ...how.also(encrypted),
    ]);
    if (changes.length > 0) this.#deps.onIdentityChanged(account);
    return encrypted;
  }

  /** The relay gives another key than the known one. Whoever was pinned or verified is not written to before a person confirms. */
  async #identityChanged(peer: string, identityKey: Uint8Array): Promise<readonly Statement[]> {
    const { store, random, time } = this.#deps;
    const now = time.nowS();
    const statements = [
      store.people.changeIdentity(peer, identityKey),
      store.keys.dropSession(peer),
      store.outbox.encryptAgain(peer),
      store.outbox.forgetAllSent(peer),
      store.messages.add({ contentId: uuid4(random), peer, direction: 'in', kind: 'identity_changed', sentAt: now, state: 'received', readAt: now }),
    ];
    const contact = await store.people.get(peer);
    if (!contact?.pinned && !contact?.verified) return statements;
    await store.write(statements);
    this.#deps.onIdentityChanged(peer);
    throw new Blocked('identity_unconfirmed', 'the relay gives another identity key than the known one');
  }

  async #encryptUnlessStale(peer: PeerState, plaintext: Uint8Array) {
    if (!peer.session) return null;
    try {
      return await this.#deps.engine.encrypt(peer, plaintext, this.#deps.time.nowMs());
    } catch (error) {
      if (error instanceof EngineError && error.code === 'no_session') return null;
      throw error;
    }
  }

  #begin(peer: PeerState, bundle: PreKeyBundle) {
    return this.#deps.engine.processBundle(peer, bundle, this.#deps.time.nowMs()).catch((error: unknown) => {
      if (error instanceof EngineError) throw new Blocked(error.code, error.message);
      throw error;
    });
  }

  async #takeBundle(peer: string): Promise<PreKeyBundle> {
    const { store, api, access } = this.#deps;
    for (;;) {
      const key = accessKeyOf(await store.people.get(peer));
      try {
        return await api.takeBundle(peer, key);
      } catch (error) {
        if (!(error instanceof RelayRefused && error.code === 'no_access')) throw error;
      }
      const verdict = await access.refused(peer, key);
      if (verdict === 'later') throw new Postponed('no_access', 'their new access key may be waiting in the mailbox', LOOK_AGAIN_S);
      if (verdict === 'no_access') throw new Blocked('no_access', 'no such account, or another access key');
    }
  }

  /** Certificate, padding and envelope id. @throws NotTrusted, RelayUnreachable, RelayRefused when a certificate is needed and cannot be had */
  async seal(peer: string, { messageType, ciphertext, peerIdentity }: Encrypted): Promise<SealedBody> {
    const { engine, certificates, time, random } = this.#deps;
    const { certificate, expiresAt } = await certificates.current();
    const message: SessionCiphertext = { type: messageType, body: ciphertext };
    const body = pad(await engine.sealedWrap(this.#peer(peer, null, peerIdentity), peerIdentity, certificate, message));
    return { id: envelopeId(random, time.nowMs()), body, sealedUntil: expiresAt };
  }

  #peer(peerAccount: string, session: Uint8Array | null, peerIdentity: Uint8Array | null): PeerState {
    const { account } = this.#deps;
    return { localAccount: account.accountId, identity: account.identity, registrationId: account.registrationId, peerAccount, session, peerIdentity };
  }

  /** Read each time: name and access key may have changed. */
  async #profile(): Promise<Profile> {
    const { name, contactAccessKey } = (await this.#deps.store.account.get()) ?? this.#deps.account;
    return { name, contactAccessKey };
  }
}
