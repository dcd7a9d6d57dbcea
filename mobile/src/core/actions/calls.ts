/** Voice calls. */
import type { CallRow, CallView, Messenger } from '../messenger.ts';
import { notAvailable } from './core.ts';

export type CallPart = Pick<Messenger, 'calls' | 'call' | 'startCall' | 'answerCall' | 'endCall' | 'setMuted' | 'forgetCalls'>;

export class CallActions implements CallPart {
  calls(): Promise<readonly CallRow[]> {
    return notAvailable('the call log');
  }

  call(): Promise<CallView | null> {
    return notAvailable('calling');
  }

  startCall(): Promise<never> {
    return notAvailable('calling');
  }

  answerCall(): Promise<never> {
    return notAvailable('calling');
  }

  endCall(): Promise<never> {
    return notAvailable('calling');
  }

  setMuted(): Promise<never> {
    return notAvailable('calling');
  }

  forgetCalls(): Promise<never> {
    return notAvailable('the call log');
  }
}
