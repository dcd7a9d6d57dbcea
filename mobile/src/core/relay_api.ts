/** The relay's HTTP calls, one class a lane. The two never share a port, and the anonymous one has nowhere to put a token. */
import { toBase64url } from './bytes.ts';
import type { GeneratedKey, GeneratedSignedKey, PreKeyBundle } from './engine.ts';
import { Malformed, RelayRefused } from './errors.ts';
import type { AnonymousHttp, HttpAnswer, IdentifiedHttp } from './ports.ts';
import { isUuid } from './uuid.ts';
import { Reader } from './wire/reader.ts';

export interface KeyCounts {
  readonly prekeys: number;
  readonly kyberPrekeys: number;
  readonly digest: Uint8Array;
}

export type PublicKeyPart = Pick<GeneratedKey, 'id' | 'publicKey'>;
export type SignedPublicKeyPart = Pick<GeneratedSignedKey, 'id' | 'publicKey' | 'signature'>;

export interface Registration {
  readonly tokenHash: Uint8Array;
  readonly recoveryHash: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly registrationId: number;
  readonly signedPreKey: SignedPublicKeyPart;
  readonly lastResortKyberPreKey: SignedPublicKeyPart;
  readonly preKeys: readonly PublicKeyPart[];
  readonly kyberPreKeys: readonly SignedPublicKeyPart[];
  /** SHA-256 of the contact access key. */
  readonly contactAccessHash: Uint8Array;
  /** SHA-256 of the number access key; null: closed to who knows only the number. */
  readonly numberAccessHash: Uint8Array | null;
  readonly phoneToken: Uint8Array | null;
}

export interface TurnCredentials {
  readonly username: string;
  readonly password: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
  readonly urls: readonly string[];
}

/** An answer of the oblivious function; whether to believe it is for discovery/voprf.ts. */
export interface Evaluation {
  readonly evaluated: readonly Uint8Array[];
  readonly proof: Uint8Array;
}

/** What one evaluation takes at most, and one look-up exactly. */
export const MOST_ELEMENTS = 100;
export const LOOKED_UP_AT_ONCE = 100;

export type ReplacedKeys = Pick<Registration, 'signedPreKey' | 'lastResortKyberPreKey' | 'preKeys' | 'kyberPreKeys'>;

/** As a registration, but for who it is and what proves it. */
export interface Recovery extends Registration {
  /** Null: the phone token names the account. */
  readonly account: string | null;
  readonly recoveryCode: Uint8Array;
}

const plain = (key: PublicKeyPart): unknown => ({ id: key.id, public_key: toBase64url(key.publicKey) });
const signed = (key: SignedPublicKeyPart): unknown => ({
  id: key.id,
  public_key: toBase64url(key.publicKey),
  signature: toBase64url(key.signature),
});

function registrationJson(registration: Registration) {
  const { numberAccessHash, phoneToken } = registration;
  return {
    token_hash: toBase64url(registration.tokenHash),
    recovery_hash: toBase64url(registration.recoveryHash),
    identity_key: toBase64url(registration.identityKey),
    registration_id: registration.registrationId,
    signed_prekey: signed(registration.signedPreKey),
    last_resort_kyber_prekey: signed(registration.lastResortKyberPreKey),
    prekeys: registration.preKeys.map(plain),
    kyber_prekeys: registration.kyberPreKeys.map(signed),
    access: { contact: toBase64url(registration.contactAccessHash), ...(numberAccessHash && { number: toBase64url(numberAccessHash) }) },
    ...(phoneToken && { phone_token: toBase64url(phoneToken) }),
  };
}

/** @throws RelayRefused unless `status` is the answer's */
function expect(answer: HttpAnswer, status: number): Reader {
  if (answer.status === status) return Reader.fromJson(status === 204 ? '{}' : answer.body, 'answer');
  let code = 'unknown';
  let fields: readonly string[] = [];
  try {
    const problem = Reader.fromJson(answer.body, 'problem');
    code = problem.text('code');
    if (problem.has('fields')) fields = problem.list('fields', 64).filter((field) => typeof field === 'string');
  } catch {
    // A proxy before the relay answered in its own words: the status is all there is.
  }
  throw new RelayRefused(answer.status, code, answer.retryAfterS, fields);
}

function counts(answer: Reader): KeyCounts {
  return {
    prekeys: answer.integer('prekeys'),
    kyberPrekeys: answer.integer('kyber_prekeys'),
    digest: answer.bytes('digest', 32),
  };
}

export function withInvite(code: string): string {
  return `Invite ${code}`;
}

export function bearer(account: string, secret: Uint8Array): string {
  return `Bearer ${account}.${toBase64url(secret)}`;
}

/** All calls reject with RelayUnreachable when no answer came, RelayRefused when the relay said no. */
export class IdentifiedApi {
  readonly #http: IdentifiedHttp;
  readonly #relayUrl: string;

  constructor(http: IdentifiedHttp, relayUrl: string) {
    this.#http = http;
    this.#relayUrl = relayUrl;
  }

  /** The same invite, identity key and token hash again give the same account again. */
  async register(inviteCode: string, registration: Registration): Promise<string> {
    const answer = await this.#http.request({
      method: 'POST',
      url: `${this.#relayUrl}/v1/accounts`,
      authorization: withInvite(inviteCode),
      json: registrationJson(registration),
    });
    return expect(answer, 201).uuid('account_id');
  }

  /** The same code, identity key and token hash again give the same answer again. @throws RelayRefused 401 `bad_recovery`, 429 */
  async recover(recovery: Recovery): Promise<string> {
    const answer = await this.#http.request({
      method: 'POST',
      url: `${this.#relayUrl}/v1/accounts/recover`,
      authorization: null,
      json: {
        ...registrationJson(recovery),
        recovery_code: toBase64url(recovery.recoveryCode),
        ...(recovery.account !== null && { account_id: recovery.account }),
      },
    });
    return expect(answer, 200).uuid('account_id');
  }

  async keyCounts(authorization: string): Promise<KeyCounts> {
    return counts(expect(await this.#http.request({ method: 'GET', url: `${this.#relayUrl}/v1/keys`, authorization }), 200));
  }

  /** Appends one-time keys; at most 100 of each a call. */
  async addKeys(authorization: string, preKeys: readonly PublicKeyPart[], kyberPreKeys: readonly SignedPublicKeyPart[]): Promise<KeyCounts> {
    const json = { prekeys: preKeys.map(plain), kyber_prekeys: kyberPreKeys.map(signed) };
    return counts(expect(await this.#http.request({ method: 'PUT', url: `${this.#relayUrl}/v1/keys`, authorization, json }), 200));
  }

  /** The same keys again change nothing. */
  async replaceSignedKeys(authorization: string, signedPreKey: SignedPublicKeyPart, lastResort: SignedPublicKeyPart): Promise<KeyCounts> {
    const json = { signed_prekey: signed(signedPreKey), last_resort_kyber_prekey: signed(lastResort) };
    return counts(expect(await this.#http.request({ method: 'PUT', url: `${this.#relayUrl}/v1/keys`, authorization, json }), 200));
  }

  /** Blinded elements, at most 100. The authorization is a bearer token, or an invite before there is an account. @throws RelayRefused 429 */
  async evaluate(authorization: string, elements: readonly Uint8Array[]): Promise<Evaluation> {
    const json = { elements: elements.map(toBase64url) };
    const answer = expect(await this.#http.request({ method: 'POST', url: `${this.#relayUrl}/v1/discovery/evaluate`, authorization, json }), 200);
    return { evaluated: answer.byteStrings('evaluated', MOST_ELEMENTS, 32), proof: answer.bytes('proof', 64) };
  }

  /** Where the relay knocks when something waits. @throws RelayRefused 404 `no_push`, 422 `bad_endpoint` */
  async setPush(authorization: string, subscription: { readonly endpoint: string; readonly p256dh: string; readonly auth: string }): Promise<void> {
    const { endpoint, p256dh, auth } = subscription;
    expect(await this.#http.request({ method: 'PUT', url: `${this.#relayUrl}/v1/push`, authorization, json: { endpoint, p256dh, auth } }), 204);
  }

  /** @throws RelayRefused 404 `no_push` */
  async forgetPush(authorization: string): Promise<void> {
    expect(await this.#http.request({ method: 'DELETE', url: `${this.#relayUrl}/v1/push`, authorization }), 204);
  }

  /** Instead of all that is there: what another phone uploaded is never handed out again. At most 100 of each one-time kind. */
  async replaceKeys(authorization: string, keys: ReplacedKeys): Promise<KeyCounts> {
    const json = {
      signed_prekey: signed(keys.signedPreKey),
      last_resort_kyber_prekey: signed(keys.lastResortKyberPreKey),
      prekeys: keys.preKeys.map(plain),
      kyber_prekeys: keys.kyberPreKeys.map(signed),
      replace: true,
    };
    return counts(expect(await this.#http.request({ method: 'PUT', url: `${this.#relayUrl}/v1/keys`, authorization, json }), 200));
  }

  /** Everything the relay holds on the account; the live session ends. */
  async deleteAccount(authorization: string): Promise<void> {
    expect(await this.#http.request({ method: 'DELETE', url: `${this.#relayUrl}/v1/account`, authorization }), 204);
  }

  /** Replaces access hashes (SHA-256 of the keys); what is absent stays. `numberHash: null` closes the account to strangers. */
  async changeAccess(authorization: string, change: { readonly contactHash?: Uint8Array; readonly numberHash?: Uint8Array | null }): Promise<void> {
    const { contactHash, numberHash } = change;
    const json = {
      ...(contactHash && { contact: toBase64url(contactHash) }),
      ...(numberHash !== undefined && { number: numberHash && toBase64url(numberHash) }),
    };
    expect(await this.#http.request({ method: 'PUT', url: `${this.#relayUrl}/v1/account/access`, authorization, json }), 204);
  }

  /** For the TURN server of calls. Never because of a call: see calls/turn_keeper.ts. @throws RelayRefused 404 `no_turn`, 429 */
  async turnCredentials(authorization: string): Promise<TurnCredentials> {
    const answer = expect(await this.#http.request({ method: 'POST', url: `${this.#relayUrl}/v1/turn-credentials`, authorization }), 200);
    const urls = answer.list('urls', 16).filter((url) => typeof url === 'string');
    return { username: answer.text('username'), password: answer.text('password'), expiresAt: answer.integer('expires_at'), urls };
  }

  async senderCertificate(authorization: string): Promise<Uint8Array> {
    const answer = await this.#http.request({ method: 'GET', url: `${this.#relayUrl}/v1/sender-certificate`, authorization });
    return expect(answer, 200).bytes('certificate');
  }
}

export class AnonymousApi {
  readonly #http: AnonymousHttp;
  readonly #relayUrl: string;

  constructor(http: AnonymousHttp, relayUrl: string) {
    this.#http = http;
    this.#relayUrl = relayUrl;
  }

  /** @throws RelayRefused 401 `no_access`: no such account, or the key does not open it */
  async takeBundle(account: string, accessKey: Uint8Array): Promise<PreKeyBundle> {
    const answer = await this.#http.request({
      method: 'POST',
      url: `${this.#relayUrl}/v1/prekeys/${account}/take`,
      accessKey: toBase64url(accessKey),
    });
    const bundle = expect(answer, 200);
    const part = (key: Reader, size: number): { id: number; publicKey: Uint8Array } => ({
      id: key.integer('id', 1, 0xffffff),
      publicKey: key.bytes('public_key', size),
    });
    const signedPart = (key: Reader, size: number): SignedPublicKeyPart => ({ ...part(key, size), signature: key.bytes('signature', 64) });
    return {
      identityKey: bundle.bytes('identity_key', 33),
      registrationId: bundle.integer('registration_id', 1, 0x3fff),
      signedPreKey: signedPart(bundle.object('signed_prekey'), 33),
      preKey: bundle.has('prekey') ? part(bundle.object('prekey'), 33) : null,
      kyberPreKey: signedPart(bundle.object('kyber_prekey'), 1569),
    };
  }

  /** Exactly 100 phone tokens; the account of each, or null. */
  async lookUp(tokens: readonly Uint8Array[]): Promise<readonly (string | null)[]> {
    const json = { tokens: tokens.map(toBase64url) };
    const answer = expect(await this.#http.request({ method: 'POST', url: `${this.#relayUrl}/v1/discovery/lookup`, json }), 200);
    const accounts = answer.list('accounts', LOOKED_UP_AT_ONCE);
    if (accounts.length !== tokens.length) throw new Malformed('answer.accounts', `${tokens.length} of them`);
    return accounts.map((account, index) => {
      if (account !== null && (typeof account !== 'string' || !isUuid(account))) throw new Malformed(`answer.accounts[${index}]`, 'a UUID or null');
      return account;
    });
  }

  /** Trust root and clock of the relay, and whether it has a TURN server. */
  async relay(): Promise<{ readonly protocol: number; readonly trustRoot: Uint8Array; readonly now: number; readonly calls: boolean }> {
    const answer = expect(await this.#http.request({ method: 'GET', url: `${this.#relayUrl}/v1/relay` }), 200);
    return { protocol: answer.integer('protocol'), trustRoot: answer.bytes('trust_root', 33), now: answer.integer('now'), calls: answer.has('calls') && answer.flag('calls') };
  }

  /** The key its pushes are signed with (RFC 8292), base64url; null for a relay without push. */
  async pushKey(): Promise<string | null> {
    const answer = expect(await this.#http.request({ method: 'GET', url: `${this.#relayUrl}/v1/relay` }), 200);
    return answer.has('push_key') ? toBase64url(answer.bytes('push_key', 65)) : null;
  }
}

/** The WebSocket address of a path of the relay. */
export function socketUrl(relayUrl: string, path: '/v1/mailbox' | '/v1/post'): string {
  return relayUrl.replace(/^http/, 'ws') + path;
}
