/** The PeerConnections port over react-native-webrtc: libwebrtc with the phone's own microphone and loudspeaker. */
import type { Candidate } from '../core/calls/events.ts';
import type { PeerConnection, PeerConnections, PeerListener, PeerOptions, Quality } from '../core/calls/ports.ts';

export interface Track {
  enabled: boolean;
  stop(): void;
}

interface Sender {
  replaceTrack(track: Track | null): Promise<void>;
}

interface NativeCandidate {
  readonly candidate: string;
  readonly sdpMid: string | null;
  readonly sdpMLineIndex: number | null;
}

type Report = Readonly<Record<string, unknown>>;

/** What is used of an RTCPeerConnection (W3C WebRTC), which the package declares with a browser's events. */
export interface NativePeer {
  readonly connectionState: string;
  readonly iceGatheringState: string;
  onicecandidate: ((event: { readonly candidate: NativeCandidate | null }) => void) | null;
  onicegatheringstatechange: (() => void) | null;
  onconnectionstatechange: (() => void) | null;
  addTransceiver(kind: 'audio', init: { readonly direction: 'sendrecv' }): unknown;
  getTransceivers(): readonly { readonly sender: Sender; direction: string }[];
  createOffer(options: { readonly iceRestart: boolean }): Promise<{ readonly sdp: string }>;
  createAnswer(): Promise<{ readonly sdp: string }>;
  setLocalDescription(description: { readonly type: 'offer' | 'answer'; readonly sdp: string }): Promise<void>;
  setRemoteDescription(description: { readonly type: 'offer' | 'answer'; readonly sdp: string }): Promise<void>;
  addIceCandidate(candidate: NativeCandidate): Promise<void>;
  getStats(): Promise<{ values(): Iterable<Report> }>;
  close(): void;
}

export interface WebRtc {
  readonly RTCPeerConnection: new (configuration: object) => NativePeer;
  readonly mediaDevices: { getUserMedia(constraints: { readonly audio: true; readonly video: false }): Promise<{ getAudioTracks(): readonly Track[] }> };
}

/** Where the sound of a call goes, and that the phone behaves as in a call: react-native-incall-manager. */
export interface CallSound {
  start(): void;
  stop(): void;
}

export function phonePeerConnections(webrtc: WebRtc, sound: CallSound): PeerConnections {
  return { create: (options) => new PhonePeer(webrtc, sound, options) };
}

class PhonePeer implements PeerConnection {
  readonly #native: NativePeer;
  readonly #webrtc: WebRtc;
  readonly #sound: CallSound;
  readonly #listener: PeerListener;
  #closed = false;
  #track: Track | null = null;
  #sounding = false;
  #muted = false;
  /** Of the description applied last: candidates of an earlier one come late. */
  #ufrag: string | null = null;
  #heard = { received: 0, lost: 0 };

  constructor(webrtc: WebRtc, sound: CallSound, { turn, relayOnly, listener }: PeerOptions) {
    this.#webrtc = webrtc;
    this.#sound = sound;
    this.#listener = listener;
    this.#native = new webrtc.RTCPeerConnection({
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
    // The package does not pass on what the TURN server said, so `turnTrouble` is never told here: the core's own timers notice.
    this.#native.onconnectionstatechange = () =>
      this.#tell(() => {
        const state = this.#native.connectionState;
        if (state === 'connected') listener.media('connected');
        else if (state === 'disconnected' || state === 'failed' || state === 'closed') listener.media('lost');
      });
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
    await this.#attach();
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
    this.#muted = muted;
    if (!this.#sounding) {
      this.#sounding = true;
      this.#sound.start();
    }
    const stream = await this.#webrtc.mediaDevices.getUserMedia({ audio: true, video: false });
    const [track] = stream.getAudioTracks();
    if (!track) throw new Error('the phone gave no microphone');
    if (this.#closed) return track.stop(); // hung up while Android was asked
    this.#track = track;
    track.enabled = !this.#muted;
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
    if (this.#closed) return null;
    const stats = [...(await this.#native.getStats()).values()];
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#track?.stop();
    this.#native.close();
    if (this.#sounding) this.#sound.stop();
  }

  /** Later, never from within a call of ours, and not after it was closed. */
  #tell(what: () => void): void {
    void Promise.resolve().then(() => {
      if (!this.#closed) what();
    });
  }

  #candidate(candidate: NativeCandidate | null): void {
    if (!candidate || candidate.candidate === '') return;
    const ufrag = / ufrag (\S+)/.exec(candidate.candidate)?.[1];
    if (ufrag !== undefined && this.#ufrag !== null && ufrag !== this.#ufrag) return;
    this.#listener.candidate({ candidate: candidate.candidate, mid: candidate.sdpMid ?? '0', line: candidate.sdpMLineIndex ?? 0 });
  }
}
