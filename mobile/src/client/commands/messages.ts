/** Commands about messages. */
import { CannotDo } from '../../core/errors.ts';
import type { MessageStatus, MessageView, Messenger } from '../../core/messenger.ts';
import { COMMON, duration, EXIT, find, LEAVES, TIMEOUT, timeoutMs, wholeNumber } from '../command.ts';
import type { Command, Commands, Invocation } from '../command.ts';
import { explain, hitObject, messageLine, messageObject } from '../output.ts';
import { within } from '../open.ts';
import type { Opened } from '../open.ts';

const PAGE = 200;

/** In ascending order; with `limit` the newest so many. */
async function history(messenger: Messenger, peer: string, before: number | null, limit: number | null): Promise<readonly MessageView[]> {
  let all: readonly MessageView[] = [];
  for (let cursor = before, more = true; more; ) {
    const wanted = limit === null ? PAGE : Math.min(PAGE, limit - all.length);
    if (wanted <= 0) break;
    const page = await messenger.messages(peer, { before: cursor, limit: wanted });
    all = [...page.messages, ...all];
    cursor = page.before;
    more = cursor !== null;
  }
  return all;
}

async function message(messenger: Messenger, peer: string, id: string): Promise<MessageView | undefined> {
  for (let cursor: number | null = null, more = true; more; ) {
    const page = await messenger.messages(peer, { before: cursor, limit: PAGE });
    const found = page.messages.find((one) => one.id === id);
    if (found) return found;
    cursor = page.before;
    more = cursor !== null;
  }
  return undefined;
}

/** Something done to one message of a conversation, which tells the other side. */
function change(args: string, summary: string, details: string, act: (messenger: Messenger, peer: string, id: string, invocation: Invocation) => Promise<void>, flags: Command['flags'] = {}): Command {
  return {
    args,
    count: args.split('> ').length,
    summary,
    details,
    flags: { ...LEAVES, ...flags },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async (opened) => {
        const { peer, name } = await find(opened.messenger, invocation.args[0] ?? '');
        const id = invocation.args[1] ?? '';
        await act(opened.messenger, peer, id, invocation);
        await opened.leave(invocation);
        const after = await message(opened.messenger, peer, id);
        if (after) invocation.out.result(messageLine(after, name), messageObject(after, peer, name));
        else invocation.out.result('deleted here', { event: 'deleted', id, account: peer });
        return EXIT.ok;
      }),
  };
}

const SETTLED: ReadonlySet<MessageStatus> = new Set(['sent', 'delivered', 'read', 'failed']);

async function send(opened: Opened, invocation: Invocation): Promise<number> {
  const { messenger } = opened;
  const { args, flags, out } = invocation;
  const wait = flags['wait'] === true;
  const limit = timeoutMs(flags) ?? (wait ? null : 15_000);
  const quotes = typeof flags['quote'] === 'string' ? flags['quote'] : null;
  const { peer } = await find(messenger, args[0] ?? '');
  const id = await messenger.send(peer, { text: args[1] ?? '', quotes });
  let look: () => void = () => undefined;
  const unsubscribe = messenger.subscribe((change) => {
    if (change.topic === 'conversation' && change.peer === peer) look();
  });
  const settled = new Promise<MessageView | null>((resolve, reject) => {
    look = () => void message(messenger, peer, id).then((row) => (!row || SETTLED.has(row.status) || row.reason !== null ? resolve(row ?? null) : undefined), reject);
    if (limit !== null) opened.later(limit, () => resolve(null));
  });
  await messenger.start();
  look();
  const row = (await settled) ?? (await message(messenger, peer, id));
  unsubscribe();
  const state = row?.status ?? 'queued';
  const left = state === 'sent' || state === 'delivered' || state === 'read';
  out.result(left ? 'sent' : `${state}${row?.reason ? `: ${explain(row.reason)}` : ': it goes with the next send or watch'}`, {
    event: left ? 'sent' : state,
    id,
    reason: row?.reason ?? null,
  });
  if (left) return EXIT.ok;
  if (state === 'failed' || row?.reason) return EXIT.refused;
  return wait ? EXIT.unreachable : EXIT.ok;
}

export const MESSAGES: Commands = {
  send: {
    args: '<contact> <text>',
    count: 2,
    summary: 'send a text',
    details: 'A contact is an account id, a number or a name. The message is on disk before anything leaves. Without --wait one attempt is made; what is left goes\nwith the next send or watch.',
    flags: { ...COMMON, quote: { value: 'ID', help: 'answers this message' }, wait: { value: null, help: 'wait until the relay has it (exit 0) or it cannot go (exit 4)' }, timeout: TIMEOUT },
    run: (invocation) => within(invocation, { create: false, exclusive: true }, (opened) => send(opened, invocation)),
  },
  edit: change('<contact> <message id> <text>', 'change a text you sent', 'Within 24 hours.', (messenger, peer, id, { args }) => messenger.edit(peer, id, args[2] ?? '')),
  delete: change(
    '<contact> <message id>',
    'delete a message here, or for everyone',
    'For everyone only your own ones, and only as far as their app does as it is asked.',
    (messenger, peer, id, { flags }) => (flags['everyone'] === true ? messenger.deleteForEveryone(peer, id) : messenger.deleteForMe(peer, [id])),
    { everyone: { value: null, help: 'asks the other side to delete it too' } },
  ),
  react: change('<contact> <message id> <emoji or none>', 'react to a message', 'One reaction a person; "none" takes it back.', (messenger, peer, id, { args }) =>
    messenger.react(peer, id, args[2] === 'none' ? null : (args[2] ?? null)),
  ),
  retry: change('<contact> <message id>', 'try again to send a message that could not go', 'After the reason is gone.', (messenger, peer, id) => messenger.retry(peer, id)),
  timer: {
    args: '<contact> <time or off>',
    count: 2,
    summary: 'make messages disappear some time after they were read',
    details: 'For both sides, for what is written from now on: 30s, 5m, 8h, 1d, 4w or off.',
    flags: LEAVES,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async (opened) => {
        const { peer } = await find(opened.messenger, invocation.args[0] ?? '');
        const seconds = duration(invocation.args[1] ?? '');
        await opened.messenger.setTimer(peer, seconds);
        await opened.leave(invocation);
        invocation.out.result(seconds === 0 ? 'messages stay' : `messages disappear ${seconds} s after they were read`, { account: peer, timer_s: seconds });
        return EXIT.ok;
      }),
  },
  read: {
    args: '<contact>',
    count: 1,
    summary: 'mark a conversation as read',
    details: 'Read receipts are due then, if they are on.',
    flags: LEAVES,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async (opened) => {
        const { peer } = await find(opened.messenger, invocation.args[0] ?? '');
        const newest = (await opened.messenger.messages(peer, { before: null, limit: 1 })).messages.at(-1);
        if (newest) await opened.messenger.markRead(peer, newest.row);
        await opened.leave(invocation);
        const { unread } = await opened.messenger.conversation(peer);
        invocation.out.result(`${unread} unread`, { account: peer, unread });
        return EXIT.ok;
      }),
  },
  history: {
    args: '<contact>',
    count: 1,
    summary: 'print the conversation with a contact',
    details: 'All of it, or the newest --limit messages before row --before, in the order this client came to know them. Works while watch is running.',
    flags: { ...COMMON, limit: { value: 'COUNT', help: 'at most so many' }, before: { value: 'ROW', help: 'only what stands before this row' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        const { flags, out, args } = invocation;
        const { peer, name } = await find(messenger, args[0] ?? '');
        for (const row of await history(messenger, peer, wholeNumber(flags, 'before'), wholeNumber(flags, 'limit'))) {
          out.result(messageLine(row, name), messageObject(row, peer, name));
        }
        return EXIT.ok;
      }),
  },
  conversations: {
    args: '',
    count: 0,
    summary: 'list conversations, the newest first',
    details: 'With --archived those that were put away.',
    flags: { ...COMMON, archived: { value: null, help: 'the archived ones' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        for (const one of await messenger.conversations({ archived: invocation.flags['archived'] === true })) {
          const marks = [one.request && 'request', one.blocked && 'blocked', one.verified && 'verified', one.identity !== 'same' && `identity ${one.identity}`].filter(Boolean);
          invocation.out.result(`${one.name}  ${one.unread} unread${marks.length > 0 ? `  (${marks.join(', ')})` : ''}  ${one.preview?.text ?? ''}`, {
            account: one.peer,
            name: one.name,
            unread: one.unread,
            at: one.at,
            preview: one.preview?.text ?? null,
            request: one.request,
            blocked: one.blocked,
            verified: one.verified,
            identity: one.identity,
            timer_s: one.timerS,
          });
        }
        return EXIT.ok;
      }),
  },
  search: {
    args: '<words>',
    count: 1,
    summary: 'search messages',
    details: 'Newest first.',
    flags: { ...COMMON, in: { value: 'CONTACT', help: 'only in this conversation' }, limit: { value: 'COUNT', help: 'at most so many (default 50)' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        const { flags, out, args } = invocation;
        const within_ = typeof flags['in'] === 'string' ? (await find(messenger, flags['in'])).peer : null;
        const limit = wholeNumber(flags, 'limit') ?? 50;
        if (limit < 1) throw new CannotDo('usage', '--limit is at least 1');
        const names = new Map((await messenger.contacts()).map(({ peer, name }) => [peer, name]));
        for (const hit of await messenger.search(args[0] ?? '', { peer: within_, limit })) {
          const name = names.get(hit.peer) ?? hit.peer;
          out.result(messageLine(hit.message, name), hitObject(hit, name));
        }
        return EXIT.ok;
      }),
  },
};
