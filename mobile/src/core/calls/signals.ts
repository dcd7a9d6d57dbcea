/** The call signals as contents of kind `call` (docs/protocol.md, "Calls"): times in seconds there, milliseconds in the machine. */
import { Malformed } from '../errors.ts';
import { Reader } from '../wire/reader.ts';
import type { CallSignal } from '../wire/call.ts';
import type { Candidate, HangupReason, Signal } from './events.ts';
import { permittedCandidate, voiceSdp } from './sdp.ts';
import { MOST_CANDIDATES } from './state.ts';

const MOST_GENERATIONS = 10_000;
const HANGUPS: readonly HangupReason[] = ['normal', 'declined', 'busy', 'failed'];

/** `relayOnly`: candidates of other kinds are left out, whoever made them. */
export function encodeSignal(signal: Signal, relayOnly: boolean): CallSignal {
  const { call, type } = signal;
  switch (type) {
    case 'offer':
      return { call, type, data: { generation: signal.generation, sdp: signal.sdp, at: Math.floor(signal.at / 1000) } };
    case 'answer':
      return { call, type, data: { generation: signal.generation, sdp: signal.sdp } };
    case 'ice': {
      const candidates = signal.candidates.map((one) => permittedCandidate(one, relayOnly)).filter((one) => one !== null);
      return { call, type, data: { generation: signal.generation, candidates } };
    }
    case 'restart':
      return { call, type, data: { generation: signal.generation } };
    case 'hangup':
      return { call, type, data: { reason: signal.reason } };
    case 'ended':
      return { call, type, data: { at: Math.floor(signal.at / 1000) } };
    case 'ringing':
    case 'busy':
      return { call, type, data: {} };
  }
}

/** @throws Malformed */
export function decodeSignal({ call, type, data }: CallSignal): Signal {
  const reader = new Reader(data, 'call.data');
  const generation = (): number => reader.integer('generation', 0, MOST_GENERATIONS);
  switch (type) {
    case 'offer':
      return { call, type, generation: generation(), sdp: voiceSdp(reader.text('sdp')), at: reader.integer('at') * 1000 };
    case 'answer':
      return { call, type, generation: generation(), sdp: voiceSdp(reader.text('sdp')) };
    case 'ice':
      return { call, type, generation: generation(), candidates: reader.objects('candidates', MOST_CANDIDATES).map(candidate).filter((one) => one !== null) };
    case 'restart':
      return { call, type, generation: generation() };
    case 'hangup': {
      const reason = HANGUPS.find((one) => one === reader.text('reason'));
      if (!reason) throw new Malformed('call.data.reason', 'a reason');
      return { call, type, reason };
    }
    case 'ended':
      return { call, type, at: reader.integer('at') * 1000 };
    case 'ringing':
    case 'busy':
      return { call, type };
  }
}

/** One that cannot be read is left out: a newer app may know kinds that this one does not. */
function candidate(reader: Reader): Candidate | null {
  return permittedCandidate({ candidate: reader.text('candidate'), mid: reader.text('mid').slice(0, 16), line: reader.integer('line', 0, 8) }, false);
}
