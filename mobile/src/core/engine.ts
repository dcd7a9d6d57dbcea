import { SottovoceError } from './errors.ts';

/**
 * The Signal protocol as functions from bytes to bytes. The engine keeps nothing: state comes in and new state goes out, so
 * the core alone decides what is written, and when. A phone and a Node engine pass one conformance suite.
 *
 * Keys are in libsignal's serialized form: public keys 33 bytes (0x05 first), Kyber1024 public keys 1569 bytes.
 */
export interface SignalEngine {
  generateIdentity(): Promise<{ readonly identity: Uint8Array; readonly publicKey: Uint8Array }>;
  generateSignedPreKey(identity: Uint8Array, id: number, nowMs: number): Promise<GeneratedSignedKey>;
  generatePreKeys(firstId: number, count: number): Promise<readonly GeneratedKey[]>;
  generateKyberPreKeys(identity: Uint8Array, firstId: number, count: number, nowMs: number): Promise<readonly GeneratedSignedKey[]>;

  /** PQXDH, first half. Checks the bundle's signatures. @throws EngineError `bad_bundle`, `untrusted_identity` */
  processBundle(peer: PeerState, bundle: PreKeyBundle, nowMs: number): Promise<{ readonly session: Uint8Array; readonly peerIdentity: Uint8Array }>;

  /** @throws EngineError `no_session` when there is none, or the one there is has gone stale */
  encrypt(peer: PeerState, plaintext: Uint8Array, nowMs: number): Promise<SessionCiphertext & { readonly session: Uint8Array }>;

  /**
   * Nothing that was given in is changed when this throws.
   * @throws EngineError `duplicate`, `missing_prekey`, `untrusted_identity`, `undecryptable`
   */
  decrypt(peer: PeerState, message: SessionCiphertext, keys: DecryptionKeys): Promise<Decrypted>;

  /** Sealed sender, version 1. */
  sealedWrap(peer: PeerState, peerIdentity: Uint8Array, certificate: Uint8Array, message: SessionCiphertext): Promise<Uint8Array>;

  /** @throws EngineError `not_for_me` */
  sealedUnwrap(identity: Uint8Array, sealed: Uint8Array): Promise<SessionCiphertext & { readonly certificate: Uint8Array }>;

  /** Who a sender certificate speaks for. @throws EngineError `bad_certificate` when the root did not sign it or it was expired at `atMs` */
  checkCertificate(certificate: Uint8Array, trustRoot: Uint8Array, atMs: number): Promise<CertifiedSender>;

  /**
   * The safety number of two people, libsignal's numeric fingerprint version 2 with 5200 iterations. The digits are the same
   * at both ends; the scannable code is not, it says who is who. @throws EngineError `bad_fingerprint` when a key is none
   */
  fingerprint(local: FingerprintParty, remote: FingerprintParty): Promise<Fingerprint>;

  /** Whether what was scanned from their screen fits our own scannable code. @throws EngineError `bad_fingerprint` when it is no code of this version */
  compareFingerprints(own: Uint8Array, scanned: Uint8Array): Promise<boolean>;
}

export interface FingerprintParty {
  /** What the account is named by: its 16 bytes. */
  readonly identifier: Uint8Array;
  readonly identityKey: Uint8Array;
}

export interface Fingerprint {
  /** 60 decimal digits. */
  readonly digits: string;
  readonly scannable: Uint8Array;
}

export interface PeerState {
  readonly localAccount: string;
  /** The serialized identity key pair. */
  readonly identity: Uint8Array;
  readonly registrationId: number;
  readonly peerAccount: string;
  readonly session: Uint8Array | null;
  readonly peerIdentity: Uint8Array | null;
}

export interface GeneratedKey {
  readonly id: number;
  /** The serialized record, private half included. */
  readonly record: Uint8Array;
  readonly publicKey: Uint8Array;
}

export interface GeneratedSignedKey extends GeneratedKey {
  readonly signature: Uint8Array;
}

export interface PreKeyBundle {
  readonly identityKey: Uint8Array;
  readonly registrationId: number;
  readonly signedPreKey: { readonly id: number; readonly publicKey: Uint8Array; readonly signature: Uint8Array };
  readonly preKey: { readonly id: number; readonly publicKey: Uint8Array } | null;
  readonly kyberPreKey: { readonly id: number; readonly publicKey: Uint8Array; readonly signature: Uint8Array };
}

/** libsignal's message types: 2 an ordinary message, 3 one that carries a key agreement. */
export type MessageType = 2 | 3;

export interface SessionCiphertext {
  readonly type: MessageType;
  readonly body: Uint8Array;
}

/** The records a message names; only those are ever loaded. */
export interface DecryptionKeys {
  readonly preKey?: Uint8Array;
  readonly signedPreKey?: Uint8Array;
  readonly kyberPreKey?: Uint8Array;
}

export interface Decrypted {
  readonly plaintext: Uint8Array;
  readonly session: Uint8Array;
  readonly peerIdentity: Uint8Array;
  readonly usedPreKeyId: number | null;
  /** Set when the message began a new session: the keys it used and the sender's base key. */
  readonly usedKyber: { readonly id: number; readonly signedPreKeyId: number; readonly baseKey: Uint8Array } | null;
}

export interface CertifiedSender {
  readonly account: string;
  readonly device: number;
  readonly identityKey: Uint8Array;
  readonly expiresAtMs: number;
}

export type EngineErrorCode =
  | 'duplicate'
  | 'missing_prekey'
  | 'untrusted_identity'
  | 'undecryptable'
  | 'no_session'
  | 'bad_bundle'
  | 'bad_certificate'
  | 'bad_fingerprint'
  | 'not_for_me';

/** The engine's verdict on what it was given; anything else it throws is a fault of this machine, and is retried. */
export class EngineError extends SottovoceError {
  // Assigned and not only declared: the bundler of the phone does not know fields that are types alone.
  override readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string) {
    super(code, message);
    this.code = code;
  }
}
