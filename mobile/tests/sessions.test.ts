/** Mailbox and post sessions on a clock that moves by hand. */
import { beforeEach, describe, expect, test } from 'vitest';

import { afterEnding, backoffMs } from '../src/core/backoff.ts';
import { MailboxConnection } from '../src/core/mailbox_connection.ts';
import type { MailboxEvent } from '../src/core/mailbox_connection.ts';
import { decide, isFresh } from '../src/core/outbox.ts';
import type { Decision } from '../src/core/outbox.ts';
import { PostConnection } from '../src/core/post_connection.ts';
import type { PostAnswer } from '../src/core/post_connection.ts';
import { RelayTime } from '../src/core/relay_time.ts';
import { ManualClock, ScriptedSockets, settle, steadyRandom } from './support/scripted.ts';

const id = (n: number): string => `019535d9-3df7-7000-8000-${n.toString().padStart(12, '0')}`;
const deliver = (...numbers: number[]) => ({ type: 'deliver', envelopes: numbers.map((n) => ({ id: id(n), at: 1, body: '' })) });

let clock: ManualClock;
let sockets: ScriptedSockets;

beforeEach(() => {
  clock = new ManualClock();
  sockets = new ScriptedSockets();
});

describe('mailbox session', () => {
  let events: MailboxEvent[];
  let stored: string[];
  let hold: ((value: unknown) => void)[];
  let failAt: string | null;
  let holding: boolean;
  let connection: MailboxConnection;

  beforeEach(() => {
    [events, stored, hold, failAt, holding] = [[], [], [], null, false];
    connection = new MailboxConnection({
      sockets: sockets.identified,
      clock,
      random: steadyRandom,
      time: new RelayTime(clock),
      url: 'wss://relay.example/v1/mailbox',
      authorization: 'Bearer x.y',
      receive: async (envelope) => {
        if (holding) await new Promise((resolve) => hold.push(resolve));
        if (envelope.id === failAt) throw new Error('disk full');
        stored.push(envelope.id);
      },
      receiveSignal: async (signal) => {
        if (signal.id === failAt) throw new Error('disk full');
        stored.push(signal.id);
      },
      onEvent: (event) => events.push(event),
    });
    connection.start();
  });

  test('the ack leaves after the envelope is stored, never before, and once', async () => {
    holding = true;
    sockets.last.hello();
    sockets.last.says(deliver(1, 2));
    await settle();
    expect(sockets.last.sent).toEqual([]);
    hold.shift()?.(null);
    await settle();
    expect(sockets.last.sent).toEqual([]); // the second is still being stored; both go in one ack
    hold.shift()?.(null);
    await settle();
    expect(sockets.last.sent).toEqual([{ type: 'ack', ids: [id(1), id(2)] }]);
  });

  test('drained is told after everything before it is stored', async () => {
    holding = true;
    sockets.last.hello();
    sockets.last.says(deliver(1));
    sockets.last.says({ type: 'drained' });
    await settle();
    expect(events).toEqual([{ kind: 'connecting' }, { kind: 'live' }]);
    hold.shift()?.(null);
    await settle();
    expect(events).toEqual([{ kind: 'connecting' }, { kind: 'live' }, { kind: 'drained' }]);
  });

  test('frames that come in one turn are all worked on', async () => {
    sockets.last.hello();
    sockets.last.says({ type: 'prekeys_low', prekeys: 1, kyber_prekeys: 1 });
    sockets.last.says({ type: 'drained' });
    sockets.last.says(deliver(1));
    await settle();
    expect(events).toEqual([{ kind: 'connecting' }, { kind: 'live' }, { kind: 'prekeys_low' }, { kind: 'drained' }]);
    expect(stored).toEqual([id(1)]);
  });

  test('a frame is worked on however few turns it comes after the last one', async () => {
    sockets.last.hello();
    for (let turns = 0; turns < 20; turns += 1) {
      sockets.last.says({ type: 'prekeys_low', prekeys: 1, kyber_prekeys: 1 });
      for (let i = 0; i < turns; i += 1) await Promise.resolve();
      sockets.last.says(deliver(turns));
      await settle();
      expect(stored.at(-1)).toBe(id(turns));
    }
  });

  test('what cannot be stored is not acknowledged: the session ends and it is delivered again', async () => {
    failAt = id(2);
    const first = sockets.last;
    first.hello();
    first.says(deliver(1, 2, 3));
    await settle();
    expect(first.sent).toEqual([{ type: 'ack', ids: [id(1)] }]);
    expect(first.closedWith).toBe(1000);
    expect(events).toContainEqual({ kind: 'trouble', what: 'a message could not be stored: disk full' });
    failAt = null;
    await clock.advance(2_000);
    expect(sockets.opened).toHaveLength(2);
    sockets.last.hello();
    sockets.last.says(deliver(2, 3));
    await settle();
    expect(sockets.last.sent).toEqual([{ type: 'ack', ids: [id(2), id(3)] }]);
  });

  test('an envelope that was being stored when the session ended is not acknowledged on the next one', async () => {
    holding = true;
    const first = sockets.last;
    first.hello();
    first.says(deliver(1));
    await settle();
    first.ends(1006);
    await clock.advance(2_000);
    const second = sockets.last;
    second.hello();
    second.says(deliver(1, 2));
    hold.shift()?.(null);
    await settle();
    expect(second.sent).toEqual([]); // envelope 1 came again, and is being looked at again
    hold.shift()?.(null);
    await settle();
    hold.shift()?.(null);
    await settle();
    expect(second.sent).toEqual([{ type: 'ack', ids: [id(1), id(2)] }]);
  });

  test('ping is answered with the same number', () => {
    sockets.last.hello();
    sockets.last.says({ type: 'ping', n: 7 });
    expect(sockets.last.sent).toEqual([{ type: 'pong', n: 7 }]);
  });

  test('signals are settled after everything that waited, then at once, and acknowledged', async () => {
    const signal = (n: number) => ({ type: 'signal', id: id(n), body: '', ttl_s: 9 });
    sockets.last.hello();
    sockets.last.says(signal(9));
    sockets.last.says(deliver(1));
    await settle();
    expect(stored).toEqual([id(1)]); // it might ring for a call that the mail says is over
    sockets.last.says({ type: 'drained' });
    sockets.last.says(signal(10));
    await settle();
    expect(stored).toEqual([id(1), id(9), id(10)]);
    expect(sockets.last.sent).toEqual([1, 9, 10].map((n) => ({ type: 'ack', ids: [id(n)] })));
  });

  test('a signal that could not be stored is not acknowledged, and the session goes on', async () => {
    failAt = id(9);
    sockets.last.hello();
    sockets.last.says({ type: 'drained' });
    sockets.last.says({ type: 'signal', id: id(9), body: '', ttl_s: 9 });
    sockets.last.says(deliver(1));
    await settle();
    expect(sockets.last.sent).toEqual([{ type: 'ack', ids: [id(1)] }]);
    expect(sockets.last.closedWith).toBeNull();
  });

  test('a relay that falls silent is given up after its own ping and answer times', async () => {
    sockets.last.hello();
    await clock.advance(39_000);
    sockets.last.says({ type: 'ping', n: 1 });
    await clock.advance(39_000);
    expect(sockets.opened).toHaveLength(1);
    await clock.advance(1_000);
    expect(sockets.last.closedWith).toBe(4000);
    await clock.advance(1_000);
    expect(sockets.opened).toHaveLength(2);
  });

  test('a relay that never says hello is given up, and tried with growing patience', async () => {
    for (const expected of [750, 1_500, 3_000, 6_000, 12_000]) {
      const before = sockets.opened.length;
      await clock.advance(20_000);
      const wait = events.findLast((event) => event.kind === 'reconnecting');
      expect(wait?.kind === 'reconnecting' && Math.abs(wait.inMs - expected) < expected / 100).toBe(true);
      expect(sockets.opened).toHaveLength(before);
      await clock.advance(expected + 100);
      expect(sockets.opened).toHaveLength(before + 1);
    }
  });

  test.each([
    [4409, null, 'superseded'],
    [4401, null, 'revoked'],
    [1006, 401, 'unauthorized'],
  ])('%i (HTTP %s): stopped, no reconnect', async (code, status, reason) => {
    sockets.last.hello();
    sockets.last.ends(code, status);
    await clock.advance(3_600_000);
    expect(sockets.opened).toHaveLength(1);
    expect(events.at(-1)).toEqual({ kind: 'stopped', reason });
  });

  test('a frame that breaks the protocol ends the session and is told without its values', async () => {
    sockets.last.hello();
    sockets.last.says('{"type":"deliver","envelopes":[{"id":"secret"}]}');
    expect(sockets.last.closedWith).toBe(4000);
    expect(events).toContainEqual({ kind: 'trouble', what: 'the relay sent a frame this app cannot read (frame.envelopes[0].id)' });
  });

  test('another protocol version is not spoken', () => {
    sockets.last.hello({ protocol: 2 });
    expect(sockets.last.closedWith).toBe(4000);
    expect(events.some(({ kind }) => kind === 'live')).toBe(false);
  });

  test('the token travels in the header of the identified lane', () => {
    expect(sockets.authorizations).toEqual(['Bearer x.y']);
    expect(sockets.last.url).not.toContain('x.y');
  });

  test('stop leaves no timer behind', async () => {
    sockets.last.hello();
    await connection.stop();
    expect(clock.pending).toBe(0);
    expect(sockets.last.closedWith).toBe(1000);
  });
});

describe('post session', () => {
  let connection: PostConnection;
  let time: RelayTime;
  const envelope = (n: number) => ({ id: id(n), to: id(1000), access: new Uint8Array(16), body: new Uint8Array(1024) });

  beforeEach(() => {
    time = new RelayTime(clock);
    connection = new PostConnection({ sockets: sockets.anonymous, clock, time, url: 'wss://relay.example/v1/post' });
  });

  async function answers(pending: Promise<readonly PostAnswer[]>): Promise<readonly PostAnswer[] | null> {
    let result: readonly PostAnswer[] | null = null;
    void pending.then((value) => (result = value));
    await settle();
    return result;
  }

  test('opened when there is something to post, and nothing leaves before hello', async () => {
    expect(sockets.opened).toHaveLength(0);
    const pending = connection.post([envelope(1), envelope(2)]);
    expect(sockets.last.sent).toEqual([]);
    sockets.last.hello();
    expect(sockets.last.sent).toHaveLength(1);
    sockets.last.says({ type: 'refused', id: id(2), code: 'mailbox_full', retry_after_s: 60, now: 1_795_000_000 });
    sockets.last.says({ type: 'posted', ids: [id(1)] });
    expect(await answers(pending)).toEqual([{ kind: 'posted' }, { kind: 'refused', code: 'mailbox_full', retryAfterS: 60 }]);
    expect(time.nowS()).toBe(1_795_000_000);
  });

  test('closed after a minute without use, and opened anew', async () => {
    const pending = connection.post([envelope(1)]);
    sockets.last.hello();
    sockets.last.says({ type: 'posted', ids: [id(1)] });
    await answers(pending);
    for (let s = 0; s < 59; s += 10) {
      await clock.advance(s === 50 ? 9_000 : 10_000);
      sockets.last.says({ type: 'ping', n: s });
    }
    expect(sockets.last.closedWith).toBeNull();
    await clock.advance(2_000);
    expect(sockets.last.closedWith).toBe(1000);
    expect(clock.pending).toBe(0);
    void connection.post([envelope(2)]);
    expect(sockets.opened).toHaveLength(2);
  });

  test('use puts the minute off', async () => {
    const first = connection.post([envelope(1)]);
    sockets.last.hello();
    sockets.last.says({ type: 'posted', ids: [id(1)] });
    await answers(first);
    await clock.advance(30_000);
    const second = connection.post([envelope(2)]);
    sockets.last.says({ type: 'posted', ids: [id(2)] });
    await answers(second);
    await clock.advance(39_000);
    expect(sockets.last.closedWith).toBeNull();
  });

  test.each([
    ['while connecting', false],
    ['while waiting for answers', true],
  ])('the session ends %s: every envelope is lost, none is left waiting', async (_when, greeted) => {
    const pending = connection.post([envelope(1), envelope(2)]);
    if (greeted) {
      sockets.last.hello();
      sockets.last.says({ type: 'posted', ids: [id(1)] });
    }
    sockets.last.ends(1012);
    expect(await answers(pending)).toEqual([greeted ? { kind: 'posted' } : { kind: 'lost', ending: 1012 }, { kind: 'lost', ending: 1012 }]);
    expect(clock.pending).toBe(0);
  });

  test('a relay that lives but does not answer is given up after half a minute', async () => {
    const pending = connection.post([envelope(1)]);
    sockets.last.hello();
    await clock.advance(20_000);
    sockets.last.says({ type: 'ping', n: 1 });
    await clock.advance(10_000);
    expect(await answers(pending)).toEqual([{ kind: 'lost', ending: 1000 }]);
  });
});

describe('decisions', () => {
  const refused = (code: string, retryAfterS: number | null = null): PostAnswer => ({ kind: 'refused', code, retryAfterS });

  test.each<[string, PostAnswer, number, Decision]>([
    ['posted', { kind: 'posted' }, 5, { kind: 'sent' }],
    ['lost', { kind: 'lost', ending: 1006 }, 0, { kind: 'retry', inS: 1 }],
    ['lost, later', { kind: 'lost', ending: 1006 }, 4, { kind: 'retry', inS: 12 }],
    ['lost, after very long', { kind: 'lost', ending: 1006 }, 1_000, { kind: 'retry', inS: 225 }],
    ['too many sessions', { kind: 'lost', ending: 4429 }, 0, { kind: 'retry', inS: 60 }],
    ['a bad frame', { kind: 'lost', ending: 4400 }, 0, { kind: 'retry', inS: 30 }],
    ['no_access', refused('no_access'), 0, { kind: 'block', reason: 'no_access' }],
    ['bad_size', refused('bad_size'), 0, { kind: 'fail', reason: 'bad_size' }],
    ['conflict', refused('conflict'), 0, { kind: 'reseal', inS: 0 }],
    ['clock_skew', refused('clock_skew'), 0, { kind: 'reseal', inS: 0 }],
    ['clock_skew without end', refused('clock_skew'), 3, { kind: 'reseal', inS: 6 }],
    ['mailbox_full', refused('mailbox_full', 60), 0, { kind: 'retry', inS: 60 }],
    ['mailbox_full without a time', refused('mailbox_full'), 0, { kind: 'retry', inS: 1 }],
    ['rate_limited for a year', refused('rate_limited', 31_536_000), 0, { kind: 'retry', inS: 3_600 }],
    ['unavailable', refused('unavailable', 7), 0, { kind: 'retry', inS: 7 }],
    ['what a newer relay says', refused('tired'), 0, { kind: 'retry', inS: 1 }],
  ])('%s', (_name, answer, attempts, decision) => expect(decide(answer, attempts, 0.5)).toEqual(decision));

  test('an envelope is sealed anew when its certificate runs out or its id grows old', () => {
    const now = 1_795_000_000;
    expect(isFresh(now + 3_600, now * 1000, now)).toBe(true);
    expect(isFresh(now + 299, now * 1000, now)).toBe(false);
    expect(isFresh(now + 80_000, (now - 41 * 3_600) * 1000, now)).toBe(false);
  });

  test('backoff grows to its bound, half of it at random', () => {
    expect([0, 1, 2, 20, 1_000].map((attempt) => backoffMs(attempt, 0))).toEqual([500, 1_000, 2_000, 30_000, 30_000]);
    expect(backoffMs(0, 1)).toBe(1_000);
  });

  test.each([
    [1006, 750],
    [1011, 750],
    [4408, 750],
    [1012, 1_750],
    [4400, 22_500],
    [4429, 45_000],
  ])('close code %i: again in %i ms', (code, inMs) => expect(afterEnding({ code, httpStatus: null }, 0, 0.5)).toEqual({ kind: 'again', inMs }));
});
