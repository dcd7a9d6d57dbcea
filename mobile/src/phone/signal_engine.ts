/**
 * The Signal engine of the phone: every call goes as JSON text to the Kotlin engine (modules/sottovoce-native), bytes as base64url.
 * Here is only the spelling; the tests run the same class against the same Kotlin on a JVM.
 */
import { fromBase64url, toBase64url } from '../core/bytes.ts';
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

/** The one function of the native module that the engine needs. Answers `{"ok"}` or `{"refused"}`; rejects on faults of the machine. */
export interface EnginePort {
  engine(call: string, argumentsJson: string): Promise<string>;
}

/** What `T` looks like in JSON. */
type Spelled<T> = T extends Uint8Array
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Spelled<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Spelled<T[Key]> }
      : T;

function spell(value: unknown): unknown {
  if (value instanceof Uint8Array) return toBase64url(value);
  if (Array.isArray(value)) return value.map(spell);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, spell(field)]));
}

const bytes = (text: string): Uint8Array => fromBase64url(text, 'engine');

const generated = (key: Spelled<GeneratedKey>): GeneratedKey => ({ id: key.id, record: bytes(key.record), publicKey: bytes(key.publicKey) });

const generatedSigned = (key: Spelled<GeneratedSignedKey>): GeneratedSignedKey => ({ ...generated(key), signature: bytes(key.signature) });

export class PhoneSignalEngine implements SignalEngine {
  readonly #port: EnginePort;

  constructor(port: EnginePort) {
    this.#port = port;
  }

  async #call<T>(call: string, args: object): Promise<Spelled<T>> {
    const answer = JSON.parse(await this.#port.engine(call, JSON.stringify(spell(args)))) as
      | { readonly ok: Spelled<T> }
      | { readonly refused: { readonly code: EngineErrorCode; readonly message: string } };
    if ('refused' in answer) throw new EngineError(answer.refused.code, answer.refused.message);
    return answer.ok;
  }

  async generateIdentity(): Promise<{ identity: Uint8Array; publicKey: Uint8Array }> {
    const made = await this.#call<{ identity: Uint8Array; publicKey: Uint8Array }>('generateIdentity', {});
    return { identity: bytes(made.identity), publicKey: bytes(made.publicKey) };
  }

  async generateSignedPreKey(identity: Uint8Array, id: number, nowMs: number): Promise<GeneratedSignedKey> {
    return generatedSigned(await this.#call<GeneratedSignedKey>('generateSignedPreKey', { identity, id, nowMs }));
  }

  async generatePreKeys(firstId: number, count: number): Promise<readonly GeneratedKey[]> {
    return (await this.#call<readonly GeneratedKey[]>('generatePreKeys', { firstId, count })).map(generated);
  }

  async generateKyberPreKeys(identity: Uint8Array, firstId: number, count: number, nowMs: number): Promise<readonly GeneratedSignedKey[]> {
    return (await this.#call<readonly GeneratedSignedKey[]>('generateKyberPreKeys', { identity, firstId, count, nowMs })).map(generatedSigned);
  }

  async processBundle(peer: PeerState, bundle: PreKeyBundle, nowMs: number): Promise<{ session: Uint8Array; peerIdentity: Uint8Array }> {
    const made = await this.#call<{ session: Uint8Array; peerIdentity: Uint8Array }>('processBundle', { peer, bundle, nowMs });
    return { session: bytes(made.session), peerIdentity: bytes(made.peerIdentity) };
  }

  async encrypt(peer: PeerState, plaintext: Uint8Array, nowMs: number): Promise<SessionCiphertext & { session: Uint8Array }> {
    const made = await this.#call<{ type: MessageType; body: Uint8Array; session: Uint8Array }>('encrypt', { peer, plaintext, nowMs });
    return { type: made.type, body: bytes(made.body), session: bytes(made.session) };
  }

  async decrypt(peer: PeerState, message: SessionCiphertext, keys: DecryptionKeys): Promise<Decrypted> {
    const { preKey, signedPreKey, kyberPreKey } = keys; // a caller's object may hold more, private halves included
    const read = await this.#call<Decrypted>('decrypt', { peer, message, keys: { preKey, signedPreKey, kyberPreKey } });
    const used = read.usedKyber;
    return {
      plaintext: bytes(read.plaintext),
      session: bytes(read.session),
      peerIdentity: bytes(read.peerIdentity),
      usedPreKeyId: read.usedPreKeyId,
      usedKyber: used && { id: used.id, signedPreKeyId: used.signedPreKeyId, baseKey: bytes(used.baseKey) },
    };
  }

  async sealedWrap(peer: PeerState, peerIdentity: Uint8Array, certificate: Uint8Array, message: SessionCiphertext): Promise<Uint8Array> {
    return bytes(await this.#call<Uint8Array>('sealedWrap', { peer, peerIdentity, certificate, message }));
  }

  async sealedUnwrap(identity: Uint8Array, sealed: Uint8Array): Promise<SessionCiphertext & { certificate: Uint8Array }> {
    const opened = await this.#call<{ type: MessageType; body: Uint8Array; certificate: Uint8Array }>('sealedUnwrap', { identity, sealed });
    return { type: opened.type, body: bytes(opened.body), certificate: bytes(opened.certificate) };
  }

  async checkCertificate(certificate: Uint8Array, trustRoot: Uint8Array, atMs: number): Promise<CertifiedSender> {
    const sender = await this.#call<CertifiedSender>('checkCertificate', { certificate, trustRoot, atMs });
    return { ...sender, identityKey: bytes(sender.identityKey) };
  }

  async fingerprint(local: FingerprintParty, remote: FingerprintParty): Promise<Fingerprint> {
    const party = ({ identifier, identityKey }: FingerprintParty): FingerprintParty => ({ identifier, identityKey });
    const made = await this.#call<Fingerprint>('fingerprint', { local: party(local), remote: party(remote) });
    return { digits: made.digits, scannable: bytes(made.scannable) };
  }

  compareFingerprints(own: Uint8Array, scanned: Uint8Array): Promise<boolean> {
    return this.#call<boolean>('compareFingerprints', { own, scanned });
  }
}
