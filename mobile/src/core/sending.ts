import { backoffMs } from './backoff.ts';
import { accessKeyOf, Blocked, Postponed } from './encrypting.ts';
import type { Encryptor } from './encrypting.ts';
import { RelayRefused, RelayUnreachable, SottovoceError } from './errors.ts';
import { decide, isFresh } from './outbox.ts';
import type { Clock, Random, Statement } from './ports.ts';
import { LOOK_AGAIN_S } from './people/access.ts';
import type { Access } from './people/access.ts';
import type { PostConnections } from './post_connections.ts';
import type { RelayTime } from './relay_time.ts';
import type { MessageState } from './storage/messages.ts';
import type { OutboxItem } from './storage/outbox.ts';
import type { Store } from './storage/store.ts';
import { encodeContent, parseContent } from './wire/content.ts';
import type { Bodies, Content, ContentOf, Kind } from './wire/content.ts';
import { LIMITS } from './wire/frames.ts';
import { timeOf, uuid4 } from './uuid.ts';

export interface SendingEvent {
  readonly contentId: string;
  readonly contentKind: Kind;
  readonly peer: string;
  readonly state: Extract<MessageState, 'sent' | 'blocked' | 'failed'>;
  readonly reason: string | null;
}

export interface SendingDeps {
  readonly store: Store;
  readonly encryptor: Encryptor;
  readonly connections: PostConnections;
  readonly access: Access;
  readonly time: RelayTime;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: SendingEvent) => void;
  readonly onTrouble: (what: string) => void;
}

interface Runner {
  busy: Promise<void> | null;
  /** Level-triggered: something may have changed while busy. */
  again: boolean;
  /** Passes in a row that did not reach the relay. */
  failures: number;
  cancelRetry: () => void;
}

/** What is queued with a content, in one transaction with it. */
export interface Along {
  /** Before the outbox row: the message that a person sees, for instance. */
  readonly statements?: readonly Statement[];
  /** The message it is, or is about: when that goes before this left, so does this. */
  readonly about?: string;
}

/**
 * The outbox: what `queue` took is encrypted, sealed and posted, one conversation independent of the other. Each step is
 * on disk before the next begins, so after a crash it goes on where it was, with the same bytes under the same id.
 */
export class Sender {
  readonly #deps: SendingDeps;
  readonly #runners = new Map<string, Runner>();
  #running = true;

  constructor(deps: SendingDeps) {
    this.#deps = deps;
  }

  /** A content of our own, made now. */
  content<K extends Kind>(body: { readonly kind: K } & Bodies[K]): ContentOf<K> {
    const { random, time } = this.#deps;
    return { id: uuid4(random), sentAt: time.nowS(), profile: null, resent: null, ...body };
  }

  /** Queues durably; it leaves when the network allows. @throws SottovoceError `too_long` */
  async queue(peer: string, content: Content, along: Along = {}): Promise<void> {
    await this.#deps.store.write([...(along.statements ?? []), this.queueStatement(peer, content, along.about)]);
    this.wake(peer);
  }

  /** For a unit of work of somebody else, who calls `wake` after it. @throws SottovoceError `too_long` */
  queueStatement(peer: string, content: Content, about?: string): Statement {
    return this.#deps.store.outbox.add({ peer, contentId: content.id, kind: content.kind, content: encodeContent(content), about: about ?? null });
  }

  /** Starts on everything that waits. */
  async resume(): Promise<void> {
    for (const peer of await this.#deps.store.outbox.peers()) this.wake(peer);
  }

  /** Looks at what waits for this peer: now, or as soon as what is under way is done. */
  wake(peer: string): void {
    if (!this.#running) return;
    let runner = this.#runners.get(peer);
    if (!runner) {
      runner = { busy: null, again: false, failures: 0, cancelRetry: () => undefined };
      this.#runners.set(peer, runner);
    }
    const mine = runner;
    mine.again = true;
    mine.busy ??= this.#run(peer, mine);
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const runner of this.#runners.values()) runner.cancelRetry();
    this.#deps.connections.close();
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
      if (waitS !== null && this.#running) {
        runner.cancelRetry = this.#deps.clock.after(waitS * 1000, () => this.wake(peer));
      }
    }
    runner.busy = null; // in the same turn as the last look at `again`
  }

  /** One batch through all the steps. Answers the seconds until the next pass is due, null when nothing waits. */
  async #pass(peer: string, runner: Runner): Promise<number | null> {
    const { store, time } = this.#deps;
    const now = time.nowS();
    const waiting = await store.outbox.waiting(peer, LIMITS.postEnvelopes, now);
    const [first] = waiting;
    if (!first) {
      const due = await store.outbox.nextUrgent(peer);
      return due === null ? null : Math.max(1, due - now);
    }
    if (first.notBefore > now) return first.notBefore - now; // later messages do not overtake
    // Nor do they while it is being tried again; and behind a new session everything is encrypted anew.
    const items = first.attempts > 0 || first.kind === 'session_reset' ? [first] : waiting;
    const sealed = await this.#seal(await this.#encrypt(items));
    if (sealed.length > 0) await this.#post(peer, sealed);
    runner.again = true; // more may wait than one batch holds
    return null;
  }

  /** Session and ciphertext in one transaction each. What cannot go on by itself drops out. */
  async #encrypt(items: readonly OutboxItem[]): Promise<readonly OutboxItem[]> {
    const ready: OutboxItem[] = [];
    for (const item of items) {
      if (item.stage !== 'queued') {
        ready.push(item);
        continue;
      }
      const { store, encryptor } = this.#deps;
      const content = this.#known(item);
      try {
        const reset = content.kind === 'session_reset';
        const encrypted = await encryptor.encrypt(item.peer, content, {
          session: reset ? 'renew' : 'keep',
          // Another envelope that could not be read may have been added while the bundle was fetched.
          ...(reset && { latest: async () => this.#known((await store.outbox.get(item.id)) ?? item) }),
          also: ({ messageType, ciphertext, peerIdentity }) => [
            ...(reset ? [store.outbox.encryptAgain(item.peer)] : []),
            store.outbox.encrypted(item.id, messageType, ciphertext, peerIdentity),
          ],
        });
        ready.push({ ...item, stage: 'encrypted', ...encrypted });
      } catch (error) {
        if (error instanceof Postponed) await store.write([store.outbox.retry(item.id, item.attempts + 1, this.#deps.time.nowS() + error.inS)]);
        else if (error instanceof Blocked) await this.#finish([{ item, state: 'blocked', reason: error.code }]);
        else throw error;
        break; // what follows would be blocked for the same reason, and must not overtake: the next pass judges it
      }
    }
    return ready;
  }

  #known(item: OutboxItem): Content {
    const content = parseContent(item.content);
    if (content.kind === 'unknown') throw new SottovoceError('database', 'an outbox row of no known kind');
    return content;
  }

  /** Certificate, padding and envelope id, on disk before they leave: a retry is the same bytes under the same id. */
  async #seal(items: readonly OutboxItem[]): Promise<readonly OutboxItem[]> {
    const { store, encryptor, time } = this.#deps;
    const statements: Statement[] = [];
    const sealed: OutboxItem[] = [];
    for (const item of items) {
      if (item.stage === 'sealed' && isFresh(item.sealedUntil ?? 0, timeOf(item.envelopeId ?? ''), time.nowS())) {
        sealed.push(item);
        continue;
      }
      const { ciphertext, peerIdentity, messageType } = item;
      if (!ciphertext || !peerIdentity || (messageType !== 2 && messageType !== 3)) throw new SottovoceError('database', 'an outbox row without its ciphertext');
      const { id, body, sealedUntil } = await encryptor.seal(item.peer, { ciphertext, peerIdentity, messageType });
      statements.push(store.outbox.sealed(item.id, id, body, sealedUntil));
      sealed.push({ ...item, stage: 'sealed', envelopeId: id, body, sealedUntil });
    }
    if (statements.length > 0) await store.write(statements);
    return sealed;
  }

  async #post(peer: string, items: readonly OutboxItem[]): Promise<void> {
    const { store, time, connections } = this.#deps;
    const contact = await store.people.get(peer);
    let access: Uint8Array;
    try {
      access = accessKeyOf(contact);
    } catch (error) {
      if (!(error instanceof Blocked)) throw error;
      await this.#finish(items.map((item) => ({ item, state: 'blocked', reason: error.code })));
      return;
    }
    const envelopes = items.map((item) => ({ id: item.envelopeId ?? '', to: peer, access, body: item.body ?? new Uint8Array() }));
    const answers = await connections.to(peer).post(envelopes);
    const shut = answers.some((answer) => answer.kind === 'refused' && answer.code === 'no_access');
    const verdict = shut ? await this.#deps.access.refused(peer, access) : 'no_access';
    const later: Statement[] = [];
    const finished: Finished[] = [];
    for (const [index, item] of items.entries()) {
      const answer = answers[index];
      if (!answer || (answer.kind === 'lost' && !this.#running)) continue; // for the next start, as it is
      const decision = decide(answer, item.attempts, this.#roll());
      if (decision.kind === 'retry') later.push(store.outbox.retry(item.id, item.attempts + 1, time.nowS() + decision.inS));
      else if (decision.kind === 'reseal') later.push(store.outbox.unseal(item.id, item.attempts + 1, time.nowS() + decision.inS));
      else if (decision.kind === 'block' && verdict === 'again') later.push(store.outbox.retry(item.id, item.attempts, time.nowS()));
      else if (decision.kind === 'block' && verdict === 'later') later.push(store.outbox.retry(item.id, item.attempts + 1, time.nowS() + LOOK_AGAIN_S));
      else if (decision.kind === 'sent') finished.push({ item, state: 'sent', reason: null });
      else finished.push({ item, state: decision.kind === 'block' ? 'blocked' : 'failed', reason: decision.reason });
    }
    await this.#finish(finished, later);
  }

  /** One transaction for a whole batch. */
  async #finish(finished: readonly Finished[], also: readonly Statement[] = []): Promise<void> {
    const { store, onEvent, time } = this.#deps;
    const statements = finished.flatMap(({ item, state, reason }) => [
      ...(item.seq === null ? [] : [store.messages.setState(item.seq, state, reason, time.nowS())]),
      ...(state === 'sent' ? store.outbox.log(item, time.nowS()) : []),
      state === 'blocked' ? store.outbox.block(item.id) : store.outbox.done(item.id),
    ]);
    if (statements.length + also.length > 0) await store.write([...statements, ...also]);
    for (const { item, state, reason } of finished) onEvent({ contentId: item.contentId, contentKind: item.kind, peer: item.peer, state, reason });
  }

  #roll(): number {
    return (this.#deps.random.bytes(1)[0] ?? 0) / 255;
  }
}

interface Finished {
  readonly item: OutboxItem;
  readonly state: SendingEvent['state'];
  readonly reason: string | null;
}
