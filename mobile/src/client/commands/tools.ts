/** For whoever runs, tests or builds on the client. */
import { createInterface } from 'node:readline';

import { serveMessenger } from '../../bridge/server.ts';
import { systemRandom } from '../../node/machine.ts';
import { COMMON, EXIT } from '../command.ts';
import type { Command } from '../command.ts';
import { within } from '../open.ts';
import { contactLine } from '../output.ts';

export const STATUS: Command = {
  args: '',
  count: 0,
  summary: 'print the account, its contacts and what waits',
  details: 'Works while watch is running, and without a network.',
  flags: COMMON,
  run: (invocation) =>
    within(invocation, { create: false, exclusive: false }, async ({ messenger }) => {
      const { client } = messenger;
      const account = await client.account();
      const contacts = await messenger.contacts();
      const counts = await client.store.messages.counts();
      const lines = [
        `${account.name}, account ${account.accountId} at ${account.relayUrl}`,
        `received ${counts.received}, sent ${counts.sent}, waiting to be sent ${counts.waiting}, blocked or failed ${counts.blocked}`,
        `could not be decrypted ${counts.undecryptable}, of which from nobody known ${counts.unattributed}`,
        ...contacts.map((contact) => `contact ${contactLine(contact)}`),
      ];
      invocation.out.result(lines.join('\n'), {
        account: account.accountId,
        name: account.name,
        relay: account.relayUrl,
        ...counts,
        contacts: contacts.map(({ peer, name, reachable }) => ({ account: peer, name, can_be_written_to: reachable })),
      });
      return EXIT.ok;
    }),
};

export const BRIDGE: Command = {
  args: '',
  count: 0,
  summary: 'serve this account to a page on this machine',
  details:
    'Prints {"event": "bridge", "url", "token"}: a WebSocket on the loopback address, and a token that is good for one connection, sent as the second\n' +
    "subprotocol: new WebSocket(url, ['sottovoce-bridge', token]). Each connection prints the next token. What is spoken there: src/bridge/protocol.ts.\n" +
    'Ends with {"stop": true} or the end of standard input. Whoever has a token can do everything with this account.',
  flags: { ...COMMON, port: { value: 'PORT', help: 'a port of your choice (default: any free one)' } },
  run: (invocation) =>
    within(invocation, { create: true, exclusive: true }, async ({ messenger }) => {
      const { out, flags } = invocation;
      const bridge = await serveMessenger(messenger, { random: systemRandom, port: Number(flags['port'] ?? 0), onConnected: () => offer() });
      const offer = (): void => {
        const token = bridge.token();
        out.result(`${bridge.url}  token ${token}`, { event: 'bridge', url: bridge.url, token });
      };
      offer();
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
        const input = createInterface({ input: process.stdin });
        input.on('line', (line) => {
          if (/"stop"\s*:\s*true/.test(line)) resolve();
        });
        input.on('close', resolve);
      });
      process.stdin.destroy();
      await bridge.close();
      return EXIT.ok;
    }),
};
