/** Stays connected, prints what happens, and does what lines on standard input say. */
import { createInterface } from 'node:readline';

import { errorText, idOf, parseRequest, resultText } from '../bridge/protocol.ts';
import { SottovoceError } from '../core/errors.ts';
import type { Change, ConnectionView, Messenger } from '../core/messenger.ts';
import { Reader } from '../core/wire/reader.ts';
import { CallFollower } from './call_follower.ts';
import { COMMON, EXIT, find, TIMEOUT, timeoutMs } from './command.ts';
import type { Command, Invocation } from './command.ts';
import { Follower } from './follower.ts';
import { within } from './open.ts';
import type { Opened } from './open.ts';
import { contactLine, contactObject } from './output.ts';
import type { Output } from './output.ts';
import { SOUND, soundOf } from './sound.ts';

export const WATCH: Command = {
  args: '',
  count: 0,
  summary: 'stay connected, print what arrives',
  details:
    'Commands on standard input, one JSON object a line:\n' +
    '  {"send": {"to": "Bob", "text": "hello"}, "ref": 1}     answered by {"event": "queued"}, later "sent", "delivered", "read"\n' +
    '  {"add": {"link": "sottovoce:contact#..."}}             answered by {"event": "added"}\n' +
    '  {"id": 7, "method": "block", "params": ["<account>"]}  any method of Messenger (src/core/messenger.ts), answered by its result\n' +
    '  {"stop": true}\n' +
    'An optional "ref" comes back in the answers. The end of standard input does not end watching.',
  flags: {
    ...COMMON,
    'exit-when-drained': { value: null, help: 'end when everything that waited has been received and everything queued has left' },
    timeout: TIMEOUT,
    answer: { value: null, help: 'answer whoever calls' },
    ...SOUND,
  },
  run: async (invocation) => {
    const sound = soundOf(invocation.flags);
    try {
      return await within(invocation, { create: false, exclusive: true, sound }, (opened) => watch(opened, invocation));
    } finally {
      sound.close();
    }
  },
};

async function watch(opened: Opened, { flags, out }: Invocation): Promise<number> {
  const { messenger } = opened;
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const untilDrained = flags['exit-when-drained'] === true;
  const follower = await Follower.begin(messenger, out);
  const connections = new Connections(out, end);
  const calls = new CallFollower(messenger, out, flags['answer'] === true);
  const told = (change: Change): void => {
    if (change.topic === 'call') calls.look();
    if (change.topic === 'message' || change.topic === 'conversation') follower.look(change.peer);
    else if (change.topic === 'contacts') follower.lookAtContacts();
    else if (change.topic === 'trouble') out.result(`trouble: ${change.code}`, { event: 'trouble', code: change.code });
    if (change.topic === 'connection') connections.look(messenger);
    if (untilDrained && connections.drained) void done();
  };
  const done = async (): Promise<void> => {
    if (!(await opened.idle())) return;
    await follower.settled();
    end(EXIT.ok);
  };
  const unsubscribe = messenger.subscribe(told);
  connections.onDrained = () => {
    if (untilDrained) void done();
  };
  const stop = (): void => end(EXIT.ok);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const limit = timeoutMs(flags);
  if (limit !== null) opened.later(limit, () => end(EXIT.unreachable));
  // Commands one after the other, so that texts leave in the order of their lines.
  let commands = Promise.resolve();
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    commands = commands.then(() => command(messenger, line, out, follower, stop));
  });
  try {
    await messenger.start();
    const code = await ended;
    await follower.settled();
    return code;
  } finally {
    unsubscribe();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    input.close();
    process.stdin.destroy();
    await commands;
  }
}

const STOPPED = {
  elsewhere: 'this account connected from somewhere else; start watch again to take over',
  revoked: 'the account is gone from the relay',
} as const;

/** Prints how the connection changes, one step at a time. */
class Connections {
  drained = false;
  onDrained: () => void = () => undefined;
  readonly #out: Output;
  readonly #end: (code: number) => void;
  #state: ConnectionView['state'] = 'off';
  #looking = Promise.resolve();

  constructor(out: Output, end: (code: number) => void) {
    this.#out = out;
    this.#end = end;
  }

  look(messenger: Messenger): void {
    this.#looking = this.#looking.then(async () => this.#tell(await messenger.connection())).catch(() => undefined);
  }

  #tell({ state, caughtUp }: ConnectionView): void {
    const changed = state !== this.#state;
    this.#state = state;
    if (changed && state === 'online') this.#out.result('-- connected', { event: 'live' });
    if (changed && state === 'waiting') this.#out.result('-- connection lost, trying again soon', { event: 'reconnecting' });
    if (changed && (state === 'elsewhere' || state === 'revoked')) {
      this.#out.result(`-- stopped: ${STOPPED[state]}`, { event: 'stopped', reason: state === 'elsewhere' ? 'superseded' : 'revoked' });
      this.#end(state === 'elsewhere' ? EXIT.superseded : EXIT.revoked);
    }
    const drained = state === 'online' && caughtUp;
    if (drained && !this.drained) {
      this.#out.result('-- everything that waited has arrived', { event: 'drained' });
      this.drained = true;
      this.onDrained();
    } else if (!drained && changed) this.drained = false;
  }
}

/** One line of standard input. Its own mistakes are answered, and end nothing. */
async function command(messenger: Messenger, line: string, out: Output, follower: Follower, stop: () => void): Promise<void> {
  if (line.trim() === '') return;
  let ref: unknown;
  try {
    const parsed = JSON.parse(line) as { ref?: unknown; method?: unknown } | null;
    ref = parsed?.ref;
    if (parsed?.method !== undefined) return await request(messenger, line, out);
    const object = Reader.fromJson(line, 'command');
    if (object.has('send')) {
      const send = object.object('send');
      const { peer } = await find(messenger, send.text('to'));
      const id = await messenger.send(peer, { text: send.text('text'), quotes: send.has('quotes') ? send.text('quotes') : null });
      if (ref !== undefined) follower.refers(id, ref);
      out.result('queued', { event: 'queued', id, ...(ref !== undefined && { ref }) });
      follower.look(peer);
    } else if (object.has('add')) {
      const contact = await messenger.addByCard(object.object('add').text('link'), false);
      out.result(`added ${contactLine(contact)}`, { event: 'added', ...contactObject(contact), ...(ref !== undefined && { ref }) });
    } else if (object.has('stop')) stop();
    else throw new SottovoceError('usage', 'a command is {"send": …}, {"add": …}, {"method": …} or {"stop": true}');
  } catch (error) {
    const code = error instanceof SottovoceError ? error.code : 'usage';
    const message = error instanceof SottovoceError ? error.message : 'a command is one JSON object a line';
    out.result(`error: ${message}`, { event: 'error', code, message, ...(ref !== undefined && { ref }) });
  }
}

/** As the bridge does it, over standard input and output. */
async function request(messenger: Messenger, line: string, out: Output): Promise<void> {
  const print = (text: string): void => out.result(text, JSON.parse(text) as Record<string, unknown>);
  try {
    const { id, method, params } = parseRequest(line);
    const call = messenger[method] as (...params: readonly unknown[]) => Promise<unknown>;
    print(resultText(id, await call.apply(messenger, [...params])));
  } catch (error) {
    if (error instanceof SottovoceError) print(errorText(idOf(line), error.code, error.message));
    else print(errorText(idOf(line), 'failed', 'something went wrong in the core'));
  }
}
