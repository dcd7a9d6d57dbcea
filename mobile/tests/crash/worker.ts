/**
 * A receiver that can be killed: reads the envelopes of a mailbox file, settles each through the real Receiver and the real
 * database, and acknowledges it by rewriting the mailbox. Arguments: directory, mode, and when it dies: `whole`, at that step;
 * `split`, when so many messages have had their session saved.
 */
import { readFileSync, writeFileSync, renameSync } from 'node:fs';
import path from 'node:path';

import type { Database, Statement } from '../../src/core/ports.ts';
import { KeyedQueue } from '../../src/core/queue.ts';
import { Receiver } from '../../src/core/receiving.ts';
import { RelayTime } from '../../src/core/relay_time.ts';
import { openSchema } from '../../src/core/storage/schema.ts';
import { Store } from '../../src/core/storage/store.ts';
import { openDatabase } from '../../src/node/database.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { TEST_KEY } from '../support/clients.ts';

const [directory = '', mode = '', dieAt = ''] = process.argv.slice(2);

let step = 0;
/** One of the points between which anything may happen. */
function point(): void {
  step += 1;
  if (mode === 'whole' && step === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
}

let sessions = 0;
/** `whole`: the list is one transaction, as it must be. `split`: each statement is its own, the session first. */
function mortal(database: Database): Database {
  return {
    async read(statement) {
      const rows = await database.read(statement);
      point();
      return rows;
    },
    async write(statements) {
      point();
      const parts: readonly (readonly Statement[])[] = mode === 'split' ? statements.map((one) => [one]) : [statements];
      for (const part of parts) {
        await database.write(part);
        point();
        if (mode === 'split' && part[0]?.sql.startsWith('INSERT INTO session ')) {
          sessions += 1;
          if (sessions === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
        }
      }
    },
    close: () => database.close(),
  };
}

const mailboxFile = path.join(directory, 'mailbox.json');
const waiting = JSON.parse(readFileSync(mailboxFile, 'utf8')) as { id: string; at: number; body: string }[];
const database = mortal(openDatabase(path.join(directory, 'messages.db'), TEST_KEY));
await openSchema(database);
const store = new Store(database);
const account = await store.account.get();
if (!account?.accountId) throw new Error('no account');
const receiver = new Receiver({
  store,
  engine: new NodeSignalEngine(),
  queue: new KeyedQueue(),
  time: new RelayTime(systemClock),
  random: systemRandom,
  account: { ...account, accountId: account.accountId },
});
for (let envelope = waiting[0]; envelope; envelope = waiting[0]) {
  await receiver.receive(new Uint8Array(Buffer.from(envelope.body, 'base64url')), { lane: 'mail', id: envelope.id, at: envelope.at });
  point();
  waiting.shift();
  writeFileSync(`${mailboxFile}.new`, JSON.stringify(waiting));
  renameSync(`${mailboxFile}.new`, mailboxFile); // the acknowledgement
  point();
}
await database.close();
process.stdout.write(`${step}\n`);
