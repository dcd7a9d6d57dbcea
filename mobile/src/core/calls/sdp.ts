/**
 * Session descriptions, taken apart and put together again: what a peer connection made, and what the other end sent, both go
 * through here, so only the lines below ever reach the network or a peer connection.
 *
 * Opus at a constant bit rate, since the sizes of packets at a variable one give away what is said (White et al., "Phonotactic
 * Reconstruction of Encrypted VoIP Conversations", 2011); no DTX, since pauses in sending show who speaks; 60 ms packets, which
 * cost half the headers of 20 ms ones; in-band FEC. Header extensions go unencrypted, and one of them (RFC 6464) is the
 * loudness of every packet: there are none. Candidates are not in the description: they are trickled, and filtered below.
 */
import { Malformed } from '../errors.ts';
import type { Candidate } from './events.ts';

/** Bits a second. */
export const BITRATE = 32_000;
/** Milliseconds of sound in a packet. */
export const PACKET_MS = 60;
const OPUS = `minptime=${PACKET_MS};ptime=${PACKET_MS};maxptime=${PACKET_MS};useinbandfec=1;usedtx=0;cbr=1;maxaveragebitrate=${BITRATE};stereo=0;sprop-stereo=0`;

interface Description {
  readonly session: string;
  readonly ufrag: string;
  readonly password: string;
  /** SHA-256 of the DTLS certificate: what ties the media to the signalling that it came with. */
  readonly fingerprint: string;
  readonly setup: string;
  readonly payload: string;
  readonly ssrc: string | null;
  readonly cname: string | null;
  readonly track: string | null;
}

const LONGEST = 16_000;

/** @throws Malformed when a part is missing or no such part */
function read(sdp: string): Description {
  if (sdp.length > LONGEST) throw new Malformed('sdp', `at most ${LONGEST} characters`);
  const lines = sdp.split(/\r?\n/);
  const find = (pattern: RegExp): RegExpExecArray | null => {
    for (const line of lines) {
      const found = pattern.exec(line);
      if (found) return found;
    }
    return null;
  };
  const part = (pattern: RegExp, what: string): string => {
    const found = find(pattern)?.[1];
    if (found === undefined) throw new Malformed(`sdp.${what}`, 'one');
    return found;
  };
  if (lines.filter((line) => line.startsWith('m=')).length !== 1) throw new Malformed('sdp.m', 'one medium, audio');
  const source = find(/^a=ssrc:(\d{1,10}) cname:([\w+/=.-]{1,64})$/);
  return {
    session: part(/^o=\S+ (\d{1,20}) /, 'session'),
    ufrag: part(/^a=ice-ufrag:([\w+/]{4,64})$/, 'ufrag'),
    password: part(/^a=ice-pwd:([\w+/]{22,128})$/, 'password'),
    fingerprint: part(/^a=fingerprint:sha-256 ((?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$/, 'fingerprint'),
    setup: part(/^a=setup:(actpass|active|passive)$/, 'setup'),
    payload: part(/^a=rtpmap:(\d{2,3}) opus\/48000\/2$/i, 'opus'),
    ssrc: source?.[1] ?? null,
    cname: source?.[2] ?? null,
    track: find(/^a=msid:- ([\w-]{1,64})$/)?.[1] ?? null,
  };
}

function write({ session, ufrag, password, fingerprint, setup, payload, ssrc, cname, track }: Description): string {
  const lines = [
    'v=0',
    `o=- ${session} 2 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    `m=audio 9 UDP/TLS/RTP/SAVPF ${payload}`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${password}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${fingerprint.toUpperCase()}`,
    `a=setup:${setup}`,
    'a=mid:0',
    'a=sendrecv',
    ...(track === null ? [] : [`a=msid:- ${track}`]),
    'a=rtcp-mux',
    `a=rtpmap:${payload} opus/48000/2`,
    `a=fmtp:${payload} ${OPUS}`,
    `a=ptime:${PACKET_MS}`,
    `a=maxptime:${PACKET_MS}`,
    ...(ssrc === null ? [] : [`a=ssrc:${ssrc} cname:${cname}`, ...(track === null ? [] : [`a=ssrc:${ssrc} msid:- ${track}`])]),
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** The description of a voice call that `sdp` amounts to; the same again gives the same. @throws Malformed */
export function voiceSdp(sdp: string): string {
  return write(read(sdp));
}

/** foundation, component 1, udp or tcp, priority, address, port, type, and the address behind it (RFC 8839 section 5.1). */
const CANDIDATE = /^candidate:([\w+/]{1,32}) 1 (udp|tcp) (\d{1,10}) (\S{2,64}) (\d{1,5}) typ (host|srflx|prflx|relay)(?: |$)/i;
const LONGEST_CANDIDATE = 300;

/**
 * What of a candidate may be said or believed. `relayOnly`: nothing but an address of the TURN server, with the own address
 * behind it (raddr) blotted out; also when the peer connection was told so, since this is the last place that can look.
 * Null: it is no candidate, or must not leave.
 */
export function permittedCandidate({ candidate, mid, line }: Candidate, relayOnly: boolean): Candidate | null {
  if (candidate.length > LONGEST_CANDIDATE) return null;
  const found = CANDIDATE.exec(candidate);
  if (!found) return null;
  const [, foundation, transport, priority, address, port, type] = found;
  if (relayOnly && type?.toLowerCase() !== 'relay') return null;
  const behind = type?.toLowerCase() === 'host' ? '' : ' raddr 0.0.0.0 rport 0';
  const tcp = /^tcp$/i.test(transport ?? '') ? / tcptype (active|passive|so)\b/.exec(candidate)?.[0] ?? '' : '';
  return { candidate: `candidate:${foundation} 1 ${transport} ${priority} ${address} ${port} typ ${type}${behind}${tcp} generation 0`, mid, line };
}
