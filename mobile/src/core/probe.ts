/** Delivery health: a message to oneself through the whole path, since silence looks the same whether nobody writes or nothing arrives. */
import type { Encryptor } from './encrypting.ts';
import type { PeerState, SignalEngine } from './engine.ts';
import { SottovoceError } from './errors.ts';
import { PostConnection } from './post_connection.ts';
import type { PostDeps } from './post_connection.ts';
import type { Clock, Random } from './ports.ts';
import type { AnonymousApi } from './relay_api.ts';
import type { RelayTime } from './relay_time.ts';
import type { Account } from './storage/account.ts';
import type { Store } from './storage/store.ts';
import { uuid4 } from './uuid.ts';
import { encodeContent } from './wire/content.ts';

export interface DeliveryHealth {
  /** When a message last made the whole way, seconds since 1970. */
  readonly deliveredAt: number | null;
  readonly probedAt: number | null;
  readonly probeFailed: boolean;
}

export interface ProbeDeps {
  readonly store: Store;
  readonly engine: SignalEngine;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: RelayTime;
  readonly api: AnonymousApi;
  readonly encryptor: Encryptor;
  readonly post: PostDeps;
  readonly account: Account & { readonly accountId: string };
  readonly onChange: () => void;
}

const NAME = 'delivery_health';
const BACK_WITHIN_MS = 60_000;
/** About twice a day, at a random time, so that it is not a mark of this app on the network. */
const EVERY_S = 12 * 3_600;
/** Not written for every message: to the minute is enough. */
const TO_THE_S = 60;

export class Probe {
  readonly #deps: ProbeDeps;
  readonly #waiting = new Map<string, () => void>();
  /** Ends what a probe under way is waiting for. */
  #giveUp: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #started = false;
  #noted = 0;
  #cancel: () => void = () => undefined;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
  }

  async health(): Promise<DeliveryHealth> {
    return readHealth(this.#deps.store);
  }

  start(): void {
    this.#started = true;
    void this.#schedule();
  }

  async stop(): Promise<void> {
    this.#started = false;
    this.#cancel();
    this.#giveUp();
    await this.#running?.catch(() => undefined);
  }

  /** One of our own came back. */
  arrived(id: string): void {
    this.#waiting.get(id)?.();
  }

  /** A message made the whole way. */
  async delivered(): Promise<void> {
    const now = this.#deps.time.nowS();
    if (now - this.#noted < TO_THE_S) return;
    this.#noted = now;
    await this.#note({ deliveredAt: now });
  }

  /** Several callers share one. @throws SottovoceError `probe_refused`, `probe_lost`, and what taking a bundle or a certificate throws */
  run(): Promise<void> {
    this.#running ??= this.#whole().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #whole(): Promise<void> {
    const { time } = this.#deps;
    try {
      await this.#send();
      const now = time.nowS();
      await this.#note({ deliveredAt: now, probedAt: now, probeFailed: false });
    } catch (error) {
      if (this.#started) await this.#note({ probedAt: time.nowS(), probeFailed: true }); // else it was ended, and says nothing
      throw error;
    } finally {
      void this.#schedule();
    }
  }

  /** A session for this one message: a bundle of our own, used once and kept nowhere; and a post session that carries nothing else. */
  async #send(): Promise<void> {
    const { engine, random, time, api, encryptor, post, account, store } = this.#deps;
    const { contactAccessKey } = (await store.account.get()) ?? account;
    const bundle = await api.takeBundle(account.accountId, contactAccessKey);
    const nobody: PeerState = {
      localAccount: account.accountId,
      identity: account.identity,
      registrationId: account.registrationId,
      peerAccount: account.accountId,
      session: null,
      peerIdentity: account.identityKey, // another key in the bundle is refused by the engine
    };
    const begun = await engine.processBundle(nobody, bundle, time.nowMs());
    const id = uuid4(random);
    const plaintext = encodeContent({ id, sentAt: time.nowS(), profile: null, resent: null, kind: 'probe' });
    const message = await engine.encrypt({ ...nobody, ...begun }, plaintext, time.nowMs());
    const encrypted = { messageType: message.type, ciphertext: message.body, peerIdentity: account.identityKey };
    const { id: envelope, body } = await encryptor.seal(account.accountId, encrypted);
    if (!this.#started) throw new SottovoceError('probe_lost', 'the app was stopped meanwhile');
    const back = this.#comesBack(id);
    const connection = new PostConnection(post);
    this.#giveUp = () => {
      back.giveUp();
      connection.close();
    };
    try {
      const [answer] = await connection.post([{ id: envelope, to: account.accountId, access: contactAccessKey, body }]);
      if (answer?.kind !== 'posted') {
        throw new SottovoceError('probe_refused', `the relay did not take the probe (${answer?.kind === 'refused' ? answer.code : 'no answer'})`);
      }
      if (!(await back.done)) throw new SottovoceError('probe_lost', 'the relay took the probe and it did not come back');
    } finally {
      back.forget();
      connection.close();
    }
  }

  #comesBack(id: string): { readonly done: Promise<boolean>; giveUp(): void; forget(): void } {
    let settle: (came: boolean) => void = () => undefined;
    const done = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const cancel = this.#deps.clock.after(BACK_WITHIN_MS, () => settle(false));
    this.#waiting.set(id, () => settle(true));
    return {
      done,
      giveUp: () => settle(false),
      forget: () => {
        cancel();
        this.#waiting.delete(id);
      },
    };
  }

  async #note(change: Partial<DeliveryHealth>): Promise<void> {
    const { store, onChange } = this.#deps;
    await store.write([store.account.setSetting(NAME, { ...(await readHealth(store)), ...change })]);
    onChange();
  }

  /** From three quarters to five quarters of the time after the last one. */
  async #schedule(): Promise<void> {
    if (!this.#started) return;
    const { clock, random, time } = this.#deps;
    const { probedAt } = await this.health();
    const roll = (random.bytes(1)[0] ?? 0) / 255;
    const dueAt = (probedAt ?? time.nowS()) + EVERY_S * (0.75 + roll / 2);
    if (!this.#started) return;
    this.#cancel();
    this.#cancel = clock.after(Math.max(60, dueAt - time.nowS()) * 1000, () => void this.run().catch(() => undefined));
  }
}

export async function readHealth(store: Store): Promise<DeliveryHealth> {
  const stored = await store.account.setting(NAME);
  const fields: Record<string, unknown> = typeof stored === 'object' && stored !== null ? { ...stored } : {};
  const time = (name: string): number | null => (typeof fields[name] === 'number' ? fields[name] : null);
  return { deliveredAt: time('deliveredAt'), probedAt: time('probedAt'), probeFailed: fields['probeFailed'] === true };
}
