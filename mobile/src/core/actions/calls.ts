/** Voice calls as screens see them: the driver's state in words, and what a person may do. */
import { Calls } from '../calls/driver.ts';
import type { Ringer } from '../calls/driver.ts';
import type { PeerConnections } from '../calls/ports.ts';
import type { Call, Last } from '../calls/state.ts';
import { TurnKeeper } from '../calls/turn_keeper.ts';
import { shownName } from '../client.ts';
import type { Running } from '../client.ts';
import { CannotDo } from '../errors.ts';
import type { CallRow, CallView, Messenger } from '../messenger.ts';
import { bearer } from '../relay_api.ts';
import { readSettings } from '../settings.ts';
import { uuid4 } from '../uuid.ts';
import type { CallSignal } from '../wire/call.ts';
import { notAvailable } from './core.ts';
import type { Core } from './core.ts';

export type CallPart = Pick<Messenger, 'calls' | 'call' | 'startCall' | 'answerCall' | 'endCall' | 'setMuted' | 'forgetCalls'>;

/** What a machine that can make calls brings. */
export interface CallMachine {
  readonly peers: PeerConnections;
  readonly ringer: Ringer;
}

interface Ready {
  readonly calls: Calls;
  readonly turn: TurnKeeper;
  readonly running: Running;
  /** Set by the first start: a second one, from the screens beside the task that keeps the mailbox, must not take a call that stands for a dead one. */
  started: Promise<void> | null;
}

/** How long the last call is shown after its end. */
const ENDED_SHOWN_MS = 5_000;

export class CallActions implements CallPart {
  readonly #core: Core;
  readonly #machine: CallMachine | null;
  #ready: Ready | null = null;

  constructor(core: Core, machine: CallMachine | null) {
    this.#core = core;
    this.#machine = machine;
  }

  /** After the client has started. */
  async start(): Promise<void> {
    if (!this.#machine) return;
    const ready = await this.#prepare(this.#machine);
    ready.started ??= this.#begin(ready);
    await ready.started;
  }

  async #begin(ready: Ready): Promise<void> {
    try {
      await ready.turn.start();
      await ready.calls.recover();
    } catch (error) {
      ready.started = null; // the next start tries again
      throw error;
    }
  }

  /** Before the client stops, so that a hang-up can still leave. */
  async stop(): Promise<void> {
    const ready = this.#ready;
    this.#ready = null;
    await ready?.calls.stop();
    await ready?.turn.stop();
  }

  /** A content of kind `call` that came. */
  heard(peer: string, signal: CallSignal): void {
    this.#ready?.calls.heard(peer, signal);
    if (signal.type === 'ended') this.#core.changed({ topic: 'calls' }, { topic: 'conversation', peer });
  }

  /** The phone has another network. */
  networkChanged(): void {
    this.#ready?.calls.networkChanged();
  }

  /** Credentials for the TURN server, now: for tools. The app fetches them ahead. @throws RelayRefused `no_turn`, RelayUnreachable */
  async fetchTurn(): Promise<void> {
    if (!this.#machine) return notAvailable('calling');
    await (await this.#prepare(this.#machine)).turn.fetchNow();
  }

  async calls(): Promise<readonly CallRow[]> {
    const { store } = this.#core;
    const names = new Map((await store.people.all()).map((contact) => [contact.account, shownName(contact)]));
    return (await store.calls.all()).flatMap(({ id, peer, outgoing, startedAt, connectedAt, endedAt, outcome }) =>
      outcome === null
        ? []
        : [{ id, peer, name: names.get(peer) ?? peer, outgoing, outcome, at: startedAt, seconds: connectedAt === null || endedAt === null ? 0 : endedAt - connectedAt }],
    );
  }

  async call(): Promise<CallView | null> {
    const ready = this.#ready;
    if (!ready) return null;
    const { call, last } = ready.calls.state;
    if (call) return this.#view(ready, call);
    const shown = last && ready.running.time.nowMs() - last.endedAt < ENDED_SHOWN_MS;
    return shown ? this.#lastView(ready, last) : null;
  }

  /** @throws CannotDo `no_contact`, `blocked`, `no_access_key`, `identity_unconfirmed`, `in_call`, `no_turn` */
  async startCall(peer: string): Promise<CallView> {
    const { client, store } = this.#core;
    const contact = await client.contact(peer);
    if (contact.blocked) throw new CannotDo('blocked', 'this contact is blocked: unblock them first');
    if (contact.identityState === 'unconfirmed') throw new CannotDo('identity_unconfirmed', 'their identity key changed: compare and confirm it first');
    if (!contact.accessKey) throw new CannotDo('no_access_key', 'they have not told how to reach them: ask for their contact link');
    const ready = this.#require();
    const { directCalls } = await readSettings(store);
    if (ready.calls.state.call) throw new CannotDo('in_call', 'there is a call already');
    if (!directCalls && !ready.turn.current()) {
      throw new CannotDo('no_turn', 'the relay has given no way to call yet: this comes by itself within a minute of connecting, if the relay offers calls');
    }
    ready.calls.dial(uuid4(client.machine.random), peer, directCalls);
    const { call } = ready.calls.state;
    if (!call) throw new CannotDo('in_call', 'there is a call already');
    return this.#view(ready, call);
  }

  async answerCall(id: string): Promise<void> {
    const ready = this.#require();
    const { directCalls } = await readSettings(this.#core.store);
    this.#requireCall(ready, id);
    ready.calls.accept(id, directCalls);
  }

  async endCall(id: string): Promise<void> {
    const ready = this.#require();
    if (ready.calls.state.call?.id === id) ready.calls.hangUp(id); // else it is over already, which is what was wanted
  }

  async setMuted(id: string, muted: boolean): Promise<void> {
    const ready = this.#require();
    this.#requireCall(ready, id);
    ready.calls.mute(id, muted);
  }

  async forgetCalls(): Promise<void> {
    const { store, changed } = this.#core;
    await store.write([store.calls.forgetAll()]);
    changed({ topic: 'calls' });
  }

  #require(): Ready {
    if (!this.#machine) throw new CannotDo('not_available', 'this machine cannot make calls');
    if (!this.#ready) throw new CannotDo('offline', 'there is no connection to the relay');
    return this.#ready;
  }

  #requireCall(ready: Ready, id: string): void {
    if (ready.calls.state.call?.id !== id) throw new CannotDo('no_call', 'this call is over');
  }

  async #prepare({ peers, ringer }: CallMachine): Promise<Ready> {
    const { client, store, changed } = this.#core;
    const running = await client.running();
    if (this.#ready?.running === running) return this.#ready;
    const { clock, random } = client.machine;
    const { account, api, time, sender, signals } = running;
    const onTrouble = (what: string): void => client.trouble(what);
    const { spreadS = null } = client.machine;
    const turn = new TurnKeeper({ store, clock, random, time, onTrouble, spreadS, fetch: () => api.turnCredentials(bearer(account.accountId, account.secret)) });
    const calls = new Calls({
      store,
      clock,
      time,
      peers,
      ringer,
      turnServer: () => turn.current(),
      signal: (peer, call, ttlS) => signals.send(peer, sender.content({ kind: 'call', call }), ttlS, true),
      post: (peer, call) => sender.queue(peer, sender.content({ kind: 'call', call })),
      onChange: (what, peer) => (what === 'call' ? changed({ topic: 'call' }) : changed({ topic: 'calls' }, { topic: 'conversation', peer })),
      onTrouble,
    });
    this.#ready = { calls, turn, running, started: null };
    return this.#ready;
  }

  async #view({ calls }: Ready, call: Call): Promise<CallView> {
    const contact = await this.#core.store.people.get(call.peer);
    return {
      id: call.id,
      peer: call.peer,
      name: (contact && shownName(contact)) ?? call.peer,
      outgoing: call.outgoing,
      state: call.phase,
      outcome: null,
      reason: null,
      connectedAt: seconds(call.connectedAt),
      muted: call.muted,
      relayOnly: calls.relayOnly,
      verified: contact?.verified === true && contact.identityState === 'same',
      quality: calls.quality,
    };
  }

  async #lastView({ calls }: Ready, { id, peer, outgoing, outcome, reason, connectedAt }: Last): Promise<CallView> {
    const contact = await this.#core.store.people.get(peer);
    return {
      id,
      peer,
      name: (contact && shownName(contact)) ?? peer,
      outgoing,
      state: 'ended',
      outcome,
      reason,
      connectedAt: seconds(connectedAt),
      muted: false,
      relayOnly: calls.relayOnly,
      verified: contact?.verified === true && contact.identityState === 'same',
      quality: null,
    };
  }
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}
