import { NOTHING } from './handlers/handler.ts';
import type { Arrival, Context, CoreEvent, Effects, Handler } from './handlers/handler.ts';
import { HANDLERS } from './handlers/table.ts';
import { open, unwrap } from './opening.ts';
import type { Opened, OpeningDeps, Unreadable, Unwrapped } from './opening.ts';
import type { Random, Statement } from './ports.ts';
import type { KeyedQueue } from './queue.ts';
import type { RelayTime } from './relay_time.ts';
import { repairStatements } from './repair.ts';
import { readSettings } from './settings.ts';
import { uuid4 } from './uuid.ts';
import type { Kind } from './wire/content.ts';

export interface ReceivingDeps extends OpeningDeps {
  readonly queue: KeyedQueue;
  readonly time: RelayTime;
  readonly random: Random;
}

/** What an envelope turned out to be. In every case it is settled on disk and is to be acknowledged. */
export interface Settled {
  readonly events: readonly CoreEvent[];
  /** Outgoing messages for this account may be able to leave now. */
  readonly wake: string | null;
}

/** What may come by signal. */
const BY_SIGNAL: ReadonlySet<Kind> = new Set(['typing', 'call', 'null']);

const ALREADY: Settled = { events: [], wake: null };

/**
 * From an envelope to rows, as one unit of work: session, identity, consumed prekeys, what the content's handler wants and the
 * envelope's id are written in ONE transaction, and only when `receive` has resolved may the envelope be acknowledged. Rejects
 * only when this machine failed (a full disk): then nothing was written, nothing is acknowledged, and the relay delivers again.
 */
export class Receiver {
  readonly #deps: ReceivingDeps;

  constructor(deps: ReceivingDeps) {
    this.#deps = deps;
  }

  async receive(body: Uint8Array, arrival: Arrival): Promise<Settled> {
    const { store, queue } = this.#deps;
    if (await store.keys.envelopeSeen(arrival.id)) return ALREADY;
    const unwrapped = await unwrap(this.#deps, { at: arrival.at, body });
    if (unwrapped.kind === 'nobody') return this.#settle(arrival, null, this.#unreadable(arrival, null, unwrapped.reason));
    const peer = unwrapped.sender.account;
    return queue.run(peer, async () => this.#settle(arrival, peer, await this.#understand(unwrapped, arrival)));
  }

  async #settle(arrival: Arrival, peer: string | null, { statements, events, wake = false }: Effects): Promise<Settled> {
    const { store, time } = this.#deps;
    await store.write([...statements, ...store.keys.envelopeIsSeen(arrival.id, time.nowS())]);
    return { events, wake: wake ? peer : null };
  }

  /** Runs in the sender's queue. */
  async #understand(unwrapped: Unwrapped, arrival: Arrival): Promise<Effects> {
    const { sender, own } = unwrapped;
    const opened = await open(this.#deps, unwrapped);
    if (opened.kind === 'duplicate') return NOTHING;
    if (opened.kind === 'unreadable') return this.#couldNotRead(opened, sender.account, own, arrival);
    if (own !== (opened.content.kind === 'probe')) {
      // From this account there is nothing but probes, and from nobody else.
      return own ? this.#unreadable(arrival, null, 'bad_certificate') : { ...NOTHING, statements: opened.statements };
    }
    if (own) {
      const effects = await this.#handle(opened, arrival);
      return { ...effects, statements: [...opened.statements, ...effects.statements] };
    }
    if (opened.contact?.blocked) return { ...NOTHING, statements: opened.statements };
    return this.#accept(opened, arrival);
  }

  async #accept(opened: Opened, arrival: Arrival): Promise<Effects> {
    const { store, random, time } = this.#deps;
    const { content, sender, identityChanged } = opened;
    const peer = sender.account;
    const statements: Statement[] = [];
    const events: CoreEvent[] = [];
    if (identityChanged) {
      statements.push(
        store.outbox.forgetAllSent(peer),
        store.messages.add({ contentId: uuid4(random), peer, direction: 'in', kind: 'identity_changed', sentAt: arrival.at, arrivedAt: arrival.at, state: 'received', readAt: time.nowS() }),
      );
      events.push({ kind: 'contact', peer }, { kind: 'conversation', peer });
    }
    if (content.profile) {
      const { name: profileName, contactAccessKey: accessKey } = content.profile;
      // With a key that opens their mailbox, what waited for one may leave.
      statements.push(store.people.save({ account: peer, profileName, accessKey }), ...store.outbox.unblock(peer));
    }
    const effects = await this.#handle(opened, arrival);
    // What could not be read is here now. A text has taken the place of its line; after anything else no line is left behind.
    const gap = content.resent === null ? null : await store.messages.get(peer, content.resent);
    const filled = gap?.kind === 'undecryptable';
    if (filled) events.push({ kind: 'conversation', peer });
    return {
      statements: [...opened.statements, ...statements, ...effects.statements, ...(filled ? [store.messages.removeGap(peer, gap.contentId)] : [])],
      events: [...events, ...effects.events],
      wake: effects.wake === true || content.profile !== null || identityChanged,
    };
  }

  async #handle({ content, contact, sender, identityChanged }: Opened, arrival: Arrival): Promise<Effects> {
    if (content.kind === 'unknown') return NOTHING;
    if (arrival.lane === 'signal' && !BY_SIGNAL.has(content.kind)) return NOTHING; // what must not get lost has no business on this lane
    const { store, random, time } = this.#deps;
    const context: Context = {
      store,
      peer: sender.account,
      contact,
      sameIdentity: !identityChanged && contact?.identityState === 'same',
      arrival,
      now: time.nowS(),
      settings: await readSettings(store),
      random,
    };
    // The table pairs each kind with its handler; TypeScript cannot follow a pair through an index.
    return (HANDLERS[content.kind] as Handler<Kind>)(content as never, context);
  }

  async #couldNotRead({ reason, statements, contact }: Unreadable, peer: string, own: boolean, arrival: Arrival): Promise<Effects> {
    // A signal is worthless after a minute, and a probe that failed is seen by who sent it; neither is worth a line.
    if (own || arrival.lane === 'signal') return { ...NOTHING, statements };
    if (contact?.blocked) return { ...NOTHING, statements };
    const { store, random, time } = this.#deps;
    const row = this.#unreadable(arrival, peer, reason);
    const repair = await repairStatements(store, random, contact, reason, arrival.id, time.nowS());
    return { statements: [...statements, ...row.statements, ...repair], events: row.events, wake: repair.length > 0 };
  }

  /** A visible row: something came and could not be read. Never silently lost. */
  #unreadable(arrival: Arrival, peer: string | null, reason: string): Effects {
    if (arrival.lane === 'signal') return NOTHING;
    const row = this.#deps.store.messages.add({
      contentId: arrival.id,
      peer,
      direction: 'in',
      kind: 'undecryptable',
      sentAt: arrival.at,
      arrivedAt: arrival.at,
      state: 'received',
      reason,
    });
    return { statements: [row], events: [{ kind: 'undecryptable', peer, reason }] };
  }
}
