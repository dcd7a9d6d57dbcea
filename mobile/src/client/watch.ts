import { createInterface } from 'node:readline';

import { shownName } from '../core/client.ts';
import type { Client, ClientEvent } from '../core/client.ts';
import { SottovoceError } from '../core/errors.ts';
import { Reader } from '../core/wire/reader.ts';
import { explain, seconds } from './commands.ts';
import type { Invocation } from './commands.ts';
import { messageLine, messageObject } from './output.ts';
import type { Output } from './output.ts';
import { openClient } from './runtime.ts';
import { EXIT } from './usage.ts';

/** Prints what arrives until it is stopped; see the help of `watch` for the commands on standard input. */
export async function watch({ data, flags, out }: Invocation): Promise<number> {
  const untilDrained = flags['exit-when-drained'] === true;
  const timeoutMs = seconds(flags['timeout']);
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  let drained = false;
  const refs = new Map<string, unknown>();
  const endIfDone = async (client: Client): Promise<void> => {
    if (untilDrained && drained && (await client.store.outbox.peers()).length === 0) end(EXIT.ok);
  };

  const { client, close } = await openClient(data, { create: false, exclusive: true }, (event) => {
    print(event, out, refs);
    if (event.kind === 'connection') {
      if (event.connection.kind === 'drained') drained = true;
      if (event.connection.kind === 'stopped') {
        const { reason } = event.connection;
        end(reason === 'superseded' ? EXIT.superseded : reason === 'protocol' ? EXIT.failed : EXIT.revoked);
      }
    }
    if (event.kind === 'sending' || event.kind === 'connection') void endIfDone(client).catch(() => undefined);
  });
  const stop = (): void => end(EXIT.ok);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const timer = timeoutMs === null ? undefined : setTimeout(() => end(EXIT.unreachable), timeoutMs);
  // Commands one after the other, so that texts leave in the order of their lines.
  let commands = Promise.resolve();
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    commands = commands.then(() => command(client, line, out, refs, stop));
  });
  try {
    await client.start({ receive: true });
    return await ended;
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    input.close();
    process.stdin.destroy();
    await commands;
    await close();
  }
}

function print(event: ClientEvent, out: Output, refs: Map<string, unknown>): void {
  switch (event.kind) {
    case 'message':
      out.result(messageLine(event.message, event.name ?? event.peer), { event: 'message', ...messageObject(event.message, event.name) });
      return;
    case 'undecryptable':
      out.result(`a message from ${event.peer ?? 'an unknown sender'} could not be decrypted (${event.reason})`, {
        event: 'undecryptable',
        account: event.peer,
        reason: event.reason,
      });
      return;
    case 'sending': {
      const { contentId, contentKind, peer, state, reason } = event.sending;
      if (contentKind !== 'text') return;
      const ref = refs.get(contentId);
      refs.delete(contentId);
      out.result(state === 'sent' ? `sent to ${peer}` : `${state} to ${peer}: ${explain(reason ?? '')}`, {
        event: state,
        id: contentId,
        account: peer,
        reason,
        ...(ref !== undefined && { ref }),
      });
      return;
    }
    case 'connection': {
      const { connection } = event;
      if (connection.kind === 'connecting') return;
      const words = {
        live: 'connected',
        drained: 'everything that waited has arrived',
        reconnecting: 'connection lost, trying again soon',
        stopped: 'stopped',
        prekeys_low: 'topping up prekeys',
        mailbox_was_full: 'the mailbox was full: some senders had to wait',
        trouble: 'trouble',
      } as const;
      const detail = connection.kind === 'stopped' ? `: ${stopWords[connection.reason]}` : connection.kind === 'trouble' ? `: ${connection.what}` : '';
      out.result(`-- ${words[connection.kind]}${detail}`, { event: connection.kind, ...('reason' in connection && { reason: connection.reason }) });
      return;
    }
    case 'trouble':
      out.remark(event.what);
      return;
    default: // told to screens
  }
}

const stopWords = {
  superseded: 'this account connected from somewhere else; start watch again to take over',
  revoked: 'the account is gone from the relay',
  unauthorized: 'the relay does not know this account',
  protocol: 'the relay speaks another version of the protocol',
} as const;

/** One line of standard input. Its own mistakes are answered, and end nothing. */
async function command(client: Client, line: string, out: Output, refs: Map<string, unknown>, stop: () => void): Promise<void> {
  if (line.trim() === '') return;
  let ref: unknown;
  try {
    ref = (JSON.parse(line) as { ref?: unknown } | null)?.ref;
    const object = Reader.fromJson(line, 'command');
    if (object.has('send')) {
      const { to, text } = { to: object.object('send').text('to'), text: object.object('send').text('text') };
      const id = await client.send(to, text);
      if (ref !== undefined) refs.set(id, ref);
      out.result('queued', { event: 'queued', id, ...(ref !== undefined && { ref }) });
    } else if (object.has('add')) {
      const contact = await client.addContact(object.object('add').text('link'));
      out.result(`added ${shownName(contact) ?? contact.account}`, { event: 'added', account: contact.account, name: shownName(contact), ...(ref !== undefined && { ref }) });
    } else if (object.has('stop')) stop();
    else throw new SottovoceError('usage', 'a command is {"send": …}, {"add": …} or {"stop": true}');
  } catch (error) {
    const code = error instanceof SottovoceError ? error.code : 'usage';
    const message = error instanceof SottovoceError ? error.message : 'a command is one JSON object a line';
    out.result(`error: ${message}`, { event: 'error', code, message, ...(ref !== undefined && { ref }) });
  }
}
