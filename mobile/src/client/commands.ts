import { shownName } from '../core/client.ts';
import type { SendingEvent } from '../core/sending.ts';
import { CannotDo } from '../core/errors.ts';
import { messageLine, messageObject } from './output.ts';
import type { Output } from './output.ts';
import { openClient } from './runtime.ts';
import { EXIT } from './usage.ts';

export interface Invocation {
  readonly args: readonly string[];
  readonly data: string;
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly out: Output;
}

/** Answers an exit code; throws typed errors for the one place that explains them (main.ts). */
type Command = (invocation: Invocation) => Promise<number>;

const READ_ONLY = { create: false, exclusive: false };
const WRITING = { create: false, exclusive: true };

export const join: Command = async ({ args: [link = ''], data, flags, out }) => {
  const name = flags['name'];
  if (typeof name !== 'string') throw new CannotDo('usage', 'join needs --name NAME: what others see of you');
  const { client, close } = await openClient(data, { create: true, exclusive: true });
  try {
    const says = { keys: 'making keys', number: 'having the number evaluated, blinded', request: 'asking the relay', registered: 'joined' } as const;
    const number = typeof flags['number'] === 'string' ? flags['number'] : null;
    const account = await client.join(link, name, (step) => out.remark(says[step]), number);
    out.result(`account ${account.accountId}\nyour contact link, for people you want to hear from:\n${await client.card()}`, {
      account: account.accountId,
      name: account.name,
      card: await client.card(),
    });
    return EXIT.ok;
  } finally {
    await close();
  }
};

export const card: Command = async ({ data, out }) => {
  const { client, close } = await openClient(data, READ_ONLY);
  try {
    const link = await client.card();
    out.result(link, { card: link });
    return EXIT.ok;
  } finally {
    await close();
  }
};

export const add: Command = async ({ args: [link = ''], data, out }) => {
  const { client, close } = await openClient(data, WRITING);
  try {
    const contact = await client.addContact(link);
    out.result(`added ${shownName(contact) ?? contact.account}`, { event: 'added', account: contact.account, name: shownName(contact) });
    return EXIT.ok;
  } finally {
    await close();
  }
};

export const send: Command = async ({ args: [to = '', text = ''], data, flags, out }) => {
  const wait = flags['wait'] === true;
  const timeoutMs = seconds(flags['timeout']) ?? (wait ? null : 15_000);
  let settled: (event: SendingEvent | null) => void = () => undefined;
  const answer = new Promise<SendingEvent | null>((resolve) => {
    settled = resolve;
  });
  let id: string | null = null;
  const early: SendingEvent[] = [];
  const { client, close } = await openClient(data, WRITING, (event) => {
    if (event.kind === 'trouble') out.remark(event.what);
    if (event.kind !== 'sending') return;
    if (event.sending.contentId === id) settled(event.sending);
    else early.push(event.sending);
  });
  try {
    id = await client.send(to, text);
    const before = early.find(({ contentId }) => contentId === id);
    if (before) settled(before);
    await client.start({ receive: false });
    const timer = timeoutMs === null ? undefined : setTimeout(() => settled(null), timeoutMs);
    const outcome = await answer;
    clearTimeout(timer);
    const state = outcome?.state ?? 'queued';
    out.result(state === 'sent' ? 'sent' : `${state}${outcome?.reason ? `: ${explain(outcome.reason)}` : ': it goes with the next send or watch'}`, {
      event: state,
      id,
      reason: outcome?.reason ?? null,
    });
    if (state === 'queued') return wait ? EXIT.unreachable : EXIT.ok;
    return state === 'sent' ? EXIT.ok : EXIT.refused;
  } finally {
    await close();
  }
};

export const history: Command = async ({ args: [who = ''], data, out }) => {
  const { client, close } = await openClient(data, READ_ONLY);
  try {
    const contact = await client.findContact(who);
    for (const message of await client.history(contact.account)) {
      out.result(messageLine(message, shownName(contact) ?? contact.account), messageObject(message, shownName(contact)));
    }
    return EXIT.ok;
  } finally {
    await close();
  }
};

export const status: Command = async ({ data, out }) => {
  const { client, close } = await openClient(data, READ_ONLY);
  try {
    const account = await client.account();
    const contacts = await client.store.people.all();
    const counts = await client.store.messages.counts();
    const unattributed = (await client.store.messages.all()).filter(({ peer }) => peer === null).length;
    const lines = [
      `${account.name}, account ${account.accountId} at ${account.relayUrl}`,
      `received ${counts.received}, sent ${counts.sent}, waiting to be sent ${counts.waiting}, blocked or failed ${counts.blocked}`,
      `could not be decrypted ${counts.undecryptable}, of which from nobody known ${unattributed}`,
      ...contacts.map((contact) => `contact ${shownName(contact) ?? '(no name)'}  ${contact.account}${contact.accessKey ? '' : '  (cannot be written to yet)'}`),
    ];
    out.result(lines.join('\n'), {
      account: account.accountId,
      name: account.name,
      relay: account.relayUrl,
      ...counts,
      contacts: contacts.map((contact) => ({ account: contact.account, name: shownName(contact), can_be_written_to: contact.accessKey !== null })),
    });
    return EXIT.ok;
  } finally {
    await close();
  }
};

/** @throws CannotDo `usage` */
export function seconds(flag: string | boolean | undefined): number | null {
  if (flag === undefined) return null;
  const value = Number(flag);
  if (typeof flag !== 'string' || !Number.isFinite(value) || value <= 0) throw new CannotDo('usage', '--timeout takes a number of seconds');
  return value * 1000;
}

/** Reason codes of blocked and failed messages, in words. */
export function explain(reason: string): string {
  const words: Readonly<Record<string, string>> = {
    no_access: 'no such account, or their access key has changed: ask for their contact link again and add it',
    no_access_key: 'they have not told how to write to them: ask for their contact link and add it',
    identity_unconfirmed: 'their identity key is not the one known before: compare in person before trusting it',
    blocked: 'you have blocked them',
    bad_bundle: 'the relay gave keys that are not signed by this contact',
  };
  return words[reason] ?? reason;
}
