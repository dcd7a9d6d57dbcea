/** A client that can also misbehave: raw HTTP and raw frames, as docs/protocol.md writes them. */
import { createHash, randomBytes } from 'node:crypto';

import WebSocket from 'ws';

import { parseInvite } from '../../src/core/links.ts';
import { envelopeId } from '../../src/core/uuid.ts';
import { systemRandom } from '../../src/node/machine.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';

export type Frame = Record<string, unknown> & { readonly type: string };

export const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
export const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const ANSWER_WITHIN_MS = 10_000;

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

export async function call(url: string, method: string, headers: Record<string, string> = {}, json?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: json === undefined ? headers : { ...headers, 'Content-Type': 'application/json' },
    ...(json !== undefined && { body: JSON.stringify(json) }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  const text = await response.text();
  return { status: response.status, text, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

/** One WebSocket; frames are waited for in order. */
export class RawSocket {
  readonly #frames: Frame[] = [];
  readonly #socket: WebSocket;
  #ended: { code: number; httpStatus: number | null } | null = null;
  #wake: () => void = () => undefined;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), { headers, perMessageDeflate: false });
    let httpStatus: number | null = null;
    this.#socket.on('message', (data, isBinary) => {
      if (isBinary) throw new Error('the relay sent a binary message');
      this.#frames.push(JSON.parse((data as Buffer).toString('utf8')) as Frame);
      this.#wake();
    });
    this.#socket.on('unexpected-response', (request, response) => {
      httpStatus = response.statusCode ?? 0;
      response.resume();
      request.destroy();
      this.#socket.terminate();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', (code) => {
      this.#ended = { code, httpStatus };
      this.#wake();
    });
  }

  /** The next frame but the heartbeat, which is answered. */
  async next(): Promise<Frame> {
    for (;;) {
      await this.#until(() => this.#frames.length > 0);
      const frame = this.#frames.shift();
      if (frame?.type === 'ping') this.send({ type: 'pong', n: frame['n'] });
      else if (frame) return frame;
    }
  }

  /** The next frame, which must be of this type; `prekeys_low` may come at any time and is passed over unless it is asked for. */
  async expect(type: string): Promise<Frame> {
    let frame = await this.next();
    while (frame.type === 'prekeys_low' && type !== 'prekeys_low') frame = await this.next();
    if (frame.type !== type) throw new Error(`expected ${type}, the relay sent ${JSON.stringify(frame).slice(0, 200)}`);
    return frame;
  }

  async ended(): Promise<{ code: number; httpStatus: number | null }> {
    await this.#until(() => this.#ended !== null);
    return this.#ended ?? { code: 0, httpStatus: null };
  }

  async #until(done: () => boolean): Promise<void> {
    const end = Date.now() + ANSWER_WITHIN_MS;
    while (!done()) {
      if (this.#ended && !done()) throw new Error(`the session ended with ${this.#ended.code}`);
      const left = end - Date.now();
      if (left <= 0) throw new Error('the relay did not answer in time');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  send(frame: unknown): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string | Buffer): void {
    this.#socket.send(text);
  }

  async close(): Promise<void> {
    this.#socket.close();
    await new Promise<void>((resolve) => {
      if (this.#socket.readyState === WebSocket.CLOSED) resolve();
      else this.#socket.once('close', () => resolve());
    });
  }
}

const engine = new NodeSignalEngine();

/** A member known to the test by all its secrets. */
export interface Member {
  readonly account: string;
  readonly authorization: string;
  readonly access: string;
  readonly identity: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly registration: Record<string, unknown>;
  readonly inviteCode: string;
}

/** Keys and secrets in the shape of `POST /v1/accounts`. */
export async function newRegistration(preKeys: number) {
  const { identity, publicKey } = await engine.generateIdentity();
  const plain = (key: { id: number; publicKey: Uint8Array }) => ({ id: key.id, public_key: b64(key.publicKey) });
  const signed = (key: { id: number; publicKey: Uint8Array; signature: Uint8Array }) => ({ ...plain(key), signature: b64(key.signature) });
  const [secret, access] = [randomBytes(32), randomBytes(16)];
  const now = Date.now();
  const [lastResort, ...kyber] = await engine.generateKyberPreKeys(identity, 1, 1 + preKeys, now);
  if (!lastResort) throw new Error('no key');
  const registration = {
    token_hash: b64(sha256(secret)),
    recovery_hash: b64(sha256(randomBytes(32))),
    identity_key: b64(publicKey),
    registration_id: 4711,
    signed_prekey: signed(await engine.generateSignedPreKey(identity, 1, now)),
    last_resort_kyber_prekey: signed(lastResort),
    prekeys: (await engine.generatePreKeys(1, preKeys)).map(plain),
    kyber_prekeys: kyber.map(signed),
    access: { contact: b64(sha256(access)) },
  };
  return { registration, secret, access, identity, identityKey: publicKey };
}

export async function newMember(url: string, invite: string, preKeys = 2): Promise<Member> {
  const { code } = parseInvite(invite);
  const { registration, secret, access, identity, identityKey } = await newRegistration(preKeys);
  const answer = await call(`${url}/v1/accounts`, 'POST', { Authorization: `Invite ${code}` }, registration);
  if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${answer.text}`);
  const account = answer.body['account_id'] as string;
  return { account, authorization: `Bearer ${account}.${b64(secret)}`, access: b64(access), identity, identityKey, registration, inviteCode: code };
}

export function body(size = 1024, mark = 0): string {
  const bytes = new Uint8Array(size).fill(mark);
  bytes.set([0, 0, 0, 1]);
  return b64(bytes);
}

export const newEnvelopeId = (atMs = Date.now()): string => envelopeId(systemRandom, atMs);
