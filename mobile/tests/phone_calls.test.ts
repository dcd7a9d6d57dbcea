/** The phone's peer connections over real libwebrtc (Node's build in the phone's place), and the bridge to Telecom over a script. */
import { createRequire } from 'node:module';

import { describe, expect, test } from 'vitest';

import type { Candidate } from '../src/core/calls/events.ts';
import type { PeerConnection, PeerListener } from '../src/core/calls/ports.ts';
import type { CallView, Change } from '../src/core/messenger.ts';
import { bridgeCalls } from '../src/phone/call_bridge.ts';
import { Native } from '../src/phone/native.ts';
import type { PhoneEvent } from '../src/phone/native.ts';
import { phonePeerConnections } from '../src/phone/peer_connections.ts';
import type { NativePeer, Track, WebRtc } from '../src/phone/peer_connections.ts';

const until = async (what: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; !(await what()); i += 1) {
    if (i > 600) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const ended = (track: Track | undefined): boolean => (track as { readyState?: string } | undefined)?.readyState === 'ended';

describe('peer connections', () => {
  const wrtc = createRequire(import.meta.url)('@roamhq/wrtc') as {
    RTCPeerConnection: new (configuration: object) => NativePeer;
    nonstandard: { RTCAudioSource: new () => { createTrack(): Track; onData(data: object): void } };
  };

  function phone() {
    const state = { tracks: [] as Track[], sound: 0, configurations: [] as object[], refuse: false };
    class Peer extends wrtc.RTCPeerConnection {
      constructor(configuration: object) {
        super(configuration);
        state.configurations.push(configuration);
      }
    }
    const webrtc: WebRtc = {
      RTCPeerConnection: Peer,
      mediaDevices: {
        async getUserMedia() {
          if (state.refuse) throw new Error('no permission');
          const source = new wrtc.nonstandard.RTCAudioSource();
          const track = source.createTrack();
          const speaking = setInterval(() => {
            if (ended(track)) clearInterval(speaking);
            else source.onData({ samples: new Int16Array(480).fill(1000), sampleRate: 48_000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 });
          }, 10);
          state.tracks.push(track);
          return { getAudioTracks: () => [track] };
        },
      },
    };
    const peers = phonePeerConnections(webrtc, { start: () => (state.sound += 1), stop: () => (state.sound -= 1) });
    return { state, peers };
  }

  function heard() {
    const said = { candidates: [] as Candidate[], media: [] as string[], gathered: 0 };
    const listener: PeerListener = {
      candidate: (candidate) => said.candidates.push(candidate),
      gathered: () => (said.gathered += 1),
      turnTrouble: () => undefined,
      media: (media) => said.media.push(media),
    };
    return { said, listener };
  }

  test('two of them talk, and nothing is left when they are closed', async () => {
    const [ada, bob] = [phone(), phone()];
    const [adaHears, bobHears] = [heard(), heard()];
    const direct = { turn: null, relayOnly: false };
    const one: PeerConnection = ada.peers.create({ ...direct, listener: adaHears.listener });
    const two: PeerConnection = bob.peers.create({ ...direct, listener: bobHears.listener });

    const offer = await one.offer(false);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(adaHears.said.candidates).toEqual([]); // nothing is gathered before the other side accepts
    const answer = await two.answer(offer);
    await one.applyAnswer(offer, answer);
    let sent = [0, 0];
    const pass = async (): Promise<void> => {
      const [fromAda, fromBob] = [adaHears.said.candidates.slice(sent[0]), bobHears.said.candidates.slice(sent[1])];
      sent = [adaHears.said.candidates.length, bobHears.said.candidates.length];
      for (const candidate of fromAda) await two.addCandidate(candidate);
      for (const candidate of fromBob) await one.addCandidate(candidate);
    };
    await until(async () => {
      await pass();
      return adaHears.said.media.includes('connected') && bobHears.said.media.includes('connected');
    });
    await one.addCandidate({ candidate: 'candidate:rubbish', mid: '0', line: 0 }); // is ignored

    await one.openMicrophone(true);
    await two.openMicrophone(false);
    await one.openMicrophone(false); // a second time is nothing
    expect([ada.state.tracks[0]?.enabled, bob.state.tracks[0]?.enabled]).toEqual([false, true]);
    expect(ada.state.tracks).toHaveLength(1);
    one.setMuted(false);
    expect(ada.state.tracks[0]?.enabled).toBe(true);
    await until(async () => (await one.quality()) !== null && (await two.quality()) !== null);
    expect(await one.quality()).toMatchObject({ lossPercent: 0 });
    expect([ada.state.sound, bob.state.sound]).toEqual([1, 1]);

    one.close();
    one.close();
    two.close();
    expect([ada.state.sound, bob.state.sound]).toEqual([0, 0]);
    expect([...ada.state.tracks, ...bob.state.tracks].map(ended)).toEqual([true, true]);
    expect(await one.quality()).toBeNull();
    const told = adaHears.said.media.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(adaHears.said.media).toHaveLength(told); // and nothing is said afterwards
  });

  test('relay only, with credentials, is asked of libwebrtc; a refused microphone is an error and no open one', async () => {
    const { state, peers } = phone();
    const peer = peers.create({ turn: { urls: ['turn:turn.example:3478'], username: 'u', password: 'p' }, relayOnly: true, listener: heard().listener });
    expect(state.configurations).toEqual([
      {
        iceServers: [{ urls: ['turn:turn.example:3478'], username: 'u', credential: 'p' }],
        iceTransportPolicy: 'relay',
        bundlePolicy: 'max-bundle',
        rtcpMuxPolicy: 'require',
      },
    ]);
    state.refuse = true;
    await expect(peer.openMicrophone(false)).rejects.toThrow('no permission');
    peer.close();
    expect(state.sound).toBe(0);
  });

  test('hung up while Android asks for the microphone: it is closed again', async () => {
    const { state, peers } = phone();
    const peer = peers.create({ turn: null, relayOnly: false, listener: heard().listener });
    const opening = peer.openMicrophone(false);
    peer.close();
    await opening;
    expect(state.sound).toBe(0);
    expect(ended(state.tracks[0])).toBe(true);
  });
});

describe('the bridge to Telecom', () => {
  const view = (state: CallView['state'], more: Partial<CallView> = {}): CallView =>
    ({ id: 'c', peer: 'p', name: 'Ada', outgoing: false, state, outcome: null, reason: null, connectedAt: null, muted: false, relayOnly: true, verified: false, quality: null, ...more }) as CallView;

  function bridged() {
    const told: string[] = [];
    const asked: string[] = [];
    let say: (event: { json: string }) => void = () => undefined;
    let change: (change: Change) => void = () => undefined;
    let now: CallView | null = null;
    const native = new Native({
      engine: () => Promise.reject(new Error('not here')),
      async call(_name, json) {
        const { call, what, words } = JSON.parse(json) as { call: string; what: string; words?: { title: string } };
        told.push(`${call} ${what}${words ? ` ${words.title}` : ''}`);
        return '{"ok":null}';
      },
      addListener(_event, listener) {
        say = listener;
        return { remove: () => undefined };
      },
    });
    const stop = bridgeCalls(native, {
      call: async () => now,
      answerCall: async (id) => void asked.push(`answer ${id}`),
      endCall: async (id) => void asked.push(`end ${id}`),
      setMuted: async (_id, muted) => void asked.push(`muted ${muted}`),
      subscribe(listener) {
        change = listener;
        return () => undefined;
      },
    });
    const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
    return {
      told,
      asked,
      stop,
      become: async (call: CallView | null) => {
        now = call;
        change({ topic: 'call' });
        await settle();
      },
      happens: async (what: Extract<PhoneEvent, { kind: 'call' }>['what']) => {
        say({ json: JSON.stringify({ kind: 'call', call: 'c', what }) });
        await settle();
      },
    };
  }

  test('an incoming call: its ringing is the notification, the rest is told once', async () => {
    const { told, become } = bridged();
    await become(view('ringing'));
    await become(view('ringing'));
    await become(view('connecting'));
    await become(view('connected'));
    await become(view('reconnecting'));
    await become(view('connected'));
    await become(view('ended'));
    await become(null);
    expect(told).toEqual(['c answered', 'c connected', 'c ended']);
  });

  test('an outgoing call, and one that follows another', async () => {
    const { told, become } = bridged();
    await become(view('dialing', { outgoing: true }));
    await become(view('ringing', { outgoing: true }));
    await become(view('connected', { outgoing: true }));
    await become(view('dialing', { outgoing: true, id: 'd', name: 'Bob' }));
    await become(null);
    expect(told).toEqual(['c calls Ada', 'c connected', 'c ended', 'd calls Bob', 'd ended']);
  });

  test('what a person does in a car or at the notice', async () => {
    const { asked, become, happens } = bridged();
    await become(view('ringing'));
    await happens('answer');
    await become(view('connected', { muted: true }));
    await happens('held');
    await happens('resumed');
    await happens('hang_up');
    expect(asked).toEqual(['answer c', 'muted true', 'muted true', 'end c']);
    await happens('decline');
    await happens('busy');
    expect(asked.slice(4)).toEqual(['end c', 'end c']);
  });
});
