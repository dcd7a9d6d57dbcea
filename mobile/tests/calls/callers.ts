/** Two members who know each other, each with a phone: the whole app, real WebRTC, and a voice. */
import type { SignalEngine } from '../../src/core/engine.ts';
import type { CallView } from '../../src/core/messenger.ts';
import { NodePeerConnections } from '../../src/node/peer_connections.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import type { RelayUnderTest } from '../relay/contract.ts';
import { TestApp } from '../support/apps.ts';
import { removeDirectory, until } from '../support/clients.ts';
import { Voice } from './voices.ts';
import type { Microphone } from '../../src/node/peer_connections.ts';

const fromUtf8 = new TextDecoder();

/** Notes every plaintext before it is encrypted: the last moment at which anybody could see what leaves. */
function overheard(plaintexts: string[]): SignalEngine {
  const engine = new NodeSignalEngine();
  const encrypt: SignalEngine['encrypt'] = (peer, plaintext, nowMs) => {
    plaintexts.push(fromUtf8.decode(plaintext));
    return engine.encrypt(peer, plaintext, nowMs);
  };
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'encrypt') return encrypt;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export class Caller {
  readonly test: TestApp;
  readonly id: string;
  readonly voice: Voice;
  readonly peers: NodePeerConnections;
  readonly ringing = new Set<string>();
  /** Everything that was sealed, in clear. */
  readonly said: string[];

  private constructor(test: TestApp, id: string, voice: Voice, peers: NodePeerConnections, ringing: Set<string>, said: string[]) {
    Object.assign(this, { ringing });
    [this.test, this.id, this.voice, this.peers, this.said] = [test, id, voice, peers, said];
  }

  static async join(relay: RelayUnderTest, name: string, says: () => Microphone): Promise<Caller> {
    const voice = new Voice(says);
    const peers = new NodePeerConnections(voice);
    const ringing = new Set<string>();
    const said: string[] = [];
    const ringer = { ring: (call: string) => void ringing.add(call), stop: (call: string) => void ringing.delete(call) };
    const test = await TestApp.join(await relay.invite(), name, undefined, { engine: overheard(said), calls: { peers, ringer } });
    return new Caller(test, await test.id(), voice, peers, ringing, said);
  }

  get app(): TestApp['app'] {
    return this.test.app;
  }

  async state(): Promise<CallView['state'] | null> {
    return (await this.app.call())?.state ?? null;
  }

  async current(): Promise<CallView> {
    const call = await this.app.call();
    if (!call) throw new Error('there is no call');
    return call;
  }

  /** Answers the call that rings. */
  async answer(): Promise<number> {
    await until('it rings', () => this.ringing.size > 0);
    const at = performance.now();
    await this.app.answerCall((await this.current()).id);
    return at;
  }

  async hangUp(): Promise<void> {
    const call = await this.app.call();
    if (call) await this.app.endCall(call.id);
  }

  /** The signals of a kind that this end has sent, by the words of the wire. */
  signals(type: string): readonly string[] {
    return this.said.filter((text) => text.includes(`"type":"${type}"`) && text.includes('"kind":"call"'));
  }

  async close(): Promise<void> {
    await this.test.close();
    removeDirectory(this.test.directory);
  }
}

/** Ada and Bob, online, acquainted, with credentials for calls. */
export async function acquainted(relay: RelayUnderTest, ada: () => Microphone, bob: () => Microphone): Promise<readonly [Caller, Caller]> {
  const both = [await Caller.join(relay, 'Ada', ada), await Caller.join(relay, 'Bob', bob)] as const;
  const [one, two] = both;
  await one.app.addByCard(await two.app.card(), true);
  await two.app.addByCard(await one.app.card(), true);
  for (const caller of both) {
    await caller.app.start();
    await caller.app.voice.fetchTurn();
  }
  for (const caller of both) await until('everybody is there', async () => (await caller.app.connection()).caughtUp);
  return both;
}

/** Ada calls, Bob answers. Answers the milliseconds from accepting until both are connected. */
export async function talk(ada: Caller, bob: Caller): Promise<number> {
  await ada.app.startCall(bob.id);
  const acceptedAt = await bob.answer();
  await until('both are connected', async () => (await ada.state()) === 'connected' && (await bob.state()) === 'connected', 40_000);
  return performance.now() - acceptedAt;
}

/** Nothing is left of any call, at either end. */
export async function nothingLeft(...callers: readonly Caller[]): Promise<void> {
  for (const caller of callers) {
    await until('no call is left', async () => [null, 'ended'].includes(await caller.state()), 60_000);
    await until('no peer connection is left', () => caller.peers.open === 0);
    if (caller.ringing.size > 0) throw new Error('it still rings');
  }
}
