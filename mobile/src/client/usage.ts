/** What the command line understands, in one table: the help is printed from it and the arguments are checked against it. */
export interface Usage {
  readonly args: string;
  /** How many positional arguments. */
  readonly count: number;
  readonly summary: string;
  readonly details: string;
  readonly flags: Readonly<Record<string, { readonly value: string | null; readonly help: string }>>;
}

const DATA = { value: 'DIR', help: 'where this account lives (default: $SOTTOVOCE_DATA, else ./sottovoce-data)' };
const JSON_FLAG = { value: null, help: 'one JSON object a line on standard output' };
const TIMEOUT = { value: 'SECONDS', help: 'give up waiting after this long' };

export const COMMANDS: Readonly<Record<string, Usage>> = {
  join: {
    args: '<invite link>',
    count: 1,
    summary: 'make an account with an invite',
    details: 'May be repeated after any failure: the same keys are registered again, and a used invite answers with the same account.',
    flags: {
      data: DATA,
      name: { value: 'NAME', help: 'the name others see (required)' },
      number: { value: 'NUMBER', help: 'your phone number, +4915112345678: who knows it can find you. It does not leave this machine' },
      json: JSON_FLAG,
    },
  },
  card: {
    args: '',
    count: 0,
    summary: 'print your contact link',
    details: 'Give it to people in person or over a channel they trust: whoever holds it can write to you.',
    flags: { data: DATA, json: JSON_FLAG },
  },
  add: {
    args: '<contact link>',
    count: 1,
    summary: 'add a contact from their link',
    details: 'The identity key in the link is pinned: another key from the relay is refused.',
    flags: { data: DATA, json: JSON_FLAG },
  },
  discover: {
    args: '<file>',
    count: 1,
    summary: 'find out which numbers are members',
    details:
      'The file has one entry a line: +4915112345678 and a name, if you like; - is standard input. The relay evaluates blinded hashes and is then\n' +
      'asked for tokens at other times on another connection: it sees no number. Members become contacts. An interrupted run is gone on with.',
    flags: { data: DATA, fast: { value: null, help: 'without the waits that keep the two halves apart: for tests' }, json: JSON_FLAG },
  },
  recover: {
    args: '<invite link>',
    count: 1,
    summary: 'come back into an account by its recovery code',
    details:
      'Any invite of the relay will do: it says where, and it is not spent. All keys are made anew, the old phone is shut out, and what waited for it\n' +
      'is gone, since it was sealed to the old keys. With the data of the old phone, contacts and messages stay. May be repeated after any failure.',
    flags: {
      data: DATA,
      name: { value: 'NAME', help: 'the name others see (required)' },
      code: { value: 'CODE', help: 'the recovery code (required)' },
      account: { value: 'ID', help: 'the account id; or' },
      number: { value: 'NUMBER', help: 'the phone number of the account; with both, people find it by number again' },
      json: JSON_FLAG,
    },
  },
  send: {
    args: '<contact, number or account id> <text>',
    count: 2,
    summary: 'send a text',
    details: 'The message is on disk before anything leaves. Without --wait one attempt is made; what is left goes with the next send or watch.',
    flags: { data: DATA, wait: { value: null, help: 'wait until the relay has it (exit 0) or it cannot go (exit 4)' }, timeout: TIMEOUT, json: JSON_FLAG },
  },
  watch: {
    args: '',
    count: 0,
    summary: 'stay connected, print what arrives',
    details:
      'Commands on standard input, one JSON object a line:\n' +
      '  {"send": {"to": "Bob", "text": "hello"}, "ref": 1}     answered by {"event": "queued"}, later {"event": "sent"}\n' +
      '  {"add": {"link": "sottovoce:contact#..."}}             answered by {"event": "added"}\n' +
      '  {"stop": true}\n' +
      'An optional "ref" comes back in the answers. The end of standard input does not end watching.',
    flags: {
      data: DATA,
      json: JSON_FLAG,
      'exit-when-drained': { value: null, help: 'end when everything that waited has been received and everything queued has left' },
      timeout: TIMEOUT,
    },
  },
  history: {
    args: '<contact or account id>',
    count: 1,
    summary: 'print the conversation with a contact',
    details: 'In the order this client came to know the messages. Works while watch is running.',
    flags: { data: DATA, json: JSON_FLAG },
  },
  status: {
    args: '',
    count: 0,
    summary: 'print the account, its contacts and what waits',
    details: 'Works while watch is running, and without a network.',
    flags: { data: DATA, json: JSON_FLAG },
  },
};

export const EXIT = { ok: 0, failed: 1, usage: 2, notReady: 3, refused: 4, unreachable: 5, superseded: 6, revoked: 7, inUse: 8 } as const;

const EXIT_CODES = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not joined or a bad link, 4 refused, 5 relay unreachable or timeout,
            6 replaced by another session of this account, 7 the account is gone, 8 the data directory is in use`;

export function help(command?: string): string {
  const usage = command === undefined ? undefined : COMMANDS[command];
  if (!usage) {
    const lines = Object.entries(COMMANDS).map(([name, { args, summary }]) => `  ${`${name} ${args}`.padEnd(40)} ${summary}`);
    return `Sottovoce, a headless client\n\nUsage: client <command> [options]\n\n${lines.join('\n')}\n\n"client <command> --help" tells more.\n${EXIT_CODES}`;
  }
  const flags = Object.entries(usage.flags).map(([name, { value, help: text }]) => `  ${`--${name}${value === null ? '' : ` ${value}`}`.padEnd(22)} ${text}`);
  return `Usage: client ${command} ${usage.args} [options]\n\n${usage.summary}\n\n${usage.details}\n\n${flags.join('\n')}\n\n${EXIT_CODES}`;
}
