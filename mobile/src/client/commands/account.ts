/** Commands about the account itself. */

import { CannotDo } from '../../core/errors.ts';
import type { SettingsView } from '../../core/messenger.ts';
import { COMMON, duration, EXIT, LEAVES, onOff } from '../command.ts';
import type { Command, Commands, Invocation } from '../command.ts';
import { fromWhereOneStands, within } from '../open.ts';
import type { Opened } from '../open.ts';
import { NAME, NUMBER, number, secretText, text } from './flags.ts';

async function welcome({ messenger }: Opened, { out }: Invocation): Promise<number> {
  const [account, card] = [await messenger.account(), await messenger.card()];
  out.result(`account ${account?.account}\nyour contact link, for people you want to hear from:\n${card}`, { account: account?.account, name: account?.name, card });
  return EXIT.ok;
}

const SWITCHES: Readonly<Record<string, keyof SettingsView>> = {
  'delivery-receipts': 'deliveryReceipts',
  'read-receipts': 'readReceipts',
  typing: 'typing',
  strangers: 'strangers',
  'direct-calls': 'directCalls',
};

const settings: Command = {
  args: '',
  count: 0,
  summary: 'print or change the settings',
  details: 'Each switch is on or off; those that are not named stay. "strangers": whether somebody who knows only your number may write.',
  flags: {
    ...LEAVES,
    ...Object.fromEntries(Object.keys(SWITCHES).map((name) => [name, { value: 'on|off', help: name.replace('-', ' ') }])),
    timer: { value: 'TIME', help: 'disappearing messages in new conversations: 30s, 5m, 8h, 1d, 4w or off' },
  },
  run: (invocation) =>
    within(invocation, { create: false, exclusive: true }, async (opened) => {
      const { flags, out } = invocation;
      const change: Record<string, boolean | number> = {};
      for (const [flag, field] of Object.entries(SWITCHES)) if (typeof flags[flag] === 'string') change[field] = onOff(flags[flag]);
      if (typeof flags['timer'] === 'string') change['timerS'] = duration(flags['timer']);
      const now = Object.keys(change).length > 0 ? await opened.messenger.changeSettings(change as Partial<SettingsView>) : await opened.messenger.settings();
      out.result(
        Object.entries(now)
          .map(([name, value]) => `${name}: ${value === true ? 'on' : value === false || value === 0 ? 'off' : value}`)
          .join('\n'),
        { ...now },
      );
      return EXIT.ok;
    }),
};

export const ACCOUNT: Commands = {
  join: {
    args: '<invite link>',
    count: 1,
    summary: 'make an account with an invite',
    details: 'May be repeated after any failure: the same keys are registered again, and a used invite answers with the same account.',
    flags: { ...COMMON, name: NAME, number: NUMBER },
    run: (invocation) =>
      within(invocation, { create: true, exclusive: true }, async (opened) => {
        const { flags, args } = invocation;
        const name = text(flags, 'name', 'what others see of you');
        await opened.messenger.join({ invite: args[0] ?? '', name, number: await number(flags) });
        return welcome(opened, invocation);
      }),
  },
  'recovery-code': {
    args: '',
    count: 0,
    summary: 'print the recovery code, or check that it was written down right',
    details: 'Whoever has it can take the account over: write it on paper. --check compares what you wrote, and remembers that it was right.',
    flags: { ...COMMON, check: { value: 'CODE', help: 'what you wrote down; - reads it from standard input, @FILE from a file' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: invocation.flags['check'] !== undefined }, async ({ messenger }) => {
        const { flags, out } = invocation;
        if (typeof flags['check'] === 'string') {
          const right = await messenger.confirmRecoveryCode(secretText(flags['check']));
          out.result(right ? 'right' : 'this is a recovery code, but of another account', { right });
          return right ? EXIT.ok : EXIT.refused;
        }
        const printed = await messenger.recoveryCode();
        out.result(printed, { code: printed });
        return EXIT.ok;
      }),
  },
  name: {
    args: '<name>',
    count: 1,
    summary: 'change the name others see',
    details: 'Contacts are told inside the encryption, over the next minutes.',
    flags: LEAVES,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async (opened) => {
        await opened.messenger.setName(invocation.args[0] ?? '');
        await opened.leave(invocation);
        const account = await opened.messenger.account();
        invocation.out.result(account?.name ?? '', { name: account?.name });
        return EXIT.ok;
      }),
  },
  settings,
  export: {
    args: '<file>',
    count: 1,
    summary: 'write an archive for a new phone',
    details:
      'Everything but the encryption sessions, sealed with a code of 64 characters that is printed once. It is restored as a test before this says done.\nThis client then rests, so that nothing arrives here that the archive does not have; "watch" goes on here.',
    flags: COMMON,
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger }) => {
        const file = fromWhereOneStands(invocation.args[0] ?? '');
        const { code: secret, messages, contacts } = await messenger.exportArchive(file);
        invocation.out.result(`${messages} messages and ${contacts} contacts in ${file}\nthe code that opens it:\n${secret}`, { file, code: secret, messages, contacts });
        return EXIT.ok;
      }),
  },
  import: {
    args: '<file>',
    count: 1,
    summary: 'take over an account from an archive',
    details: 'Into an empty data directory. The other phone is disconnected as soon as this one connects.',
    flags: { ...COMMON, code: { value: 'CODE', help: 'the code of the archive; - reads it from standard input, @FILE from a file (required)' } },
    run: (invocation) =>
      within(invocation, { create: true, exclusive: true }, async (opened) => {
        await opened.messenger.importArchive(fromWhereOneStands(invocation.args[0] ?? ''), secretText(text(invocation.flags, 'code', 'the code that export printed')));
        return welcome(opened, invocation);
      }),
  },
  'delete-account': {
    args: '',
    count: 0,
    summary: 'delete the account, at the relay and here',
    details: 'There is no way back, and no copy. Say --yes. Should the relay be away, the same command goes on later.',
    flags: { ...COMMON, yes: { value: null, help: 'you mean it (required)' } },
    run: (invocation) =>
      within(invocation, { create: false, exclusive: true }, async ({ messenger }) => {
        if (invocation.flags['yes'] !== true) throw new CannotDo('usage', 'this cannot be undone: say --yes');
        await messenger.deleteAccount();
        invocation.out.result('deleted, at the relay and here', { event: 'deleted' });
        return EXIT.ok;
      }),
  },
};
