import { sameBytes } from './bytes.ts';
import { backoffMs } from './backoff.ts';
import type { SenderCertificates } from './certificates.ts';
import { EngineError } from './engine.ts';
import type { PeerState, PreKeyBundle, SignalEngine } from './engine.ts';
import { RelayRefused, RelayUnreachable, SottovoceError } from './errors.ts';
import { decide, isFresh } from './outbox.ts';
import { pad } from './padding.ts';
import type { AnonymousSockets, Clock, Random, Statement } from './ports.ts';
import { PostConnection } from './post_connection.ts';
import type { KeyedQueue } from './queue.ts';
import { socketUrl } from './relay_api.ts';
import type { AnonymousApi } from './relay_api.ts';
import type { RelayTime } from './relay_time.ts';
import type { Account, Contact, MessageState, OutboxItem } from './storage/rows.ts';
import type { Store } from './storage/store.ts';
import { encodeText } from './wire/content.ts';
import { LIMITS } from './wire/frames.ts';
import { envelopeId, timeOf, uuid4 } from './uuid.ts';

export interface SendingEvent {
  readonly contentId: string;
  readonly peer: string;
  readonly state: Extract<MessageState, 'sent' | 'blocked' | 'failed'>;
  readonly reason: string | null;
}

export interface SendingDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly queue: KeyedQueue;
  readonly time: RelayTime;
  readonly clock: Clock;
  readonly random: Random;
  readonly api: AnonymousApi;
  readonly sockets: AnonymousSockets;
  readonly certificates: SenderCertificates;
  readonly account: Account & { readonly accountId: string };
  readonly onEvent: (event: SendingEvent) => void;
  readonly onTrouble: (what: string) => void;
}

/** A message cannot go on by itself; the code becomes the message's reason. */
class Blocked extends SottovoceError {}

interface Runner {
  readonly connection: PostConnection;
  busy: Promise<void> | null;
  /** Level-triggered: something may have changed while busy. */
  again: boolean;
  /** Passes in a row that did not reach the relay. */
  failures: number;
  cancelRetry: () => void;
}

/**
 * The outbox: what `send` queued is encrypted, sealed and posted, one conversation independent of the other. Each step is
 * on disk before the next begins, so after a crash it goes on where it was, with the same bytes under the same id.
 */
export class Sender {
  readonly #deps: SendingDeps;
  readonly #runners = new Map<string, Runner>();
  #running = true;

  constructor(deps: SendingDeps) {
    this.#deps = deps;
  }

  /** Queues a text durably and answers its content id. It leaves when the network allows. @throws SottovoceError `too_long` */
  async send(peer: string, text: string): Promise<string> {
    const { store, random, time } = this.#deps;
    const contentId = uuid4(random);
    const sentAt = time.nowS();
    encodeText(contentId, sentAt, text, this.#profile()); // refuses now what would never fit
    await store.write([
      store.addMessage({ contentId, peer, direction: 'out', kind: 'text', text, sentAt, arrivedAt: null, state: 'queued', reason: null }),
      store.addToOutbox(peer, contentId),
    ]);
    this.wake(peer);
    return contentId;
  }

  /** Starts on everything that waits. */
  async resume(): Promise<void> {
    for (const peer of await this.#deps.store.outboxPeers()) this.wake(peer);
  }

  /** Looks at what waits for this peer: now, or as soon as what is under way is done. */
  wake(peer: string): void {
    if (!this.#running) return;
    let runner = this.#runners.get(peer);
    if (!runner) {
      const { sockets, clock, time, account } = this.#deps;
      const connection = new PostConnection({ sockets, clock, time, url: socketUrl(account.relayUrl, '/v1/post') });
      runner = { connection, busy: null, again: false, failures: 0, cancelRetry: () => undefined };
      this.#runners.set(peer, runner);
    }
    const mine = runner;
    mine.again = true;
    mine.busy ??= this.#run(peer, mine);
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const runner of this.#runners.values()) {
      runner.cancelRetry();
      runner.connection.close();
    }
    await Promise.all([...this.#runners.values()].map((runner) => runner.busy));
  }

  async #run(peer: string, runner: Runner): Promise<void> {
    await Promise.resolve(); // so that `busy` is set before it can be cleared
    while (this.#running && runner.again) {
      runner.again = false;
      runner.cancelRetry();
      let waitS: number | null;
      try {
        waitS = await this.#pass(peer, runner);
        runner.failures = 0;
      } catch (error) {
        if (!(error instanceof RelayUnreachable || error instanceof RelayRefused)) {
          this.#deps.onTrouble(error instanceof Error ? error.message : 'sending failed');
        }
        const backoff = Math.ceil(backoffMs(runner.failures, this.#roll()) / 1000);
        runner.failures += 1;
        waitS = error instanceof RelayRefused ? Math.max(error.retryAfterS ?? 0, backoff) : backoff;
      }
      if (waitS !== null) {
        runner.cancelRetry = this.#deps.clock.after(waitS * 1000, () => this.wake(peer));
      }
    }
    runner.busy = null; // in the same turn as the last look at `again`
  }

  /** One batch through all the steps. Answers the seconds until the next pass is due, null when nothing waits. */
  async #pass(peer: string, runner: Runner): Promise<number | null> {
    const { store, time } = this.#deps;
    const waiting = await store.outbox(peer, LIMITS.postEnvelopes);
    const [first] = waiting;
    if (!first) return null;
    const now = time.nowS();
    if (first.notBefore > now) return first.notBefore - now; // later messages do not overtake
    const items = first.attempts > 0 ? [first] : waiting; // nor do they while it is being tried again
    const ready: OutboxItem[] = [];
    for (const item of items) {
      const sealed = await this.#prepare(item);
      if (sealed) ready.push(sealed);
    }
    if (ready.length > 0) await this.#post(peer, runner, ready);
    runner.again = true; // more may wait than one batch holds
    return null;
  }

  async #prepare(item: OutboxItem): Promise<OutboxItem | null> {
    try {
      const encrypted = item.stage === 'queued' ? await this.#encrypt(item) : item;
      return await this.#seal(encrypted);
    } catch (error) {
      if (!(error instanceof Blocked)) throw error;
      await this.#finish(item, 'blocked', error.code);
      return null;
    }
  }

  /** Session and ciphertext in one transaction, before anything leaves. */
  async #encrypt(item: OutboxItem): Promise<OutboxItem> {
    const { store, queue } = this.#deps;
    // The bundle is fetched outside the queue: a slow relay must not hold up what arrives from this peer.
    let bundle = (await store.session(item.peer)) ? null : await this.#takeBundle(item.peer);
    for (;;) {
      try {
        return await queue.run(item.peer, () => this.#encryptNow(item, bundle));
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'no_session' || bundle) throw error;
        bundle = await this.#takeBundle(item.peer); // the session there was has gone stale
      }
    }
  }

  async #encryptNow(item: OutboxItem, bundle: PreKeyBundle | null): Promise<OutboxItem> {
    const { store, engine, time, account } = this.#deps;
    const contact = await store.contact(item.peer);
    let peer: PeerState = {
      localAccount: account.accountId,
      identity: account.identity,
      registrationId: account.registrationId,
      peerAccount: item.peer,
      session: await store.session(item.peer),
      peerIdentity: contact?.identityKey ?? null,
    };
    const profile = contact?.answered ? null : this.#profile();
    const plaintext = encodeText(item.contentId, item.sentAt, item.text, profile);
    let message = peer.session && (await this.#encryptUnlessStale(peer, plaintext));
    if (!message) {
      if (!bundle) throw new EngineError('no_session', 'the session has gone stale');
      peer = { ...peer, ...(await this.#begin(peer, bundle)) };
      message = await engine.encrypt(peer, plaintext, time.nowMs());
    }
    const peerIdentity = peer.peerIdentity;
    if (!peerIdentity) throw new EngineError('untrusted_identity', 'a session without an identity');
    await store.write([
      store.saveSession(item.peer, message.session),
      store.saveContact({ account: item.peer, identityKey: peerIdentity }),
      store.outboxEncrypted(item.seq, message.type, message.body, peerIdentity),
    ]);
    return { ...item, stage: 'encrypted', messageType: message.type, ciphertext: message.body, peerIdentity };
  }

  async #encryptUnlessStale(peer: PeerState, plaintext: Uint8Array) {
    try {
      return await this.#deps.engine.encrypt(peer, plaintext, this.#deps.time.nowMs());
    } catch (error) {
      if (error instanceof EngineError && error.code === 'no_session') return null;
      throw error;
    }
  }

  #begin(peer: PeerState, bundle: PreKeyBundle) {
    if (peer.peerIdentity && !sameBytes(peer.peerIdentity, bundle.identityKey)) {
      throw new Blocked('identity_changed', 'the relay gives another identity key than the contact link');
    }
    return this.#deps.engine.processBundle(peer, bundle, this.#deps.time.nowMs()).catch((error: unknown) => {
      if (error instanceof EngineError) throw new Blocked(error.code, error.message);
      throw error;
    });
  }

  async #takeBundle(peer: string): Promise<PreKeyBundle> {
    const contact = await this.#deps.store.contact(peer);
    try {
      return await this.#deps.api.takeBundle(peer, this.#accessKey(contact));
    } catch (error) {
      if (error instanceof RelayRefused && error.code === 'no_access') throw new Blocked('no_access', 'no such account, or another access key');
      throw error;
    }
  }

  #accessKey(contact: Contact | null): Uint8Array {
    if (!contact?.accessKey) throw new Blocked('no_access_key', 'they have not told their access key');
    return contact.accessKey;
  }

  /** Certificate, padding and envelope id, on disk before they leave: a retry is the same bytes under the same id. */
  async #seal(item: OutboxItem): Promise<OutboxItem> {
    const { store, engine, certificates, time, random, account } = this.#deps;
    if (item.stage === 'sealed' && isFresh(item.sealedUntil ?? 0, timeOf(item.envelopeId ?? ''), time.nowS())) return item;
    const { ciphertext, peerIdentity, messageType } = item;
    if (!ciphertext || !peerIdentity || (messageType !== 2 && messageType !== 3)) throw new SottovoceError('database', 'an outbox row without its ciphertext');
    const { certificate, expiresAt } = await certificates.current();
    const peer: PeerState = {
      localAccount: account.accountId,
      identity: account.identity,
      registrationId: account.registrationId,
      peerAccount: item.peer,
      session: null,
      peerIdentity,
    };
    const body = pad(await engine.sealedWrap(peer, peerIdentity, certificate, { type: messageType, body: ciphertext }));
    const id = envelopeId(random, time.nowMs());
    await store.write([store.outboxSealed(item.seq, id, body, expiresAt)]);
    return { ...item, stage: 'sealed', envelopeId: id, body, sealedUntil: expiresAt };
  }

  async #post(peer: string, runner: Runner, items: readonly OutboxItem[]): Promise<void> {
    const { store, time } = this.#deps;
    const contact = await store.contact(peer);
    let access: Uint8Array;
    try {
      access = this.#accessKey(contact);
    } catch (error) {
      if (!(error instanceof Blocked)) throw error;
      for (const item of items) await this.#finish(item, 'blocked', error.code);
      return;
    }
    const envelopes = items.map((item) => ({ id: item.envelopeId ?? '', to: peer, access, body: item.body ?? new Uint8Array() }));
    const answers = await runner.connection.post(envelopes);
    for (const [index, item] of items.entries()) {
      const answer = answers[index];
      if (!answer || !this.#running) continue;
      const decision = decide(answer, item.attempts, this.#roll());
      if (decision.kind === 'retry') await store.write([store.outboxRetry(item.seq, item.attempts + 1, time.nowS() + decision.inS)]);
      else if (decision.kind === 'reseal') await store.write([store.outboxUnseal(item.seq, item.attempts + 1, time.nowS() + decision.inS)]);
      else if (decision.kind === 'sent') await this.#finish(item, 'sent', null);
      else await this.#finish(item, decision.kind === 'block' ? 'blocked' : 'failed', decision.reason);
    }
  }

  async #finish(item: OutboxItem, state: SendingEvent['state'], reason: string | null): Promise<void> {
    const { store, onEvent } = this.#deps;
    const row: Statement = state === 'blocked' ? store.outboxBlock(item.seq) : store.outboxDone(item.seq);
    await store.write([store.messageState(item.seq, state, reason), row]);
    onEvent({ contentId: item.contentId, peer: item.peer, state, reason });
  }

  #profile() {
    const { name, contactAccessKey } = this.#deps.account;
    return { name, contactAccessKey };
  }

  #roll(): number {
    return (this.#deps.random.bytes(1)[0] ?? 0) / 255;
  }
}
