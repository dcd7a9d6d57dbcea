/** How the database answers: by index and never by looking through everything, and right at the edges of pages and words. */
import path from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { soughtBy } from '../src/core/search.ts';
import { openSchema } from '../src/core/storage/schema.ts';
import { Store } from '../src/core/storage/store.ts';
import type { Database, SqlValue, Statement } from '../src/core/ports.ts';
import { openDatabase } from '../src/node/database.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY } from './support/clients.ts';

const ADA = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01';
const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';

let directory: string;
let database: Database;
let store: Store;
let asked: Statement[];

beforeEach(async () => {
  directory = temporaryDirectory();
  const real = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
  asked = [];
  database = {
    ...real,
    read: (statement) => {
      asked.push(statement);
      return real.read(statement);
    },
    write: (statements) => {
      asked.push(...statements);
      return real.write(statements);
    },
  };
  await openSchema(database);
  store = new Store(database);
  for (const account of [ADA, BOB]) await store.write([store.people.save({ account, name: account === ADA ? 'Ada' : 'Bob', request: false })]);
});

afterEach(async () => {
  await database.close();
  removeDirectory(directory);
});

let made = 0;
async function add(peer: string, text: string, more: object = {}): Promise<string> {
  made += 1;
  const contentId = `00000000-0000-4000-8000-${made.toString().padStart(12, '0')}`;
  await store.write([store.messages.add({ contentId, peer, direction: 'in', kind: 'text', text, sentAt: made, arrivedAt: made, state: 'received', ...more })]);
  return contentId;
}

describe('plans', () => {
  /** What SQLite would do, one step a line. */
  async function plan({ sql, params = {} }: Statement): Promise<string> {
    const rows = await database.read({ sql: `EXPLAIN QUERY PLAN ${sql}`, params });
    return rows.map((row) => String(row['detail'])).join('\n');
  }

  const reads: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['the newest page', () => store.conversations.page(ADA, null, 50)],
    ['a page before', () => store.conversations.page(ADA, 1_000, 50)],
    ['unread', () => store.conversations.unread(ADA)],
    ['one conversation', () => store.conversations.get(ADA)],
    ['a message by its id', () => store.messages.get(ADA, 'x')],
    ['the next that disappears', () => store.messages.nextExpiry()],
    ['the next receipt', () => store.conversations.nextReceipt()],
    ['receipts of one', () => store.conversations.receiptsOwed(ADA, 'read', 10)],
    ['reactions of a page', () => store.conversations.reactions(ADA, ['x'])],
    ['search', () => store.conversations.search({ match: '"x"*', within: [] }, null, 20)],
    ['search of a piece, newest first', () => store.conversations.search({ match: null, within: ['%東%'] }, ADA, 20)],
    ['the outbox of one', () => store.outbox.waiting(ADA, 32, 0)],
    ['what was sent', () => store.outbox.sent(ADA, 'x')],
    ['a seen envelope', () => store.keys.envelopeSeen('x')],
  ];

  test.each(reads)('%s goes by an index', async (_name, read) => {
    asked = [];
    await read();
    for (const statement of [...asked]) {
      const steps = (await plan(statement)).split('\n');
      expect(steps.filter((step) => /^SCAN (?!json_each|message_text|.*VIRTUAL TABLE)/.test(step) && !/USING (COVERING )?INDEX/.test(step))).toEqual([]);
      // The outbox may sort: it never holds more than what waits.
      if (_name !== 'the outbox of one') expect(steps.filter((step) => step.includes('TEMP B-TREE'))).toEqual([]);
    }
  });

  test('the list of conversations looks at contacts, and at one message each', async () => {
    asked = [];
    await store.conversations.list(false);
    const steps = (await plan(asked[0] ?? { sql: '' })).split('\n');
    expect(steps.filter((step) => step.startsWith('SCAN'))).toEqual(['SCAN p']);
  });

  test.each<readonly [string, () => readonly Statement[]]>([
    ['marking as read', () => [store.conversations.owesReadReceipts(ADA, 5, 1), store.conversations.markRead(ADA, 5, 1)]],
    ['a receipt', () => [store.messages.setReceipt(ADA, 'read', ['x'])]],
    ['taking back', () => store.messages.takeBack(ADA, 'in', 'x', 1)],
    ['deleting', () => store.messages.remove(ADA, 'x')],
    ['disappearing', () => store.messages.removeExpired(5)],
    ['forgetting envelopes', () => store.keys.envelopeIsSeen('x', 5)],
  ])('%s goes by an index', async (_name, statements) => {
    for (const statement of statements()) {
      const steps = (await plan(statement)).split('\n');
      expect(steps.filter((step) => /^SCAN (message|reaction|sent_log|seen_envelope|receipt_due|outbox)\b/.test(step) && !/USING (COVERING )?INDEX/.test(step)), statement.sql).toEqual([]);
    }
  });

  test('the test can fail: a question without an index is seen', async () => {
    expect(await plan({ sql: 'SELECT * FROM message WHERE sent_at = 5' })).toMatch(/^SCAN message/);
  });
});

describe('pages', () => {
  test('going back page by page shows everything once, whatever the size, while new ones come', async () => {
    for (let i = 0; i < 23; i += 1) {
      await add(ADA, `a${i}`);
      if (i % 3 === 0) await add(BOB, `b${i}`);
    }
    for (const size of [1, 2, 7, 22, 23, 24]) {
      let seen: (string | null)[] = [];
      let before: number | null = null;
      do {
        const page = await store.conversations.page(ADA, before, size);
        seen = [...page.map(({ text }) => text), ...seen];
        before = page[0]?.seq ?? null;
      } while (before !== null);
      expect(seen.slice(0, 23), `pages of ${size}`).toEqual(Array.from({ length: 23 }, (_, i) => `a${i}`));
    }
  });
});

describe('search', () => {
  const found = async (query: string, peer: string | null = null): Promise<(string | null)[]> => {
    const sought = soughtBy(query);
    return sought === null ? [] : (await store.conversations.search(sought, peer, 20)).map(({ message }) => message.text);
  };

  test('words in any order, the last one unfinished, without accents and case, newest first, in one conversation or all', async () => {
    await add(ADA, 'Über den Wolken');
    await add(BOB, 'the clouds above us');
    await add(ADA, 'CLOUDS again, above all');
    expect(await found('clou')).toEqual(['CLOUDS again, above all', 'the clouds above us']);
    expect(await found('above clouds')).toEqual(['CLOUDS again, above all', 'the clouds above us']);
    expect(await found('clouds', BOB)).toEqual(['the clouds above us']);
    expect(await found('uber')).toEqual(['Über den Wolken']);
    expect(await found('wolk den')).toEqual([]); // only the last word may be a beginning
    expect(await found('   ')).toEqual([]);
    expect(await found('👍 !')).toEqual([]);
    expect((await store.conversations.search({ match: '"above"', within: [] }, BOB, 1))[0]?.excerpt).toBe('the clouds \u2068above\u2069 us');
  });

  test('scripts without spaces between words: any piece of a sentence, alone or beside a word', async () => {
    await add(ADA, '明日は東京タワーに行きます');
    await add(BOB, '我们明天在东京见面, Ada says 100%');
    await add(ADA, 'พรุ่งนี้เจอกัน');
    expect(await found('東京')).toEqual(['明日は東京タワーに行きます']);
    expect(await found('明')).toEqual(['我们明天在东京见面, Ada says 100%', '明日は東京タワーに行きます']);
    expect(await found('明', ADA)).toEqual(['明日は東京タワーに行きます']);
    expect(await found('明天 见面')).toEqual(['我们明天在东京见面, Ada says 100%']);
    expect(await found('says 东京')).toEqual(['我们明天在东京见面, Ada says 100%']);
    expect(await found('say 东京')).toEqual([]); // only the last word may be a beginning
    expect(await found('东京 say')).toEqual(['我们明天在东京见面, Ada says 100%']);
    expect(await found('เจอ')).toEqual(['พรุ่งนี้เจอกัน']);
    expect(await found('京%')).toEqual([]); // a sign like any other
    const [hit] = await store.conversations.search(soughtBy('东京') ?? { match: null, within: [] }, null, 1);
    expect(hit?.excerpt).toBe('我们明天在\u2068东京\u2069见面, Ada says 100%');
  });

  test('follows edits, and what is deleted leaves the index', async () => {
    const id = await add(ADA, 'first words');
    await store.write([store.messages.edit(ADA, 'in', id, 'second thoughts', 9)]);
    expect(await found('first')).toEqual([]);
    expect(await found('thoughts')).toEqual(['second thoughts']);
    await store.write(store.messages.takeBack(ADA, 'in', id, 9));
    expect(await found('thoughts')).toEqual([]);
    const [row] = await database.read({ sql: `SELECT count(*) AS n FROM message_text WHERE message_text MATCH 'thoughts'` });
    expect(row?.['n']).toBe(0);
    await database.write([{ sql: `INSERT INTO message_text (message_text, rank) VALUES ('integrity-check', 1)` }]); // raises when index and text differ
  });

  test('nothing that a person types is syntax', async () => {
    await add(ADA, 'near the end AND not "quoted" * (here) col:umn');
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('"', 'a"b', 'NEAR(a b)', 'text:a', 'a AND', '* a', '^a', '-a', '{a}', "a'", '東%', '東_\\', '東"')), async (query) => {
        await found(query);
      }),
      { numRuns: 300 },
    );
    expect(await found('"quoted"')).toHaveLength(1);
    expect(await found('AND')).toHaveLength(1);
  });
});

describe('states and counts', () => {
  test('whatever order answers and receipts come in, a message only goes forward', async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(['sent', 'delivered', 'read'] as const, { minLength: 1 }), async (order) => {
        const id = await add(ADA, 'mine', { direction: 'out', state: 'queued' });
        const seq = (await store.messages.get(ADA, id))?.seq ?? 0;
        for (const state of order) {
          await store.write([state === 'sent' ? store.messages.setState(seq, 'sent', null, 1) : store.messages.setReceipt(ADA, state, [id])]);
        }
        const best = order.includes('read') ? 'read' : order.includes('delivered') ? 'delivered' : 'sent';
        expect((await store.messages.get(ADA, id))?.state).toBe(best);
      }),
      { numRuns: 40 },
    );
  });

  test('unread is what is there and unread, after anything (a model of sets)', async () => {
    type Command = { readonly kind: 'arrive' | 'read' | 'delete' | 'takeBack' | 'expire'; readonly at: number };
    const command = fc.record({ kind: fc.constantFrom<Command['kind']>('arrive', 'arrive', 'read', 'delete', 'takeBack', 'expire'), at: fc.nat(10) });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
        await store.write(store.messages.removeAll(ADA));
        const unread = new Map<string, number>();
        const all: string[] = [];
        for (const { kind, at } of commands) {
          const id = all[at % Math.max(1, all.length)] ?? '';
          const message = await store.messages.get(ADA, id);
          if (kind === 'arrive') {
            const arrived = await add(ADA, 'x', { timerS: 5 });
            all.push(arrived);
            unread.set(arrived, (await store.messages.get(ADA, arrived))?.seq ?? 0);
          } else if (kind === 'read') {
            const upTo = message?.seq ?? 0;
            await store.write([store.conversations.markRead(ADA, upTo, 100)]);
            for (const [one, seq] of unread) if (seq <= upTo) unread.delete(one);
          } else if (kind === 'delete') {
            await store.write(store.messages.remove(ADA, id));
            unread.delete(id);
          } else if (kind === 'takeBack') {
            await store.write(store.messages.takeBack(ADA, 'in', id, 100));
            unread.delete(id);
          } else await store.write(store.messages.removeExpired(1_000));
          expect(await store.conversations.unread(ADA)).toBe(unread.size);
          expect((await store.conversations.get(ADA))?.unread).toBe(unread.size);
        }
      }),
      { numRuns: 40 },
    );
  });
});

test('every value a column may not hold is refused by the database itself', async () => {
  const wrong: Record<string, SqlValue> = { contentId: 'x', peer: ADA, direction: 'sideways', kind: 'text', text: null, sentAt: 1, state: 'received' };
  await expect(store.write([{ sql: `INSERT INTO message (content_id, peer, direction, kind, text, sent_at, state) VALUES (:contentId, :peer, :direction, :kind, :text, :sentAt, :state)`, params: wrong }])).rejects.toThrow();
});
