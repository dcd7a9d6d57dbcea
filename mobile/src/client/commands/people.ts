/** Commands about people: who they are, and whether they may write. */
import { CannotDo } from '../../core/errors.ts';
import type { ContactView } from '../../core/messenger.ts';
import { COMMON, duration, EXIT, find, LEAVES } from '../command.ts';
import type { Command, Commands, Invocation } from '../command.ts';
import { contactLine, contactObject } from '../output.ts';
import { within } from '../open.ts';
import type { Opened } from '../open.ts';

/** One argument names a contact; `act` does something about them, and what it queued may leave. */
function about(summary: string, details: string, act: (opened: Opened, who: ContactView, invocation: Invocation) => Promise<void>, leaves = true): Command {
  return {
    args: '<contact>',
    count: 1,
    summary,
    details,
    flags: leaves ? LEAVES : COMMON,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async (opened) => {
        const who = await find(opened.messenger, invocation.args[0] ?? '');
        await act(opened, who, invocation);
        if (leaves) await opened.leave(invocation);
        const after = await opened.messenger.contact(who.peer);
        invocation.out.result(contactLine(after), contactObject(after));
        return EXIT.ok;
      }),
  };
}

function listing(summary: string, details: string, wanted: (contact: ContactView) => boolean): Command {
  return {
    args: '',
    count: 0,
    summary,
    details,
    flags: COMMON,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        for (const contact of await messenger.contacts()) if (wanted(contact)) invocation.out.result(contactLine(contact), contactObject(contact));
        return EXIT.ok;
      }),
  };
}

export const PEOPLE: Commands = {
  card: {
    args: '',
    count: 0,
    summary: 'print your contact link',
    details: 'Give it to people in person or over a channel they trust: whoever holds it can write to you, until you block somebody.',
    flags: COMMON,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        const card = await messenger.card();
        invocation.out.result(card, { card });
        return EXIT.ok;
      }),
  },
  add: {
    args: '<contact link>',
    count: 1,
    summary: 'add a contact from their link',
    details: 'The identity key in the link is pinned: another key from the relay is refused. With --in-person it counts as verified too:\nonly when you have it from their own screen or hand.',
    flags: { ...COMMON, 'in-person': { value: null, help: 'you have it from them face to face: verifies in the same step' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger }) => {
        const contact = await messenger.addByCard(invocation.args[0] ?? '', invocation.flags['in-person'] === true);
        invocation.out.result(`added ${contactLine(contact)}`, { event: 'added', ...contactObject(contact) });
        return EXIT.ok;
      }),
  },
  contacts: listing('list contacts', 'Blocked ones too; message requests have a command of their own.', ({ request }) => !request),
  requests: listing('list message requests', 'Strangers who wrote. They learn nothing until you accept: no receipts, no typing.', ({ request, blocked }) => request && !blocked),
  accept: about('accept a message request', 'From now on they get receipts, if those are on.', ({ messenger }, { peer }) => messenger.acceptRequest(peer)),
  block: about(
    'block a contact',
    'Their messages are dropped. Your contact access key is changed, and your other contacts are told the new one over the next minutes:\nkeep watch running, or run it soon.',
    ({ messenger }, { peer }) => messenger.block(peer),
  ),
  unblock: about('unblock a contact', 'They are told the key they need to write to you.', ({ messenger }, { peer }) => messenger.unblock(peer)),
  mute: {
    ...about('mute a contact', 'For 30s, 5m, 8h, 1d, 2w, or until "mute <contact> off".', async () => undefined, false),
    args: '<contact> <time or off>',
    count: 2,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger, nowS }) => {
        const { peer } = await find(messenger, invocation.args[0] ?? '');
        const seconds = duration(invocation.args[1] ?? '');
        await messenger.mute(peer, seconds === 0 ? null : nowS() + seconds);
        const after = await messenger.contact(peer);
        invocation.out.result(contactLine(after), contactObject(after));
        return EXIT.ok;
      }),
  },
  rename: {
    ...about('give a contact a name of your own', 'An empty name takes it back; theirs shows again.', async () => undefined, false),
    args: '<contact> <name>',
    count: 2,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger }) => {
        const { peer } = await find(messenger, invocation.args[0] ?? '');
        await messenger.setContactName(peer, (invocation.args[1] ?? '').trim() || null);
        const after = await messenger.contact(peer);
        invocation.out.result(contactLine(after), contactObject(after));
        return EXIT.ok;
      }),
  },
  'safety-number': {
    args: '<contact>',
    count: 1,
    summary: 'print the safety number of a conversation',
    details: 'The same sixty digits at both ends, or somebody is in between. "code" is what the QR code holds.',
    flags: COMMON,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
        const { peer, verified } = await find(messenger, invocation.args[0] ?? '');
        const { groups, code } = await messenger.safetyNumber(peer);
        const lines = [0, 4, 8].map((at) => groups.slice(at, at + 4).join(' '));
        invocation.out.result(`${lines.join('\n')}\n${verified ? 'verified' : 'not verified yet'}`, { account: peer, groups, code, verified });
        return EXIT.ok;
      }),
  },
  verify: {
    args: '<contact>',
    count: 1,
    summary: 'mark a contact as verified, after comparing the safety number',
    details: 'With --code the scanned code of their screen is compared; without it you say that you have compared the digits. --undo takes the mark back.',
    flags: { ...COMMON, code: { value: 'CODE', help: 'what their QR code holds (see safety-number)' }, undo: { value: null, help: 'not verified any more' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger }) => {
        const { flags, out } = invocation;
        const { peer } = await find(messenger, invocation.args[0] ?? '');
        const code = flags['code'];
        if (flags['undo'] === true && code !== undefined) throw new CannotDo('usage', '--code and --undo exclude each other');
        if (typeof code === 'string' && !(await messenger.compareSafetyCode(peer, code))) {
          out.result('does not fit: somebody may be in between. Nothing was marked', { account: peer, verified: false, fits: false });
          return EXIT.refused;
        }
        if (typeof code !== 'string') await messenger.setVerified(peer, flags['undo'] !== true);
        const after = await messenger.contact(peer);
        out.result(contactLine(after), { ...contactObject(after), ...(typeof code === 'string' && { fits: true }) });
        return EXIT.ok;
      }),
  },
  'confirm-identity': about(
    'go on with the new key of a contact whose identity changed',
    'Compare the safety number first. Until then nothing is sent to somebody who was verified.',
    ({ messenger }, { peer }) => messenger.confirmIdentity(peer),
  ),
};
