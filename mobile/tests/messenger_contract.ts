/** What screens rely on, whoever answers: the core, the core behind a bridge, and the made-up one of pictures and component tests. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Change, MessageView, Messenger } from '../src/core/messenger.ts';
import { until } from './support/clients.ts';

export interface Side {
  readonly messenger: Messenger;
  /** A contact, not verified. */
  readonly peer: string;
  /** The contact writes; resolves when it is there. */
  hear(text: string): Promise<void>;
  close(): Promise<void>;
}

export function messengerContract(name: string, open: () => Promise<Side>): void {
  describe(name, () => {
    let side: Side;
    let messenger: Messenger;
    let peer: string;
    const changes: Change[] = [];
    const all = async (): Promise<readonly MessageView[]> => (await messenger.messages(peer, { before: null, limit: 500 })).messages;
    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'nothing was thrown',
        (error: { code?: string }) => error.code ?? 'no code',
      );

    beforeAll(async () => {
      side = await open();
      ({ messenger, peer } = side);
      messenger.subscribe((change) => changes.push(change));
    });
    afterAll(() => side?.close());

    test('what is written is there at once, as one’s own, and its line among the conversations', async () => {
      const id = await messenger.send(peer, { text: 'one', quotes: null });
      expect((await all()).at(-1)).toMatchObject({ id, kind: 'text', mine: true, text: 'one', quote: null, edited: false, reactions: [] });
      expect((await messenger.conversations({ archived: false }))[0]).toMatchObject({ peer, preview: { kind: 'text', mine: true, text: 'one' } });
      await until('a change was told', () => changes.some((change) => change.topic === 'conversation' && change.peer === peer));
    });

    test('what is heard is unread until it was seen, and is told as a message', async () => {
      await side.hear('two');
      await until('it counts', async () => (await messenger.conversation(peer)).unread === 1);
      await until('it was told', () => changes.some((change) => change.topic === 'message' && change.peer === peer));
      await messenger.markRead(peer, (await all()).at(-1)?.row ?? 0);
      expect((await messenger.conversation(peer)).unread).toBe(0);
    });

    test('pages ascend, hang together by their cursors and hold every message once', async () => {
      for (let n = 0; n < 7; n += 1) await messenger.send(peer, { text: `page ${n}`, quotes: null });
      const whole = (await all()).map(({ row }) => row);
      expect(whole).toEqual([...whole].sort((a, b) => a - b));
      const chained: number[] = [];
      let before: number | null = null;
      do {
        const page: Awaited<ReturnType<Messenger['messages']>> = await messenger.messages(peer, { before, limit: 3 });
        expect(page.messages.length).toBeLessThanOrEqual(3);
        chained.unshift(...page.messages.map(({ row }) => row));
        before = page.before;
      } while (before !== null);
      expect(chained).toEqual(whole);
    });

    test('quoting, correcting, reacting, taking back', async () => {
      const heard = (await all()).find(({ text }) => text === 'two')?.id ?? '';
      const id = await messenger.send(peer, { text: 'answer', quotes: heard });
      expect((await all()).at(-1)?.quote).toEqual({ id: heard, mine: false, text: 'two' });
      await messenger.edit(peer, id, 'better answer');
      expect((await all()).at(-1)).toMatchObject({ text: 'better answer', edited: true });
      expect(await codeOf(messenger.edit(peer, heard, 'mine now'))).toBe('not_yours');
      await messenger.react(peer, heard, '👍');
      await messenger.react(peer, heard, '❤️');
      expect((await all()).find((message) => message.id === heard)?.reactions).toEqual([{ emoji: '❤️', mine: true }]);
      await messenger.react(peer, heard, null);
      expect((await all()).find((message) => message.id === heard)?.reactions).toEqual([]);
      await messenger.deleteForEveryone(peer, id);
      expect((await all()).find((message) => message.id === id)).toMatchObject({ kind: 'deleted', text: null });
      await messenger.deleteForMe(peer, [id]);
      expect((await all()).some((message) => message.id === id)).toBe(false);
    });

    test('search marks the match', async () => {
      const [hit] = await messenger.search('two', { peer: null, limit: 10 });
      expect(hit).toMatchObject({ peer, message: { text: 'two' } });
      expect(hit?.excerpt).toContain('\u2068two\u2069');
    });

    test('draft, archive, mute, timer', async () => {
      await messenger.setDraft(peer, 'half a sen');
      expect((await messenger.conversation(peer)).draft).toBe('half a sen');
      await messenger.setDraft(peer, '');
      await messenger.setArchived(peer, true);
      expect((await messenger.conversations({ archived: true })).map((each) => each.peer)).toContain(peer);
      expect((await messenger.conversations({ archived: false })).map((each) => each.peer)).not.toContain(peer);
      await messenger.setArchived(peer, false);
      const until = Math.floor(Date.now() / 1000) + 100_000;
      await messenger.mute(peer, until);
      expect((await messenger.contact(peer)).mutedUntil).toBe(until);
      await messenger.mute(peer, null);
      await messenger.setTimer(peer, 3600);
      expect((await messenger.conversation(peer)).timerS).toBe(3600);
      expect((await all()).at(-1)).toMatchObject({ kind: 'timer', mine: true, timerS: 3600 });
      await messenger.setTimer(peer, 0);
    });

    test('safety number, its code, and the mark', async () => {
      const { groups, code } = await messenger.safetyNumber(peer);
      expect(groups).toHaveLength(12);
      expect(groups.every((group) => /^\d{5}$/.test(group))).toBe(true);
      expect(code).not.toBe('');
      await messenger.setVerified(peer, true);
      expect(await messenger.contact(peer)).toMatchObject({ verified: true, identity: 'same' });
      await messenger.setVerified(peer, false);
      expect((await messenger.conversation(peer)).verified).toBe(false);
    });

    test('own card, foreign nonsense, strangers', async () => {
      expect(await codeOf(messenger.addByCard(await messenger.card(), true))).toBe('own_card');
      expect(await codeOf(messenger.addByCard('nonsense', false))).toBe('bad_link');
      expect(await codeOf(messenger.inspectInvite('nonsense'))).toBe('bad_link');
      expect(await codeOf(messenger.contact('0198f2d4-0000-7000-8000-00000000dead'))).toBe('no_contact');
    });

    test('names, settings, recovery code', async () => {
      await messenger.setContactName(peer, 'Neighbour');
      expect((await messenger.contact(peer)).name).toBe('Neighbour');
      await messenger.setContactName(peer, null);
      expect((await messenger.contact(peer)).name).not.toBe('Neighbour');
      const before = await messenger.settings();
      expect(await messenger.changeSettings({ typing: !before.typing })).toEqual({ ...before, typing: !before.typing });
      const code = await messenger.recoveryCode();
      expect(await codeOf(messenger.confirmRecoveryCode('nonsense'))).toBe('mistyped_code');
      expect(code.replace(/[\s-]/g, '')).toHaveLength(56);
      expect(await messenger.confirmRecoveryCode(` ${code.toLowerCase()} `)).toBe(true);
      expect((await messenger.account())?.recoveryConfirmed).toBe(true);
    });

    test('whoever is blocked is not written to', async () => {
      await messenger.block(peer);
      expect(await codeOf(messenger.send(peer, { text: 'no', quotes: null }))).toBe('blocked');
      expect((await messenger.conversation(peer)).blocked).toBe(true);
      await messenger.unblock(peer);
      await messenger.send(peer, { text: 'yes', quotes: null });
    });

    test('no call, and none can be answered', async () => {
      expect(await messenger.call()).toBeNull();
      expect(await messenger.calls()).toEqual([]);
    });
  });
}
