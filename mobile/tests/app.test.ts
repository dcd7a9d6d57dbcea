/** What two people do with their messages, through the interface that screens see, a fake relay between them. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { FakeRelay } from './relay/fake_relay.ts';
import { TestApp } from './support/apps.ts';
import { removeDirectory, until } from './support/clients.ts';

let relay: FakeRelay;
let ada: TestApp;
let bob: TestApp;
let [adaId, bobId] = ['', ''];

beforeEach(async () => {
  relay = await FakeRelay.start();
  [ada, bob] = [await TestApp.join(relay.invite(), 'Ada'), await TestApp.join(relay.invite(), 'Bob')];
  [adaId, bobId] = [await ada.id(), await bob.id()];
  await ada.app.addByCard(await bob.app.card(), false);
  await bob.app.addByCard(await ada.app.card(), false);
  await ada.app.start();
  await bob.app.start();
});

afterEach(async () => {
  for (const one of [ada, bob]) {
    await one.close();
    removeDirectory(one.directory);
  }
  await relay.stop();
});

const page = async (one: TestApp, peer: string) => (await one.app.messages(peer, { before: null, limit: 50 })).messages;
const last = async (one: TestApp, peer: string) => (await page(one, peer)).at(-1);

async function arrives(text: string, from = ada, to = bob): Promise<string> {
  const [fromId, toId] = [await from.id(), await to.id()];
  const id = await from.app.send(toId, { text, quotes: null });
  await until(`${text} arrives`, async () => (await page(to, fromId)).some((message) => message.id === id));
  return id;
}

test('text, quote, edit, reaction and delete for everyone come out on both sides alike', async () => {
  const id = await arrives('hello');
  const answer = await bob.app.send(adaId, { text: 'hello yourself', quotes: id });
  await until('the answer', async () => (await last(ada, bobId))?.id === answer);
  expect((await last(ada, bobId))?.quote).toEqual({ id, mine: true, text: 'hello' });
  expect((await last(bob, adaId))?.quote).toEqual({ id, mine: false, text: 'hello' });

  await ada.app.edit(bobId, id, 'hello, Bob');
  await until('the edit', async () => (await page(bob, adaId))[0]?.text === 'hello, Bob');
  expect((await page(bob, adaId))[0]).toMatchObject({ edited: true, text: 'hello, Bob' });
  expect((await page(ada, bobId))[0]).toMatchObject({ edited: true, text: 'hello, Bob' });

  await bob.app.react(adaId, id, '👍');
  await until('the reaction', async () => (await page(ada, bobId))[0]?.reactions.length === 1);
  expect((await page(ada, bobId))[0]?.reactions).toEqual([{ emoji: '👍', mine: false }]);
  await bob.app.react(adaId, id, '❤️');
  await until('another', async () => (await page(ada, bobId))[0]?.reactions[0]?.emoji === '❤️');
  await bob.app.react(adaId, id, null);
  await until('taken back', async () => (await page(ada, bobId))[0]?.reactions.length === 0);

  await ada.app.deleteForEveryone(bobId, id);
  await until('taken back', async () => (await page(bob, adaId))[0]?.kind === 'deleted');
  for (const messages of [await page(ada, bobId), await page(bob, adaId)]) {
    expect(messages[0]).toMatchObject({ kind: 'deleted', text: null, reactions: [] });
    expect(messages[1]?.quote?.text).toBeNull(); // nothing of it stays in what quoted it
  }
  expect(await bob.app.search('hello', { peer: null, limit: 10 })).toHaveLength(1);
  expect(JSON.stringify(await page(bob, adaId))).not.toContain('hello, Bob');
});

test('only own texts can be changed', async () => {
  const id = await arrives('mine');
  await expect(bob.app.edit(adaId, id, 'yours')).rejects.toMatchObject({ code: 'not_yours' });
  await expect(bob.app.deleteForEveryone(adaId, id)).rejects.toMatchObject({ code: 'not_yours' });
  await expect(ada.app.edit(bobId, 'no such id', 'x')).rejects.toMatchObject({ code: 'no_message' });
  await expect(ada.app.send('8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01', { text: 'x', quotes: null })).rejects.toMatchObject({ code: 'no_contact' });
});

test('what is not there yet says so, and pretends nothing', async () => {
  await expect(ada.app.startCall(bobId)).rejects.toMatchObject({ code: 'not_available' });
});
