/** The PeerConnections port over @roamhq/wrtc: libwebrtc under Node, with a microphone and a speaker that are functions. */
import { createRequire } from 'node:module';

import type { Candidate, TurnReason } from '../core/calls/events.ts';
import { RATE } from './sound.ts';
import type { PeerConnection, PeerConnections, PeerListener, PeerOptions, Quality } from '../core/calls/ports.ts';

const FRAME = RATE / 100;
const FRAME_MS = 10;
/** After a stop of this process, as much is made up for; more would only be heard late. */
const MOST_FRAMES_AT_ONCE = 10;

/** How long a state that was read too early stands, at most. */
const LOOK_AGAIN_MS = 200;

/** Fills the next 10 ms, mono, 16 bit. */
export type Microphone = (frame: Int16Array) => void;
/** Hears 10 ms, mono. */
export type Speaker = (samples: Int16Array, rate: number) => void;

// What is used of the package. Its own types want a browser's.
interface Track {
  enabled: boolean;
  stop(): void;
}
interface Sink {
  ondata: ((data: { readonly samples: Int16Array; readonly sampleRate: number; readonly channelCount: number }) => void) | null;
  stop(): void;
}
interface NativeCandidate {
  readonly candidate: string;
  readonly sdpMid: string | null;
  readonly sdpMLineIndex: number | null;
}
interface Native {
  readonly connectionState: string;
  readonly iceGatheringState: string;
  readonly remoteDescription: object | null;
  onicecandidate: ((event: { readonly candidate: NativeCandidate | null }) => void) | null;
  onicecandidateerror: ((event: { readonly errorCode: number; readonly errorText: string; readonly url: string }) => void) | null;
  onicegatheringstatechange: (() => void) | null;
  onconnectionstatechange: (() => void) | null;
  ontrack: ((event: { readonly track: Track }) => void) | null;
  addTransceiver(kind: 'audio', init: { readonly direction: string }): { readonly sender: { replaceTrack(track: Track | null): Promise<void> } };
  getTransceivers(): readonly { readonly sender: { replaceTrack(track: Track | null): Promise<void> }; direction: string }[];
  createOffer(options: { readonly iceRestart: boolean }): Promise<{ readonly sdp: string }>;
  createAnswer(): Promise<{ readonly sdp: string }>;
  setLocalDescription(description: { readonly type: string; readonly sdp: string }): Promise<void>;
  setRemoteDescription(description: { readonly type: string; readonly sdp: string }): Promise<void>;
  addIceCandidate(candidate: NativeCandidate): Promise<void>;
  getStats(): Promise<ReadonlyMap<string, Readonly<Record<string, unknown>>>>;
  close(): void;
}
interface Package {
  readonly RTCPeerConnection: new (configuration: object) => Native;
  readonly nonstandard: {
    readonly RTCAudioSource: new () => { createTrack(): Track; onData(data: object): void };
    readonly RTCAudioSink: new (track: Track) => Sink;
  };
}

/** For its threads, after the last connection was closed. */
export const WEBRTC_SETTLES_MS = 300;
let loaded: Package | null = null;

/** It was used in this process; see client/main.ts. */
export function webrtcIsLoaded(): boolean {
  return loaded !== null;
}

export interface AudioDevices {
  /** Asked for when a call is accepted, not before. */
  microphone(): Microphone;
  speaker(): Speaker;
}

export class NodePeerConnections implements PeerConnections {
  readonly #devices: AudioDevices;
  readonly #open = new Set<NodePeer>();

  constructor(devices: AudioDevices) {
    this.#devices = devices;
  }

  /** Those that are not closed, for tests of leaks. */
  get open(): number {
    return this.#open.size;
  }

  /** For tools that want more figures than `quality`. */
  async stats(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const [peer] = this.#open;
    return peer ? peer.stats() : [];
  }

  create(options: PeerOptions): PeerConnection {
    // Loaded when the first call is made: 30 MB that a client that only writes does without.
    loaded ??= createRequire(import.meta.url)('@roamhq/wrtc') as Package;
    const peer = new NodePeer(loaded, options, this.#devices, () => this.#open.delete(peer));
    this.#open.add(peer);
    return peer;
  }
}

class NodePeer implements PeerConnection {
  readonly #native: Native;
  readonly #package: Package;
  readonly #devices: AudioDevices;
  readonly #listener: PeerListener;
  readonly #onClosed: () => void;
  readonly #following: () => void;
  #closed = false;
  #track: Track | null = null;
  #sink: Sink | null = null;
  #ticking: NodeJS.Timeout | null = null;
  #muted = false;
  /** Of the description applied last: candidates of an earlier one come late. */
  #ufrag: string | null = null;
  #heard = { received: 0, lost: 0 };

  constructor(wrtc: Package, { turn, relayOnly, listener }: PeerOptions, devices: AudioDevices, onClosed: () => void) {
    this.#package = wrtc;
    this.#devices = devices;
    this.#listener = listener;
    this.#onClosed = onClosed;
    this.#native = new wrtc.RTCPeerConnection({
      iceServers: turn ? [{ urls: [...turn.urls], username: turn.username, credential: turn.password }] : [],
      iceTransportPolicy: relayOnly ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
      rtcpMuxPolicy: 'require',
    });
    this.#native.onicecandidate = ({ candidate }) => this.#tell(() => this.#candidate(candidate));
    this.#native.onicegatheringstatechange = () =>
      this.#tell(() => {
        if (this.#native.iceGatheringState === 'complete') listener.gathered();
      });
    this.#native.onicecandidateerror = ({ errorCode, errorText, url }) =>
      this.#tell(() => {
        // libwebrtc asks the TURN server for a STUN binding too, which this one answers to nobody without a credential.
        if (url.startsWith('turn')) listener.turnTrouble(turnReason(errorCode, errorText));
      });
    this.#following = followState(this.#native, (state) => {
      if (state === 'connected') listener.media('connected');
      else if (state === 'disconnected' || state === 'failed' || state === 'closed') listener.media('lost');
    });
    this.#native.ontrack = ({ track }) => this.#tell(() => this.#listen(track));
  }

  async offer(restart: boolean): Promise<string> {
    if (this.#native.getTransceivers().length === 0) this.#native.addTransceiver('audio', { direction: 'sendrecv' });
    return (await this.#native.createOffer({ iceRestart: restart })).sdp;
  }

  async answer(offer: string): Promise<string> {
    await this.#native.setRemoteDescription({ type: 'offer', sdp: offer });
    for (const transceiver of this.#native.getTransceivers()) transceiver.direction = 'sendrecv';
    const { sdp } = await this.#native.createAnswer();
    await this.#applyLocal('answer', sdp);
    return sdp;
  }

  async applyAnswer(offer: string, answer: string): Promise<void> {
    await this.#applyLocal('offer', offer);
    await this.#native.setRemoteDescription({ type: 'answer', sdp: answer });
  }

  async #applyLocal(type: 'offer' | 'answer', sdp: string): Promise<void> {
    this.#ufrag = / ?a=ice-ufrag:(\S+)/.exec(sdp)?.[1] ?? null; // before candidates of it can come
    await this.#native.setLocalDescription({ type, sdp });
  }

  async addCandidate({ candidate, mid, line }: Candidate): Promise<void> {
    try {
      await this.#native.addIceCandidate({ candidate, sdpMid: mid, sdpMLineIndex: line });
    } catch {
      // Of another generation, or of a kind that this version cannot use.
    }
  }

  async openMicrophone(muted: boolean): Promise<void> {
    if (this.#closed || this.#track) return;
    const source = new this.#package.nonstandard.RTCAudioSource();
    this.#track = source.createTrack();
    this.setMuted(muted);
    const microphone = this.#devices.microphone();
    let next = performance.now();
    this.#ticking = setInterval(() => {
      next = Math.max(next, performance.now() - MOST_FRAMES_AT_ONCE * FRAME_MS);
      for (; next <= performance.now(); next += FRAME_MS) {
        const samples = new Int16Array(FRAME);
        microphone(samples);
        if (this.#muted) samples.fill(0); // twice sure: the track is off as well
        source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: FRAME });
      }
    }, FRAME_MS);
    await this.#attach();
  }

  /** The answering end has no transceiver before the offer is applied. */
  async #attach(): Promise<void> {
    const [transceiver] = this.#native.getTransceivers();
    if (transceiver && this.#track) await transceiver.sender.replaceTrack(this.#track);
  }

  setMuted(muted: boolean): void {
    this.#muted = muted;
    if (this.#track) this.#track.enabled = !muted;
  }

  async quality(): Promise<Quality | null> {
    const stats = await this.stats();
    const inbound = stats.find(({ type }) => type === 'inbound-rtp');
    const pair = stats.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated === true && state === 'succeeded');
    if (!inbound) return null;
    const { received, lost } = this.#heard;
    this.#heard = { received: Number(inbound['packetsReceived'] ?? 0), lost: Math.max(0, Number(inbound['packetsLost'] ?? 0)) };
    const [came, missing] = [this.#heard.received - received, Math.max(0, this.#heard.lost - lost)];
    return {
      roundTripMs: Math.round(Number(pair?.['currentRoundTripTime'] ?? 0) * 1000),
      lossPercent: came + missing === 0 ? 0 : Math.round((100 * missing) / (came + missing)),
      jitterMs: Math.round(Number(inbound['jitter'] ?? 0) * 1000),
    };
  }

  async stats(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#closed ? [] : [...(await this.#native.getStats()).values()];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#following();
    if (this.#ticking) clearInterval(this.#ticking);
    this.#sink?.stop();
    this.#track?.stop();
    this.#native.close();
    this.#onClosed();
  }

  /** Later, never from within a call of ours, and not after it was closed. */
  #tell(what: () => void): void {
    setImmediate(() => {
      if (!this.#closed) what();
    });
  }

  #candidate(candidate: NativeCandidate | null): void {
    if (!candidate || candidate.candidate === '') return;
    const ufrag = / ufrag (\S+)/.exec(candidate.candidate)?.[1];
    if (ufrag !== undefined && this.#ufrag !== null && ufrag !== this.#ufrag) return;
    this.#listener.candidate({ candidate: candidate.candidate, mid: candidate.sdpMid ?? '0', line: candidate.sdpMLineIndex ?? 0 });
  }

  #listen(track: Track): void {
    void this.#attach();
    if (this.#sink) return;
    const speaker = this.#devices.speaker();
    this.#sink = new this.#package.nonstandard.RTCAudioSink(track);
    this.#sink.ondata = ({ samples, sampleRate, channelCount }) => {
      speaker(channelCount === 1 ? samples : samples.filter((_, index) => index % channelCount === 0), sampleRate);
    };
  }
}

/**
 * Tells every state that a connection settles in, from the next turn of the loop on. Answers what ends it.
 *
 * The binding runs its handler beside libwebrtc's own thread: the state that a handler reads may be the one before, and no other event
 * follows. A call that had its voices back was then given up as lost. So the state is looked at again, without an event.
 */
export function followState(native: Pick<Native, 'connectionState' | 'onconnectionstatechange'>, tell: (state: string) => void): () => void {
  let told = native.connectionState;
  let ended = false;
  const look = (): void => {
    if (ended || native.connectionState === told) return;
    told = native.connectionState;
    tell(told);
  };
  native.onconnectionstatechange = () => void setImmediate(look);
  const again = setInterval(look, LOOK_AGAIN_MS);
  return () => {
    ended = true;
    clearInterval(again);
  };
}

/** STUN error codes, and 701 for a server that does not answer (W3C WebRTC, RTCPeerConnectionIceErrorEvent). */
function turnReason(errorCode: number, errorText: string): TurnReason {
  if (errorCode === 486 || errorCode === 508 || /quota/i.test(errorText)) return 'turn_full';
  return errorCode >= 700 ? 'turn_unreachable' : 'turn_refused';
}
