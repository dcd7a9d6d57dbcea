/** Prints how a call goes on, one step at a time, and answers it if it is told to. Knows the Messenger only. */
import type { CallView, Messenger } from '../core/messenger.ts';
import type { Output } from './output.ts';

const WORDS: Readonly<Record<CallView['state'], string>> = {
  dialing: 'calling',
  ringing: 'it rings',
  connecting: 'accepted, connecting',
  connected: 'connected',
  reconnecting: 'the connection was lost, looking for another',
  ended: 'over',
};

const REASONS: Readonly<Record<string, string>> = {
  turn_refused: 'the TURN server refused the credentials',
  turn_full: 'the TURN server is full',
  turn_unreachable: 'the TURN server does not answer',
  no_connection: 'no connection came about',
  connection_lost: 'the connection was lost for good',
};

export class CallFollower {
  readonly #messenger: Messenger;
  readonly #out: Output;
  readonly #answer: boolean;
  readonly #onStep: (call: CallView) => void;
  #last = '';
  #looking: Promise<void> = Promise.resolve();

  constructor(messenger: Messenger, out: Output, answer: boolean, onStep: (call: CallView) => void = () => undefined) {
    [this.#messenger, this.#out, this.#answer, this.#onStep] = [messenger, out, answer, onStep];
  }

  /** Level-triggered, for every change of topic `call`. */
  look(): void {
    this.#looking = this.#looking.then(() => this.#look()).catch(() => undefined); // the next change looks again
  }

  async settled(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    const call = await this.#messenger.call();
    if (!call || this.#last === `${call.id} ${call.state}`) return;
    this.#last = `${call.id} ${call.state}`;
    const why = call.reason === null ? '' : `: ${REASONS[call.reason] ?? call.reason.replaceAll('_', ' ')}`;
    this.#out.result(`-- call ${call.outgoing ? 'to' : 'from'} ${call.name}: ${WORDS[call.state]}${why}`, callObject(call));
    this.#onStep(call);
    if (this.#answer && call.state === 'ringing' && !call.outgoing) await this.#messenger.answerCall(call.id);
  }
}

export function callObject({ id, peer, name, outgoing, state, outcome, reason, relayOnly, verified, muted, quality }: CallView): Readonly<Record<string, unknown>> {
  return { event: 'call', id, account: peer, name, direction: outgoing ? 'out' : 'in', state, outcome, reason, relay_only: relayOnly, verified, muted, quality };
}
