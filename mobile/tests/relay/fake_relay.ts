/**
 * A relay in memory, on a real port of this machine. It follows docs/protocol.md and passes the same contract suite as the
 * real one (contract.ts). What a real relay does over time (expiry, limits) it does not do.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import * as signal from '@signalapp/libsignal-client';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

import { BODY_SIZES } from '../../src/core/padding.ts';
import { timeOf } from '../../src/core/uuid.ts';
import { b64, BadFrame, bytes, ecKey, integer, listOf, sha256, shape, signedKey, u32, uuid } from './fake_checks.ts';
import type { Json } from './fake_checks.ts';
import { FakeNumbers } from './fake_numbers.ts';
import { readRecovery, readRegistration } from './fake_registrations.ts';
import type { Brought, SignedKey } from './fake_registrations.ts';

export type { SignedKey };

interface Waiting {
  id: string;
  at: number;
  body: string;
}

interface WaitingSignal {
  id: string;
  body: string;
  /** By the relay's clock, seconds since 1970. */
  until: number;
}

interface FakeAccount extends Brought {
  readonly id: string;
  mailbox: Waiting[];
  signals: WaitingSignal[];
  session: MailboxSession | null;
  /** The code that the last recovery used up, hashed. */
  usedCodeHash: string | null;
}

interface MailboxSession {
  socket: WebSocket;
  inFlight: Set<string>;
  drained: boolean;
}

class Problem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export class FakeRelay {
  url = '';
  readonly #server = http.createServer((request, response) => void this.#http(request, response));
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 98_304 });
  readonly #trust = signal.PrivateKey.generate();
  readonly #serverKey = signal.PrivateKey.generate();
  readonly #serverCertificate = signal.ServerCertificate.new(1, this.#serverKey.getPublicKey(), this.#trust);
  readonly #accounts = new Map<string, FakeAccount>();
  readonly #invites = new Map<string, string | null>();
  /** Finding people by number: its keys, its faults. */
  readonly numbers = new FakeNumbers();

  /** Seconds added to the relay's clock. */
  clockAheadS = 0;
  certificateLifeS = 86_400;
  mailboxLimit = 1000;
  /** Each entry is used up by one request or post. */
  readonly faults = {
    /** The relay acts, and the connection breaks before the answer. By path prefix. */
    loseAnswerOf: [] as string[],
    /** Posts stored and not answered: the session is cut. */
    loseNextPosts: 0,
    /** Refusals given out before anything is looked at. */
    refuse: [] as { code: string; retryAfterS?: number }[],
  };
  /** What happened on the wire, for tests that assert on it. */
  readonly log = { posts: [] as { session: number; to: string; id: string; body: string }[], acked: [] as string[], requests: [] as string[], ports: { identified: new Set<number>(), anonymous: new Set<number>() } };
  #postSessions = 0;

  static async start(): Promise<FakeRelay> {
    const relay = new FakeRelay();
    relay.#server.on('upgrade', (request, socket, head) => {
      relay.#note(request);
      try {
        const path = request.url ?? '';
        if (path === '/v1/mailbox') {
          const account = relay.#bearer(request);
          relay.#sockets.handleUpgrade(request, socket, head, (webSocket) => relay.#mailbox(account, webSocket));
        } else if (path === '/v1/post') {
          if (request.headers.authorization !== undefined) throw new Problem(400, 'identified_on_anonymous_lane');
          relay.#sockets.handleUpgrade(request, socket, head, (webSocket) => relay.#post(webSocket));
        } else throw new Problem(404, 'not_found');
      } catch (error) {
        const status = error instanceof Problem ? error.status : 500;
        socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      }
    });
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    relay.url = `http://127.0.0.1:${(relay.#server.address() as AddressInfo).port}`;
    return relay;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  get trustRoot(): string {
    return Buffer.from(this.#trust.getPublicKey().serialize()).toString('base64url');
  }

  now(): number {
    return Math.floor(Date.now() / 1000) + this.clockAheadS;
  }

  invite(): string {
    const code = randomBytes(18).toString('base64url');
    this.#invites.set(code, null);
    return `${this.url}/join#c=${code}&t=${this.trustRoot}&${this.numbers.fragment}`;
  }

  account(id: string): FakeAccount {
    const account = this.#accounts.get(id);
    if (!account) throw new Error('no such account');
    return account;
  }

  accounts(): readonly FakeAccount[] {
    return [...this.#accounts.values()];
  }

  /** Ends the mailbox session of an account, as a restart or another session would. */
  endMailbox(id: string, code: number): void {
    this.account(id).session?.socket.close(code);
  }

  #tellPrekeysLow(id: string): void {
    const account = this.account(id);
    this.#say(account.session?.socket, { type: 'prekeys_low', prekeys: account.prekeys.length, kyber_prekeys: account.kyber.length });
  }

  /** Which TCP connections carried which lane. */
  #note(request: http.IncomingMessage): void {
    const port = request.socket.remotePort ?? 0;
    (request.headers.authorization === undefined ? this.log.ports.anonymous : this.log.ports.identified).add(port);
  }

  #say(socket: WebSocket | undefined, frame: Json): void {
    socket?.send(JSON.stringify(frame));
  }

  // --- HTTP

  async #http(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.#note(request);
    this.log.requests.push(`${request.method} ${path}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    let status = 200;
    let body: Json;
    try {
      [status, body] = this.#route(request, path, Buffer.concat(chunks).toString('utf8'));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(400, 'bad_request');
      status = problem.status;
      body = { type: 'about:blank', title: problem.code, status, code: problem.code };
    }
    const lost = this.faults.loseAnswerOf.findIndex((prefix) => path.startsWith(prefix));
    if (lost >= 0) {
      this.faults.loseAnswerOf.splice(lost, 1);
      request.socket.destroy();
      return;
    }
    const retry = status === 429 ? { 'Retry-After': String(body['retry_after_s'] ?? 1) } : {};
    response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', ...retry });
    response.end(status === 204 ? undefined : JSON.stringify(body));
  }

  #bearer(request: http.IncomingMessage): FakeAccount {
    const [, id = '', secret = ''] = /^Bearer ([0-9a-f-]{36})\.([A-Za-z0-9_-]+)$/.exec(request.headers.authorization ?? '') ?? [];
    const account = this.#accounts.get(id);
    if (!account || account.tokenHash !== sha256(bytes(secret))) throw new Problem(401, 'unauthorized');
    return account;
  }

  #route(request: http.IncomingMessage, path: string, text: string): [number, Json] {
    const call = `${request.method} ${path}`;
    const taken = /^POST \/v1\/prekeys\/([^/]+)\/take$/.exec(call);
    if (taken || path === '/v1/relay' || path === '/v1/discovery/lookup') {
      if (request.headers.authorization !== undefined) throw new Problem(400, 'identified_on_anonymous_lane');
    }
    if (taken) return [200, this.#take(taken[1] ?? '', request.headers['access-key'])];
    switch (call) {
      case 'GET /v1/relay':
        return [200, { name: 'sottovoce', version: '0', protocol: 1, trust_root: this.trustRoot, now: this.now(), limits: {} }];
      case 'POST /v1/accounts':
        return [201, { account_id: this.#register(request, JSON.parse(text)) }];
      case 'POST /v1/accounts/recover':
        if (request.headers.authorization !== undefined) throw new Problem(400, 'bad_request');
        return [200, { account_id: this.#recover(JSON.parse(text)) }];
      case 'DELETE /v1/account':
        return [204, this.#delete(this.#bearer(request))];
      case 'PUT /v1/account/access':
        return [204, this.#access(this.#bearer(request), JSON.parse(text))];
      case 'POST /v1/discovery/evaluate':
        if (!this.#invites.has(/^Invite (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '')) this.#bearer(request);
        return this.numbers.evaluate(JSON.parse(text));
      case 'POST /v1/discovery/lookup':
        return [200, this.numbers.lookUp(JSON.parse(text), [...this.#accounts.values()])];
      case 'GET /v1/keys':
        return [200, this.#counts(this.#bearer(request))];
      case 'PUT /v1/keys':
        return [200, this.#putKeys(this.#bearer(request), JSON.parse(text))];
      case 'GET /v1/sender-certificate': {
        const { id, identityKey } = this.#bearer(request);
        const expires = (this.now() + this.certificateLifeS) * 1000;
        const key = signal.PublicKey.deserialize(bytes(identityKey));
        const certificate = signal.SenderCertificate.new(id, null, 1, key, expires, this.#serverCertificate, this.#serverKey);
        return [200, { certificate: Buffer.from(certificate.serialize()).toString('base64url'), expires_at: Math.floor(expires / 1000) }];
      }
      default:
        throw new Problem(404, 'not_found');
    }
  }

  #checkSigned(identity: string, keys: readonly SignedKey[]): void {
    const key = signal.PublicKey.deserialize(bytes(identity));
    for (const signed of keys) if (!key.verify(bytes(signed.public_key), bytes(signed.signature))) throw new Problem(422, 'bad_signature');
  }

  #register(request: http.IncomingMessage, value: unknown): string {
    const code = /^Invite (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const brought = readRegistration(value);
    if (!this.#invites.has(code)) throw new Problem(401, 'bad_invite');
    const used = this.#accounts.get(this.#invites.get(code) ?? '');
    if (used) {
      if (used.identityKey === brought.identityKey && used.tokenHash === brought.tokenHash) return used.id;
      throw new Problem(401, 'bad_invite');
    }
    if (this.accounts().some(({ phoneToken }) => phoneToken !== null && phoneToken === brought.phoneToken)) throw new Problem(409, 'number_taken');
    this.#checkSigned(brought.identityKey, [brought.signed, brought.lastResort, ...brought.kyber]);
    const account: FakeAccount = { ...brought, id: randomUUID(), mailbox: [], signals: [], session: null, usedCodeHash: null };
    this.#accounts.set(account.id, account);
    this.#invites.set(code, account.id);
    return account.id;
  }

  #recover(value: unknown): string {
    const { account: claimed, code, brought } = readRecovery(value);
    const account = this.accounts().find(({ id, phoneToken }) => (claimed === null ? phoneToken === brought.phoneToken : id === claimed));
    const codeHash = sha256(bytes(code));
    if (account?.usedCodeHash === codeHash && account.identityKey === brought.identityKey && account.tokenHash === brought.tokenHash) return account.id;
    if (account?.recoveryHash !== codeHash) throw new Problem(401, 'bad_recovery');
    this.#checkSigned(brought.identityKey, [brought.signed, brought.lastResort, ...brought.kyber]);
    account.session?.socket.close(4401);
    Object.assign(account, brought, { phoneToken: account.phoneToken, mailbox: [], signals: [], usedCodeHash: codeHash });
    return account.id;
  }

  #delete(account: FakeAccount): Json {
    account.session?.socket.close(4401);
    this.#accounts.delete(account.id);
    return {};
  }

  #access(account: FakeAccount, value: unknown): Json {
    const body = shape(value, { contact: b64(32), number: (field) => field === null || b64(32)(field) }, ['contact', 'number']) as { contact?: string; number?: string | null };
    if (body.contact !== undefined) account.accessHash = body.contact;
    if (body.number !== undefined) account.numberHash = body.number;
    return {};
  }

  #counts(account: FakeAccount): Json {
    const { identityKey, signed, lastResort } = account;
    const digest = sha256(
      Buffer.concat([bytes(identityKey), u32(signed.id), bytes(signed.public_key), u32(lastResort.id), bytes(lastResort.public_key)]),
    );
    return { prekeys: account.prekeys.length, kyber_prekeys: account.kyber.length, digest };
  }

  #putKeys(account: FakeAccount, value: unknown): Json {
    const body = shape(
      value,
      {
        signed_prekey: signedKey(33),
        last_resort_kyber_prekey: signedKey(1569),
        prekeys: listOf(ecKey, 0, 100),
        kyber_prekeys: listOf(signedKey(1569), 0, 100),
        replace: (field) => typeof field === 'boolean',
      },
      ['signed_prekey', 'last_resort_kyber_prekey', 'prekeys', 'kyber_prekeys', 'replace'],
    ) as { signed_prekey?: SignedKey; last_resort_kyber_prekey?: SignedKey; prekeys?: SignedKey[]; kyber_prekeys?: SignedKey[]; replace?: boolean };
    const { signed_prekey: signed, last_resort_kyber_prekey: lastResort, prekeys = [], kyber_prekeys: kyber = [] } = body;
    this.#checkSigned(account.identityKey, [...kyber, ...(signed ? [signed] : []), ...(lastResort ? [lastResort] : [])]);
    const merged = (held: SignedKey[], more: SignedKey[]): SignedKey[] => {
      const base = body.replace ? [] : held;
      return [...base, ...more.filter((key) => !base.some(({ id }) => id === key.id))];
    };
    const [nextPrekeys, nextKyber] = [merged(account.prekeys, prekeys), merged(account.kyber, kyber)];
    if (nextPrekeys.length > 200 || nextKyber.length > 200) throw new Problem(409, 'too_many_prekeys');
    Object.assign(account, { prekeys: nextPrekeys, kyber: nextKyber }, signed && { signed }, lastResort && { lastResort });
    return this.#counts(account);
  }

  #opens(id: unknown, access: unknown): FakeAccount | null {
    const account = this.#accounts.get(id as string);
    return account && [account.accessHash, account.numberHash].includes(sha256(bytes(access))) ? account : null;
  }

  #take(id: string, accessKey: unknown): Json {
    const account = this.#opens(id, accessKey);
    if (!account) throw new Problem(401, 'no_access');
    const wasLow = this.#isLow(account);
    const kyber = account.kyber.shift() ?? account.lastResort;
    const prekey = account.prekeys.shift() ?? null;
    if (!wasLow && this.#isLow(account)) this.#tellPrekeysLow(account.id);
    return {
      identity_key: account.identityKey,
      registration_id: account.registrationId,
      signed_prekey: account.signed,
      prekey,
      kyber_prekey: kyber,
    };
  }

  // --- sockets

  #session(socket: WebSocket, onFrame: (frame: Json) => void): void {
    this.#say(socket, { type: 'hello', protocol: 1, now: this.now(), ping_every_s: 25, answer_within_s: 10 });
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      try {
        if (isBinary) throw new BadFrame('binary');
        const frame = JSON.parse((data as Buffer).toString('utf8')) as Json;
        if (frame['type'] === 'ping' || frame['type'] === 'pong') {
          const { n } = shape(frame, { type: () => true, n: integer(0, Number.MAX_SAFE_INTEGER) });
          if (frame['type'] === 'ping') this.#say(socket, { type: 'pong', n });
        } else onFrame(frame);
      } catch {
        socket.close(4400, 'bad_frame');
      }
    });
  }

  #mailbox(account: FakeAccount, socket: WebSocket): void {
    account.session?.socket.close(4409, 'superseded');
    const session: MailboxSession = { socket, inFlight: new Set(), drained: false };
    account.session = session;
    socket.on('close', () => {
      if (account.session === session) account.session = null;
    });
    this.#session(socket, (frame) => {
      const { ids } = shape(frame, { type: (type) => type === 'ack', ids: listOf(uuid, 1, 256) }) as { ids: string[] };
      if (account.session !== session) return; // superseded: its acks delete nothing
      this.log.acked.push(...ids);
      account.mailbox = account.mailbox.filter(({ id }) => !ids.includes(id));
      account.signals = account.signals.filter(({ id }) => !ids.includes(id));
      for (const id of ids) session.inFlight.delete(id);
      this.#deliver(account);
    });
    if (this.#isLow(account)) this.#tellPrekeysLow(account.id);
    for (const waiting of account.signals) this.#signal(session, waiting);
    this.#deliver(account);
  }

  #signal({ socket }: MailboxSession, { id, body, until }: WaitingSignal): void {
    const left = until - this.now();
    if (left > 0) this.#say(socket, { type: 'signal', id, body, ttl_s: left });
  }

  #isLow(account: FakeAccount): boolean {
    return Math.min(account.prekeys.length, account.kyber.length) < 20;
  }

  #deliver(account: FakeAccount): void {
    const { session } = account;
    if (!session) return;
    const due = account.mailbox.filter(({ id }) => !session.inFlight.has(id)).slice(0, 256 - session.inFlight.size);
    for (let page = takePage(due); page.length > 0; page = takePage(due)) {
      for (const { id } of page) session.inFlight.add(id);
      this.#say(session.socket, { type: 'deliver', envelopes: page as unknown as Json[] });
    }
    if (!session.drained && account.mailbox.every(({ id }) => session.inFlight.has(id))) {
      session.drained = true;
      this.#say(session.socket, { type: 'drained' });
    }
  }

  #post(socket: WebSocket): void {
    this.#postSessions += 1;
    const session = this.#postSessions;
    const envelope = (field: unknown): boolean =>
      Boolean(shape(field, { id: uuid, to: uuid, access: b64(16), body: (body) => bytes(body).length <= 65_536 }));
    this.#session(socket, (frame) => {
      if (frame['type'] === 'signal') {
        const fields = { type: () => true, id: uuid, to: uuid, access: b64(16), body: (body: unknown) => BODY_SIZES.includes(bytes(body).length), ttl_s: integer(1, 60) };
        const { id, to, access, body, ttl_s } = shape(frame, fields) as { id: string; to: string; access: string; body: string; ttl_s: number };
        const account = this.#opens(to, access);
        if (!account) {
          this.#say(socket, { type: 'refused', id, code: 'no_access', retry_after_s: null, now: this.now() });
          return;
        }
        const waiting = { id, body, until: this.now() + ttl_s };
        account.signals.push(waiting);
        this.#say(socket, { type: 'posted', ids: [id] });
        if (account.session) this.#signal(account.session, waiting);
        return;
      }
      const { envelopes } = shape(frame, { type: (type) => type === 'post', envelopes: listOf(envelope, 1, 32) }) as {
        envelopes: { id: string; to: string; access: string; body: string }[];
      };
      if (new Set(envelopes.map(({ id }) => id)).size !== envelopes.length) throw new BadFrame('an id twice');
      const posted: string[] = [];
      for (const post of envelopes) {
        this.log.posts.push({ session, to: post.to, id: post.id, body: post.body });
        const refusal = this.faults.refuse.shift() ?? this.#store(post);
        if (refusal) this.#say(socket, { type: 'refused', id: post.id, code: refusal.code, retry_after_s: refusal.retryAfterS ?? null, now: this.now() });
        else posted.push(post.id);
      }
      if (this.faults.loseNextPosts > 0) {
        this.faults.loseNextPosts -= 1;
        socket.terminate();
      } else if (posted.length > 0) this.#say(socket, { type: 'posted', ids: posted });
    });
  }

  #store(post: { id: string; to: string; access: string; body: string }): { code: string; retryAfterS?: number } | null {
    const account = this.#opens(post.to, post.access);
    if (!account) return { code: 'no_access' };
    if (!BODY_SIZES.includes(bytes(post.body).length)) return { code: 'bad_size' };
    const skew = timeOf(post.id) / 1000 - this.now();
    if (post.id[14] !== '7' || skew < -48 * 3_600 || skew > 3_600) return { code: 'clock_skew' };
    const there = account.mailbox.find(({ id }) => id === post.id);
    if (there) return there.body === post.body ? null : { code: 'conflict' };
    if (account.mailbox.length >= this.mailboxLimit) return { code: 'mailbox_full', retryAfterS: 60 };
    account.mailbox.push({ id: post.id, at: this.now(), body: post.body });
    this.#deliver(account);
    return null;
  }
}

/** At most 64 envelopes and 256 KiB a frame. */
function takePage(due: Waiting[]): Waiting[] {
  let size = 100;
  const page: Waiting[] = [];
  for (let next = due[0]; next && page.length < 64 && size + next.body.length + 120 <= 262_144; next = due[0]) {
    size += next.body.length + 120;
    page.push(next);
    due.shift();
  }
  return page;
}
