/** The Signal engine over @signalapp/libsignal-client. Stores live for one call, hold what was given in, and collect what changes. */
import * as signal from '@signalapp/libsignal-client';

import { concat, sameBytes } from '../core/bytes.ts';
import { EngineError } from '../core/engine.ts';
import type {
  CertifiedSender,
  Decrypted,
  DecryptionKeys,
  EngineErrorCode,
  Fingerprint,
  FingerprintParty,
  GeneratedKey,
  GeneratedSignedKey,
  MessageType,
  PeerState,
  PreKeyBundle,
  SessionCiphertext,
  SignalEngine,
} from '../core/engine.ts';

const DEVICE = 1;
const FINGERPRINT = { iterations: 5200, version: 2 } as const;

class Session extends signal.SessionStore {
  record: Uint8Array | null;

  constructor(record: Uint8Array | null) {
    super();
    this.record = record;
  }

  async saveSession(_name: signal.ProtocolAddress, record: signal.SessionRecord): Promise<void> {
    this.record = record.serialize();
  }

  async getSession(): Promise<signal.SessionRecord | null> {
    return this.record && signal.SessionRecord.deserialize(this.record);
  }

  async getExistingSessions(): Promise<signal.SessionRecord[]> {
    return this.record ? [signal.SessionRecord.deserialize(this.record)] : [];
  }

  get saved(): Uint8Array {
    if (!this.record) throw new EngineError('no_session', 'no session was made');
    return this.record;
  }
}

class Identity extends signal.IdentityKeyStore {
  peerIdentity: Uint8Array | null;
  readonly #pair: signal.IdentityKeyPair;
  readonly #registrationId: number;

  constructor(identity: Uint8Array, registrationId: number, peerIdentity: Uint8Array | null) {
    super();
    this.#pair = signal.IdentityKeyPair.deserialize(identity);
    this.#registrationId = registrationId;
    this.peerIdentity = peerIdentity;
  }

  async getIdentityKey(): Promise<signal.PrivateKey> {
    return this.#pair.privateKey;
  }

  async getLocalRegistrationId(): Promise<number> {
    return this.#registrationId;
  }

  async saveIdentity(_name: signal.ProtocolAddress, key: signal.PublicKey): Promise<signal.IdentityChange> {
    const serialized = key.serialize();
    const replaced = this.peerIdentity !== null && !sameBytes(this.peerIdentity, serialized);
    this.peerIdentity = serialized;
    return replaced ? signal.IdentityChange.ReplacedExisting : signal.IdentityChange.NewOrUnchanged;
  }

  /** An identity once known is the only one trusted: a change is the core's to judge, not the engine's to accept. */
  async isTrustedIdentity(_name: signal.ProtocolAddress, key: signal.PublicKey): Promise<boolean> {
    return this.peerIdentity === null || sameBytes(this.peerIdentity, key.serialize());
  }

  async getIdentity(): Promise<signal.PublicKey | null> {
    return this.peerIdentity && signal.PublicKey.deserialize(this.peerIdentity);
  }

  get saved(): Uint8Array {
    if (!this.peerIdentity) throw new EngineError('untrusted_identity', 'no identity was established');
    return this.peerIdentity;
  }
}

/** The prekeys of one message. libsignal wants three stores; nothing is ever saved through them. */
function preKeyStores(keys: DecryptionKeys) {
  const used: { preKeyId: number | null; kyber: Decrypted['usedKyber']; missing: boolean } = { preKeyId: null, kyber: null, missing: false };
  // libsignal wraps what a store throws in an error of its own, so what was missing is noted beside it.
  const need = (record: Uint8Array | undefined): Uint8Array => {
    used.missing ||= !record;
    if (!record) throw new Error('a prekey the message names is not here');
    return record;
  };
  class Ec extends signal.PreKeyStore {
    async savePreKey(): Promise<void> {}
    async getPreKey(): Promise<signal.PreKeyRecord> {
      return signal.PreKeyRecord.deserialize(need(keys.preKey));
    }
    async removePreKey(id: number): Promise<void> {
      used.preKeyId = id;
    }
  }
  class Signed extends signal.SignedPreKeyStore {
    async saveSignedPreKey(): Promise<void> {}
    async getSignedPreKey(): Promise<signal.SignedPreKeyRecord> {
      return signal.SignedPreKeyRecord.deserialize(need(keys.signedPreKey));
    }
  }
  class Kyber extends signal.KyberPreKeyStore {
    async saveKyberPreKey(): Promise<void> {}
    async getKyberPreKey(): Promise<signal.KyberPreKeyRecord> {
      return signal.KyberPreKeyRecord.deserialize(need(keys.kyberPreKey));
    }
    async markKyberPreKeyUsed(id: number, signedPreKeyId: number, baseKey: signal.PublicKey): Promise<void> {
      used.kyber = { id, signedPreKeyId, baseKey: baseKey.serialize() };
    }
  }
  return { used, ec: new Ec(), signed: new Signed(), kyber: new Kyber() };
}

/** libsignal's errors as the engine's few codes. What is none of them is a fault of this machine and stays what it is. */
function verdict(error: unknown, otherwise: EngineErrorCode): unknown {
  if (!(error instanceof signal.LibSignalErrorBase)) return error;
  // The library's own words may name addresses and counters; they stay out of what is stored and logged.
  if (error.code === signal.ErrorCode.DuplicatedMessage) return new EngineError('duplicate', 'this message was read before');
  if (error.code === signal.ErrorCode.UntrustedIdentity) return new EngineError('untrusted_identity', 'the identity key is not the known one');
  return new EngineError(otherwise, `libsignal refused: ${otherwise}`);
}

async function judged<T>(otherwise: EngineErrorCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw verdict(error, otherwise);
  }
}

function addresses(peer: PeerState) {
  return {
    session: new Session(peer.session),
    identity: new Identity(peer.identity, peer.registrationId, peer.peerIdentity),
    remote: signal.ProtocolAddress.new(peer.peerAccount, DEVICE),
  };
}

/**
 * libsignal's Node binding cannot make a CiphertextMessage from bytes, but it reads the whole content of a sealed message:
 * UnidentifiedSenderMessage.Message of sealed_sender.proto, 1 = type (1 prekey, 2 ordinary), 2 = certificate, 3 = message.
 */
function sealedContent(certificate: Uint8Array, message: SessionCiphertext): signal.UnidentifiedSenderMessageContent {
  const field = (number: number, bytes: Uint8Array): Uint8Array => {
    const head = [(number << 3) | 2];
    let length = bytes.length;
    for (; length >= 0x80; length = Math.floor(length / 0x80)) head.push((length % 0x80) | 0x80);
    return concat(Uint8Array.from([...head, length]), bytes);
  };
  const type = Uint8Array.of(1 << 3, message.type === 3 ? 1 : 2);
  return signal.UnidentifiedSenderMessageContent.deserialize(concat(type, field(2, certificate), field(3, message.body)));
}

function messageType(type: number): MessageType {
  if (type !== 2 && type !== 3) throw new EngineError('undecryptable', 'a message type that is not spoken here');
  return type;
}

function kyberKey(pair: signal.IdentityKeyPair, id: number, nowMs: number): GeneratedSignedKey {
  const keys = signal.KEMKeyPair.generate();
  const publicKey = keys.getPublicKey().serialize();
  const signature = pair.privateKey.sign(publicKey);
  return { id, record: signal.KyberPreKeyRecord.new(id, nowMs, keys, signature).serialize(), publicKey, signature };
}

export class NodeSignalEngine implements SignalEngine {
  async generateIdentity(): Promise<{ identity: Uint8Array; publicKey: Uint8Array }> {
    const pair = signal.IdentityKeyPair.generate();
    return { identity: pair.serialize(), publicKey: pair.publicKey.serialize() };
  }

  async generateSignedPreKey(identity: Uint8Array, id: number, nowMs: number): Promise<GeneratedSignedKey> {
    const secret = signal.PrivateKey.generate();
    const publicKey = secret.getPublicKey().serialize();
    const signature = signal.IdentityKeyPair.deserialize(identity).privateKey.sign(publicKey);
    const record = signal.SignedPreKeyRecord.new(id, nowMs, secret.getPublicKey(), secret, signature);
    return { id, record: record.serialize(), publicKey, signature };
  }

  async generatePreKeys(firstId: number, count: number): Promise<readonly GeneratedKey[]> {
    return Array.from({ length: count }, (_, index) => {
      const secret = signal.PrivateKey.generate();
      const record = signal.PreKeyRecord.new(firstId + index, secret.getPublicKey(), secret);
      return { id: firstId + index, record: record.serialize(), publicKey: secret.getPublicKey().serialize() };
    });
  }

  async generateKyberPreKeys(identity: Uint8Array, firstId: number, count: number, nowMs: number): Promise<readonly GeneratedSignedKey[]> {
    const pair = signal.IdentityKeyPair.deserialize(identity);
    return Array.from({ length: count }, (_, index) => kyberKey(pair, firstId + index, nowMs));
  }

  processBundle(peer: PeerState, bundle: PreKeyBundle, nowMs: number): Promise<{ session: Uint8Array; peerIdentity: Uint8Array }> {
    return judged('bad_bundle', async () => {
      const { session, identity, remote } = addresses(peer);
      const parsed = signal.PreKeyBundle.new(
        bundle.registrationId,
        DEVICE,
        bundle.preKey && bundle.preKey.id,
        bundle.preKey && signal.PublicKey.deserialize(bundle.preKey.publicKey),
        bundle.signedPreKey.id,
        signal.PublicKey.deserialize(bundle.signedPreKey.publicKey),
        bundle.signedPreKey.signature,
        signal.PublicKey.deserialize(bundle.identityKey),
        bundle.kyberPreKey.id,
        signal.KEMPublicKey.deserialize(bundle.kyberPreKey.publicKey),
        bundle.kyberPreKey.signature,
      );
      await signal.processPreKeyBundle(parsed, remote, session, identity, new Date(nowMs));
      return { session: session.saved, peerIdentity: identity.saved };
    });
  }

  encrypt(peer: PeerState, plaintext: Uint8Array, nowMs: number): Promise<SessionCiphertext & { session: Uint8Array }> {
    return judged('no_session', async () => {
      const { session, identity, remote } = addresses(peer);
      const message = await signal.signalEncrypt(plaintext, remote, session, identity, new Date(nowMs));
      return { type: messageType(message.type()), body: message.serialize(), session: session.saved };
    });
  }

  decrypt(peer: PeerState, message: SessionCiphertext, keys: DecryptionKeys): Promise<Decrypted> {
    return judged('undecryptable', async () => {
      const { session, identity, remote } = addresses(peer);
      const { used, ec, signed, kyber } = preKeyStores(keys);
      let plaintext: Uint8Array;
      try {
        plaintext =
          message.type === 3
            ? await signal.signalDecryptPreKey(signal.PreKeySignalMessage.deserialize(message.body), remote, session, identity, ec, signed, kyber)
            : await signal.signalDecrypt(signal.SignalMessage.deserialize(message.body), remote, session, identity);
      } catch (error) {
        throw used.missing ? new EngineError('missing_prekey', 'a prekey the message names is not here') : error;
      }
      return { plaintext, session: session.saved, peerIdentity: identity.saved, usedPreKeyId: used.preKeyId, usedKyber: used.kyber };
    });
  }

  sealedWrap(peer: PeerState, peerIdentity: Uint8Array, certificate: Uint8Array, message: SessionCiphertext): Promise<Uint8Array> {
    return judged('bad_certificate', async () => {
      const { remote } = addresses(peer);
      const identity = new Identity(peer.identity, peer.registrationId, peerIdentity);
      return signal.sealedSenderEncrypt(sealedContent(certificate, message), remote, identity);
    });
  }

  sealedUnwrap(identity: Uint8Array, sealed: Uint8Array): Promise<SessionCiphertext & { certificate: Uint8Array }> {
    return judged('not_for_me', async () => {
      const content = await signal.sealedSenderDecryptToUsmc(sealed, new Identity(identity, 0, null));
      return { type: messageType(content.msgType()), body: content.contents(), certificate: content.senderCertificate().serialize() };
    });
  }

  checkCertificate(certificate: Uint8Array, trustRoot: Uint8Array, atMs: number): Promise<CertifiedSender> {
    return judged('bad_certificate', async () => {
      const parsed = signal.SenderCertificate.deserialize(certificate);
      if (!parsed.validate(signal.PublicKey.deserialize(trustRoot), atMs)) {
        throw new EngineError('bad_certificate', 'the trust root did not sign this certificate, or it had expired');
      }
      return {
        account: parsed.senderUuid(),
        device: parsed.senderDeviceId(),
        identityKey: parsed.key().serialize(),
        expiresAtMs: parsed.expiration(),
      };
    });
  }
  fingerprint(local: FingerprintParty, remote: FingerprintParty): Promise<Fingerprint> {
    return judged('bad_fingerprint', async () => {
      const { iterations, version } = FINGERPRINT;
      const [localKey, remoteKey] = [signal.PublicKey.deserialize(local.identityKey), signal.PublicKey.deserialize(remote.identityKey)];
      const made = signal.Fingerprint.new(iterations, version, local.identifier, localKey, remote.identifier, remoteKey);
      return { digits: made.displayableFingerprint().toString(), scannable: new Uint8Array(made.scannableFingerprint().toBuffer()) };
    });
  }

  compareFingerprints(own: Uint8Array, scanned: Uint8Array): Promise<boolean> {
    const code = (bytes: Uint8Array): signal.ScannableFingerprint => signal.ScannableFingerprint._fromBuffer(bytes);
    return judged('bad_fingerprint', async () => code(own).compare(code(scanned)));
  }
}
