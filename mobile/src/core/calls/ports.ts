/** What calls need from the machine: a WebRTC peer connection for one voice, a microphone behind it, and a ringer. */
import type { Candidate, TurnReason } from './events.ts';

export interface TurnServer {
  /** `turn:` URIs (RFC 7065). */
  readonly urls: readonly string[];
  readonly username: string;
  readonly password: string;
}

export interface PeerOptions {
  /** Null in direct mode without a TURN server. */
  readonly turn: TurnServer | null;
  /** Nothing but addresses of the TURN server is gathered and used. */
  readonly relayOnly: boolean;
  readonly listener: PeerListener;
}

/** Never called from within a method of the connection, and never after `close`. */
export interface PeerListener {
  candidate(candidate: Candidate): void;
  /** Gathering of the descriptions applied last is over. */
  gathered(): void;
  turnTrouble(reason: TurnReason): void;
  media(media: 'connected' | 'lost'): void;
}

/** Since the last time it was asked, as far as it can be told. */
export interface Quality {
  readonly roundTripMs: number;
  /** Of what should have come, 0 to 100. */
  readonly lossPercent: number;
  readonly jitterMs: number;
}

export interface PeerConnection {
  /** The SDP of an offer; nothing is applied and nothing gathered. */
  offer(restart: boolean): Promise<string>;
  /** Applies the remote offer and an answer of its own, gathers, and resolves with the answer's SDP. */
  answer(offer: string): Promise<string>;
  /** Applies an offer of its own and the remote answer to it, and gathers. */
  applyAnswer(offer: string, answer: string): Promise<void>;
  /** One that cannot be used is ignored. */
  addCandidate(candidate: Candidate): Promise<void>;
  /** Until now silence was ready to be sent; from now on the microphone is. */
  openMicrophone(muted: boolean): Promise<void>;
  setMuted(muted: boolean): void;
  /** Null before there is any media. */
  quality(): Promise<Quality | null>;
  /** Closes connection and microphone. May be called twice. */
  close(): void;
}

export interface PeerConnections {
  /** @throws when this machine cannot make one */
  create(options: PeerOptions): PeerConnection;
}
