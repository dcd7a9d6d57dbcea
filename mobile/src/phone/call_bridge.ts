/**
 * Keeps Android's Telecom and the core of one mind about the call that is going on: what the core says of it goes to the phone, what a person
 * does in a car, at a headset or in the notification goes to the core.
 */
import type { CallView, Messenger } from '../core/messenger.ts';
import type { Native } from './native.ts';

const NO_WORDS = { title: '', body: '', answer: '', decline: '', hangUp: '' };

/** The part of a Messenger that is used here. */
export type CallEnd = Pick<Messenger, 'call' | 'answerCall' | 'endCall' | 'setMuted' | 'subscribe'>;

export function bridgeCalls(native: Native, messenger: CallEnd): () => void {
  /** What the phone was last told: an outgoing call begins here, an incoming one with its notification. */
  let known: { readonly id: string; readonly said: string } | null = null;
  /** Muted by the person, before another call took the microphone. */
  let wasMuted = false;

  const say = (call: string, what: string, more: object = {}): void => {
    known = { id: call, said: what };
    void native.call('call', { call, what, ...more }).catch(() => undefined);
  };
  const follow = (call: CallView | null): void => {
    if (known && known.said !== 'ended' && (call?.id !== known.id || call.state === 'ended')) say(known.id, 'ended');
    if (!call || call.state === 'ended') return;
    if (call.state === 'connected' || call.state === 'reconnecting') {
      if (known?.id !== call.id || known.said !== 'connected') say(call.id, 'connected');
    } else if (call.outgoing) {
      if (known?.id !== call.id) say(call.id, 'calls', { words: { ...NO_WORDS, title: call.name } });
    } else if (call.state === 'connecting') {
      if (known?.id !== call.id || known.said !== 'answered') say(call.id, 'answered');
    } else {
      known ??= { id: call.id, said: 'rings' };
      if (known.id !== call.id) known = { id: call.id, said: 'rings' };
    }
  };

  let looking = Promise.resolve();
  const look = (): void => {
    looking = looking.then(async () => follow(await messenger.call())).catch(() => undefined);
  };
  const stopFollowing = messenger.subscribe((change) => {
    if (change.topic === 'call') look();
  });
  const stopListening = native.on('call', ({ call, what }) => {
    const done = (work: Promise<void>): void => void work.catch(() => undefined); // a call that is over meanwhile
    if (what === 'answer') done(messenger.answerCall(call));
    else if (what === 'held') {
      done(
        messenger.call().then((now) => {
          wasMuted = now?.muted ?? false;
          return messenger.setMuted(call, true);
        }),
      );
    } else if (what === 'resumed') done(messenger.setMuted(call, wasMuted));
    else done(messenger.endCall(call));
  });
  look();
  return () => {
    stopFollowing();
    stopListening();
  };
}
