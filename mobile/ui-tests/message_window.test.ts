/** The window over a conversation: every message once and in order, whatever is scrolled, and never more than a few hundred. */
import { MessageWindow, MOST_PAGES, PAGE } from '../src/ui/state/message_window';
import { FakeMessenger } from '../src/ui/scenes/fake_messenger';
import { worldOf } from '../src/ui/scenes/scenes';
import { blankMessage } from '../src/ui/scenes/world';

function conversation(count: number, rowOf: (at: number) => number = (at) => at + 1): { fake: FakeMessenger; peer: string; window: MessageWindow; asked: () => number } {
  const world = worldOf('en');
  const person = world.people[0];
  if (!person) throw new Error('nobody');
  person.messages = Array.from({ length: count }, (_, at) => ({ ...blankMessage(rowOf(at), `e${at}`, at * 60), text: `${at}` }));
  const fake = new FakeMessenger(world);
  const { peer } = person.contact;
  let asked = 0;
  const counting = {
    messages: (...input: Parameters<FakeMessenger['messages']>) => {
      asked += 1;
      return fake.messages(...input);
    },
  };
  return { fake, peer, window: new MessageWindow(counting, peer), asked: () => asked };
}

const rows = (window: MessageWindow): number[] => window.view().messages.map(({ row }) => row);

function expectWhole(window: MessageWindow, rowOf: (at: number) => number): void {
  const indices = rows(window).map((row) => Math.round((row - rowOf(0)) / (rowOf(1) - rowOf(0))));
  expect(indices.findIndex((index, at) => at > 0 && index !== (indices[at - 1] ?? 0) - 1)).toBe(-1);
}

test('a hundred thousand messages: from the newest to the first and back, nothing skipped, memory flat', async () => {
  const total = 100_000;
  const { window } = conversation(total);
  await window.refresh();
  expect(rows(window)[0]).toBe(total);
  const seen = new Set(rows(window));
  let most = 0;
  while (window.view().older) {
    await window.loadOlder();
    for (const row of rows(window)) seen.add(row);
    most = Math.max(most, rows(window).length);
  }
  expect(seen.size).toBe(total);
  expect(most).toBeLessThanOrEqual(MOST_PAGES * PAGE);
  expect(rows(window).at(-1)).toBe(1);
  expect(window.view().atNewest).toBe(false);
  while (!window.view().atNewest) {
    await window.loadNewer();
    expect(rows(window).length).toBeLessThanOrEqual(MOST_PAGES * PAGE);
    expectWhole(window, (at) => at + 1);
  }
  expect(rows(window)[0]).toBe(total);
}, 120_000);

test('the newest costs one question, however long the conversation is', async () => {
  const { window, asked } = conversation(100_000);
  await window.refresh();
  expect(asked()).toBe(1);
});

test('a new message shows at the bottom and none is doubled', async () => {
  const { window, fake, peer } = conversation(130);
  await window.refresh();
  await window.loadOlder();
  await window.loadOlder();
  fake.arrive(peer, 'new');
  await window.refresh();
  expect(window.view().messages[0]?.text).toBe('new');
  expect(new Set(rows(window)).size).toBe(rows(window).length);
  expect(rows(window).at(-1)).toBe(1);
});

test('after the newest was let go, what arrives does not move what is on the screen', async () => {
  const { window, fake, peer } = conversation(1000);
  await window.refresh();
  for (let turn = 0; turn < 10; turn += 1) await window.loadOlder();
  const before = rows(window);
  fake.arrive(peer, 'new');
  await window.refresh();
  expect(rows(window)).toEqual(before);
  await window.toNewest();
  expect(window.view().messages[0]?.text).toBe('new');
});

test.each([1, 7, 400])('from a message in the middle on to the newest, rows %i apart', async (apart) => {
  const rowOf = (at: number): number => 1 + at * apart;
  const { window } = conversation(900, rowOf);
  await window.refresh();
  await window.toRow(rowOf(300));
  expect(rows(window)[0]).toBe(rowOf(300));
  for (let turn = 0; turn < 2000 && !window.view().atNewest; turn += 1) {
    await window.loadNewer();
    expectWhole(window, rowOf);
  }
  expect(rows(window)[0]).toBe(rowOf(899));
});

test('a failure is told and keeps what was there', async () => {
  const { window, fake } = conversation(80);
  await window.refresh();
  fake.failures.set('messages', 'database');
  await window.loadOlder();
  expect(window.view().error).toBe('database');
  expect(rows(window)).toHaveLength(50);
  await window.loadOlder();
  expect(window.view().error).toBeNull();
  expect(rows(window)).toHaveLength(80);
});
