/** Run by `npm run test:relay`: real relay, real libsignal, real SQLCipher, the command line as people use it. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { CommandLine } from '../support/command_line.ts';
import { removeDirectory, temporaryDirectory, until } from '../support/clients.ts';
import { beyondOneTimeKeys, converse, withTwoMembers } from './conversation.ts';
import { startRealRelay } from './real_relay.ts';
import type { RealRelay } from './real_relay.ts';

let relay: RealRelay;

beforeAll(async () => {
  relay = await startRealRelay({ posts_burst: '1000' });
}, 120_000);

afterAll(() => relay?.stop());

test('two members talk through the real relay', () => withTwoMembers(relay, (ada, bob) => converse(ada, bob, 40)));

test('long texts, other scripts and control characters arrive as they were', () =>
  withTwoMembers(relay, async (ada, bob) => {
    await ada.client.addContact(await bob.client.card());
    const texts = ['x'.repeat(900), 'y'.repeat(4_000), 'z'.repeat(20_000), 'Grüße 👩‍👩‍👧 \u0000\n" \\ ﷽'];
    for (const text of texts) await ada.client.send('Bob', text);
    await bob.client.start({ receive: true });
    await until('Bob reads them', async () => (await bob.texts()).length === texts.length);
    expect(await bob.texts()).toEqual(texts);
  }));

test('more people than one-time keys begin a conversation with one member', () => beyondOneTimeKeys(relay));

test('a relay killed in mid-conversation loses nothing and repeats nothing', async () => {
  if (process.env['SOTTOVOCE_RELAY_URL'] !== undefined) return; // somebody else's relay is not killed
  await withTwoMembers(relay, async (ada, bob) => {
    await converse(ada, bob, 1);
    const before = (await bob.texts()).length;
    const sent: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      sent.push(`during ${i}`);
      await ada.client.send('Bob', `during ${i}`);
      if (i === 15) await relay.crash();
    }
    await until('all of it arrives', async () => (await bob.texts()).length >= before + sent.length, 90_000);
    await until('the outbox is empty', async () => (await ada.client.store.outbox.peers()).length === 0, 90_000);
    expect((await bob.texts()).slice(before)).toEqual(sent);
    expect((await bob.client.store.messages.counts()).undecryptable).toBe(0);
  });
});

test('the command line: join, exchange links, send, watch, answer, history', async () => {
  const [adaDir, bobDir] = [temporaryDirectory(), temporaryDirectory()];
  try {
    const [ada, bob] = [new CommandLine(adaDir), new CommandLine(bobDir)];
    await ada.run(['join', await relay.invite(), '--name', 'Ada']);
    const joined = await bob.run(['join', await relay.invite(), '--name', 'Bob', '--json']);
    const { card } = joined.objects[0] as { card: string };
    await ada.run(['add', card]);
    expect((await ada.run(['send', 'Bob', 'hello from a terminal', '--wait'])).out).toBe('sent\n');
    const watching = bob.spawn(['watch', '--json']);
    const message = await watching.event('message');
    expect(message).toMatchObject({ text: 'hello from a terminal', name: 'Ada' });
    watching.write({ send: { to: 'Ada', text: 'and back' }, ref: 'r1' });
    expect(await watching.event('queued')).toMatchObject({ ref: 'r1' });
    expect(await watching.event('sent')).toMatchObject({ ref: 'r1' });
    expect((await bob.run(['status'], 0)).out).toContain('sent 1'); // readers work beside it
    watching.write({ stop: true });
    expect(await watching.exited()).toBe(0);
    expect((await ada.run(['watch', '--exit-when-drained'])).out).toContain('Bob: and back');
    const history = await ada.run(['history', 'Bob', '--json']);
    expect(history.objects.map((line) => (line as { text: string }).text)).toEqual(['hello from a terminal', 'and back']);
  } finally {
    for (const directory of [adaDir, bobDir]) removeDirectory(directory);
  }
});
