/** Voice calls from the command line, for tests and for trying out a relay. */
import type { CallView } from '../../core/messenger.ts';
import { CallFollower } from '../call_follower.ts';
import { COMMON, EXIT, find, TIMEOUT, timeoutMs, wholeNumber } from '../command.ts';
import type { Command, Commands, Invocation } from '../command.ts';
import { within } from '../open.ts';
import type { Opened } from '../open.ts';
import { SOUND, soundOf } from '../sound.ts';

const CALL: Command = {
  args: '<who>',
  count: 1,
  summary: 'call somebody, until one side hangs up',
  details:
    'Says a file or a tone, and writes what it hears into a file. Ctrl-C hangs up. Exit 0: it was answered; 4: declined, busy, no answer, or it failed.\n' +
    'Credentials for the TURN server are fetched ahead by watch, at random times, so that the relay cannot tell from them that there is a call.\n' +
    'With --fetch they are fetched now, which tells it: for tests.',
  flags: {
    ...COMMON,
    ...SOUND,
    seconds: { value: 'N', help: 'hang up so long after it was connected' },
    fetch: { value: null, help: 'fetch credentials for the TURN server first' },
    timeout: TIMEOUT,
  },
  run: async (invocation) => {
    const sound = soundOf(invocation.flags);
    try {
      return await within(invocation, { create: false, exclusive: true, sound }, (opened) => call(opened, invocation));
    } finally {
      sound.close();
    }
  },
};

async function call({ messenger, later }: Opened, { args: [who = ''], flags, out }: Invocation): Promise<number> {
  const { peer } = await find(messenger, who);
  const seconds = wholeNumber(flags, 'seconds');
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  let connected = false;
  const step = ({ id, state, outcome }: CallView): void => {
    if (state === 'connected' && !connected) {
      connected = true;
      if (seconds !== null) later(seconds * 1000, () => void messenger.endCall(id));
    }
    if (state === 'ended') end(outcome === 'answered' ? EXIT.ok : EXIT.refused);
  };
  const follower = new CallFollower(messenger, out, false, step);
  const unsubscribe = messenger.subscribe(({ topic }) => {
    if (topic === 'call') follower.look();
  });
  await messenger.start();
  if (flags['fetch'] === true) await messenger.voice.fetchTurn();
  const { id } = await messenger.startCall(peer);
  const hangUp = (): void => void messenger.endCall(id);
  process.once('SIGINT', hangUp);
  process.once('SIGTERM', hangUp);
  const limit = timeoutMs(flags);
  if (limit !== null) later(limit, hangUp);
  try {
    return await ended;
  } finally {
    unsubscribe();
    process.off('SIGINT', hangUp);
    process.off('SIGTERM', hangUp);
  }
}

const LOG: Command = {
  args: '',
  count: 0,
  summary: 'print the log of calls, newest first',
  details: 'Works while watch is running. --forget empties it; the lines in the conversations stay.',
  flags: { ...COMMON, forget: { value: null, help: 'forget all of them' } },
  run: (invocation) =>
    within(invocation, { create: false, exclusive: invocation.flags['forget'] === true }, async ({ messenger }) => {
      const { flags, out } = invocation;
      if (flags['forget'] === true) await messenger.forgetCalls();
      for (const { id, peer, name, outgoing, outcome, at, seconds } of await messenger.calls()) {
        const time = new Date(at * 1000).toISOString().replace('.000Z', 'Z');
        out.result(`${time}  ${outgoing ? 'to' : 'from'} ${name}: ${outcome.replaceAll('_', ' ')}${seconds > 0 ? `, ${seconds} s` : ''}`, {
          event: 'logged_call',
          ...{ id, account: peer, name, direction: outgoing ? 'out' : 'in', outcome, at, seconds },
        });
      }
      return EXIT.ok;
    }),
};

export const CALLS: Commands = { call: CALL, calls: LOG };
