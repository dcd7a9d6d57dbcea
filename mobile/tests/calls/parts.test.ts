/** What calls are made of, each by itself: descriptions, candidates, signals, credentials, the log. */
import path from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import type { Signal } from '../../src/core/calls/events.ts';
import { permittedCandidate, voiceSdp } from '../../src/core/calls/sdp.ts';
import { decodeSignal, encodeSignal } from '../../src/core/calls/signals.ts';
import { TurnKeeper } from '../../src/core/calls/turn_keeper.ts';
import { Malformed, RelayRefused, RelayUnreachable } from '../../src/core/errors.ts';
import type { Database } from '../../src/core/ports.ts';
import type { TurnCredentials } from '../../src/core/relay_api.ts';
import { RelayTime } from '../../src/core/relay_time.ts';
import { MOST_CALLS } from '../../src/core/storage/calls.ts';
import { openSchema } from '../../src/core/storage/schema.ts';
import { Store } from '../../src/core/storage/store.ts';
import { CALL_TYPES } from '../../src/core/wire/call.ts';
import { openDatabase } from '../../src/node/database.ts';
import { followState } from '../../src/node/peer_connections.ts';
import { readWav, resampled, wav } from '../../src/node/sound.ts';
import { removeDirectory, temporaryDirectory, TEST_KEY } from '../support/clients.ts';
import { ManualClock, steadyRandom } from '../support/scripted.ts';

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, '0').toUpperCase()).join(':');
const CALL = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01';

/** As libwebrtc writes it, shortened. */
const OFFER = [
  'v=0',
  'o=- 6539579611284817404 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'a=extmap-allow-mixed',
  'a=msid-semantic: WMS',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 126',
  'c=IN IP4 198.51.100.7',
  'a=rtcp:9 IN IP4 0.0.0.0',
  'a=candidate:1 1 udp 2122260223 198.51.100.7 50000 typ host',
  'a=ice-ufrag:XEnj',
  'a=ice-pwd:c1G3IH+x+w3G3AhIwboVpUBp',
  'a=ice-options:trickle',
  `a=fingerprint:sha-256 ${FINGERPRINT}`,
  'a=setup:actpass',
  'a=mid:0',
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'a=sendrecv',
  'a=msid:- c770b9b9-ef13-42b2-b419-f6792813d828',
  'a=rtcp-mux',
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1',
  'a=rtpmap:63 red/48000/2',
  'a=rtpmap:0 PCMU/8000',
  'a=ssrc:2661904683 cname:XoqAO/ZVy+U97au6',
  '',
].join('\r\n');

describe('descriptions', () => {
  const voice = voiceSdp(OFFER);

  test('Opus alone, constant, without gaps, without header extensions and addresses', () => {
    expect(voice).toContain('m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n');
    expect(voice).toContain('useinbandfec=1;usedtx=0;cbr=1;maxaveragebitrate=32000');
    expect(voice).toContain('a=ptime:60\r\n');
    for (const gone of ['extmap', 'candidate', '198.51.100.7', 'PCMU', 'red/', 'usedtx=1', 'transport-cc']) expect(voice).not.toContain(gone);
    for (const kept of ['a=ice-ufrag:XEnj', `a=fingerprint:sha-256 ${FINGERPRINT}`, 'a=setup:actpass', 'cname:XoqAO']) expect(voice).toContain(kept);
  });

  test('the same again is the same', () => expect(voiceSdp(voice)).toBe(voice));

  test.each([
    ['no fingerprint', /a=fingerprint.*\r\n/, ''],
    ['a weaker fingerprint', /sha-256/, 'sha-1'],
    ['no password', /a=ice-pwd.*\r\n/, ''],
    ['no Opus', /opus/, 'speex'],
    ['a second medium', /a=rtcp-mux/, 'm=video 9 UDP/TLS/RTP/SAVPF 96'],
  ])('%s is refused', (_what, part, instead) => expect(() => voiceSdp(OFFER.replace(part, instead))).toThrow(Malformed));

  test('nothing gets through that was not looked for', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.nat(25), (line, at) => {
        const lines = OFFER.split('\r\n');
        lines.splice(at, 0, `a=x-${line.replace(/[\r\n]/g, '')}`);
        expect(voiceSdp(lines.join('\r\n'))).toBe(voice);
      }),
    );
  });
});

describe('candidates', () => {
  const make = (candidate: string) => ({ candidate, mid: '0', line: 0 });
  const relay = 'candidate:1029 1 udp 41688831 203.0.113.7 27916 typ relay raddr 198.51.100.7 rport 50000 generation 0 ufrag yFUp network-id 3';

  test('of a relayed one the address behind it is blotted out, and what else was said of the network', () => {
    expect(permittedCandidate(make(relay), true)?.candidate).toBe('candidate:1029 1 udp 41688831 203.0.113.7 27916 typ relay raddr 0.0.0.0 rport 0 generation 0');
  });

  test.each(['host', 'srflx', 'prflx', 'HOST', 'Srflx'])('%s does not leave in relay-only mode, and does in direct mode', (type) => {
    const other = make(relay.replace('typ relay', `typ ${type}`));
    expect(permittedCandidate(other, true)).toBeNull();
    expect(permittedCandidate(other, false)?.candidate).toContain(`typ ${type}`);
  });

  test('whatever a peer connection says, nothing but relayed candidates is sealed', () => {
    const types = fc.constantFrom('host', 'srflx', 'prflx', 'relay', 'typ relay', 'host typ relay', 'relay typ host', '');
    fc.assert(
      fc.property(fc.array(fc.record({ type: types, junk: fc.string({ maxLength: 40 }) }), { maxLength: 20 }), (made) => {
        const candidates = made.map(({ type, junk }) => make(`candidate:1 1 udp 1 198.51.100.7 5 typ ${type} ${junk}`));
        const said = JSON.stringify(encodeSignal({ call: CALL, type: 'ice', generation: 0, candidates }, true));
        expect(said.match(/typ (?!relay )/g)).toBeNull();
        expect(said.match(/raddr (?!0\.0\.0\.0 )/g)).toBeNull();
      }),
    );
  });
});

describe('signals', () => {
  const signals: readonly Signal[] = [
    { call: CALL, type: 'offer', generation: 0, sdp: voiceSdp(OFFER), at: 1_789_000_000_000 },
    { call: CALL, type: 'answer', generation: 3, sdp: voiceSdp(OFFER) },
    { call: CALL, type: 'ice', generation: 1, candidates: [{ candidate: 'candidate:1 1 udp 1 203.0.113.7 5 typ relay raddr 0.0.0.0 rport 0 generation 0', mid: '0', line: 0 }] },
    { call: CALL, type: 'restart', generation: 2 },
    { call: CALL, type: 'hangup', reason: 'declined' },
    { call: CALL, type: 'ended', at: 1_789_000_000_000 },
    { call: CALL, type: 'ringing' },
    { call: CALL, type: 'busy' },
  ];

  test('each one comes back as it was', () => {
    expect(signals.map(({ type }) => type).sort()).toEqual([...CALL_TYPES].sort());
    for (const signal of signals) expect(decodeSignal(JSON.parse(JSON.stringify(encodeSignal(signal, true))))).toEqual(signal);
  });

  test('any data is a signal or Malformed, nothing else', () => {
    const data = fc.dictionary(fc.constantFrom('generation', 'sdp', 'at', 'candidates', 'reason', 'x'), fc.jsonValue());
    fc.assert(
      fc.property(fc.constantFrom(...CALL_TYPES), data, (type, fields) => {
        try {
          decodeSignal({ call: CALL, type, data: fields as Record<string, unknown> });
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
    );
  });
});

describe('on disk', () => {
  const directory = temporaryDirectory();
  let database: Database;
  let store: Store;

  beforeAll(async () => {
    database = openDatabase(path.join(directory, 'messages.db'), TEST_KEY);
    await openSchema(database);
    store = new Store(database);
  });
  beforeEach(() => store.write([{ sql: 'DELETE FROM call_log' }, { sql: 'DELETE FROM message' }, { sql: 'DELETE FROM setting' }]));
  afterAll(async () => {
    await database.close();
    removeDirectory(directory);
  });

  const row = { id: CALL, peer: 'bob', outgoing: false, startedAt: 100, connectedAt: null, endedAt: null, outcome: null } as const;

  test('a call is one row and one line, however often and late it is told', async () => {
    await store.write(store.calls.record(row, 100));
    expect(await store.calls.open()).toEqual([row]);
    expect(await store.messages.all('bob')).toEqual([]);
    await store.write(store.calls.record({ ...row, endedAt: 160, outcome: 'missed' }, 160));
    await store.write(store.calls.record({ ...row, connectedAt: 120, endedAt: 170, outcome: 'answered' }, 170));
    await store.write(store.calls.record(row, 180));
    expect(await store.calls.all()).toEqual([{ ...row, endedAt: 160, outcome: 'missed' }]);
    expect(await store.messages.all('bob')).toMatchObject([{ kind: 'call', callOutcome: 'missed', direction: 'in', readAt: null, sentAt: 100 }]);
    expect(await store.calls.open()).toEqual([]);
  });

  test('the same id of somebody else is another call', async () => {
    await store.write([...store.calls.record({ ...row, endedAt: 1, outcome: 'missed' }, 1), ...store.calls.record({ ...row, peer: 'eve', endedAt: 1, outcome: 'declined' }, 1)]);
    expect((await store.calls.all()).map(({ outcome }) => outcome).sort()).toEqual(['declined', 'missed']);
  });

  test('the log is bounded, and can be forgotten', async () => {
    const fill = Array.from({ length: MOST_CALLS }, (_, i) => ({
      sql: `INSERT INTO call_log VALUES ('bob', '${i}', 0, ${i}, NULL, ${i}, 'declined')`,
    }));
    await store.write(fill);
    for (let i = MOST_CALLS; i < MOST_CALLS + 20; i += 1) await store.write(store.calls.record({ ...row, id: `${i}`, startedAt: i, endedAt: i, outcome: 'declined' }, i));
    const all = await store.calls.all();
    expect([all.length, all[0]?.id]).toEqual([MOST_CALLS, `${MOST_CALLS + 19}`]);
    await store.write([store.calls.forgetAll()]);
    expect(await store.calls.all()).toEqual([]);
  });

  // --- credentials

  const HOUR_MS = 3_600_000;

  /** `refuses`: what the relay answers instead of credentials for twelve hours. */
  function keeper(refuses: (() => Error) | null = null) {
    const clock = new ManualClock();
    const asked: number[] = [];
    const credentials = (hours: number): TurnCredentials => ({ username: 'u', password: 'p', urls: ['turn:x'], expiresAt: Math.floor((clock.now() + hours * HOUR_MS) / 1000) });
    const fetch = async (): Promise<TurnCredentials> => {
      asked.push(clock.now());
      if (refuses) throw refuses();
      return credentials(12);
    };
    const turn = new TurnKeeper({ store, clock, random: steadyRandom, time: new RelayTime(clock), fetch, onTrouble: () => undefined });
    return { clock, asked, turn, credentials };
  }

  test('credentials are fetched some time after the start, kept, and fetched again long before they end', async () => {
    const { clock, asked, turn } = keeper();
    await turn.start();
    expect([asked, turn.current()]).toEqual([[], null]);
    await clock.advance(20_000);
    await until(() => turn.current() !== null && clock.pending === 1);
    expect(asked).toHaveLength(1);
    await clock.advance(2 * HOUR_MS); // before a quarter of the time nothing is asked
    expect(asked).toHaveLength(1);
    await clock.advance(7 * HOUR_MS); // by three quarters it has been
    await until(() => asked.length === 2);
    await turn.stop();
    expect(clock.pending).toBe(0);
  });

  test('what was kept is there at the next start, and is not used when it is about to end', async () => {
    const first = keeper();
    await store.write([store.account.setSetting('turn', first.credentials(12))]);
    await first.turn.start();
    expect(first.turn.current()).toEqual({ username: 'u', password: 'p', urls: ['turn:x'] });
    await first.clock.advance(1_000);
    expect(first.asked).toEqual([]);
    await first.turn.stop();
    const late = keeper();
    await store.write([store.account.setSetting('turn', late.credentials(0.1))]);
    await late.turn.start();
    expect(late.turn.current()).toBeNull();
    await late.turn.stop();
  });

  test.each([
    ['a relay without calls is asked again after hours', () => new RelayRefused(404, 'no_turn', null), HOUR_MS],
    ['a limit is kept to', () => new RelayRefused(429, 'rate_limited', 7_000), 6_900_000],
    ['a relay that is down is tried again, later and later', () => new RelayUnreachable('down'), 4_000],
  ])('%s', async (_what, error, quietMs) => {
    const { clock, asked, turn } = keeper(error);
    await turn.start();
    await clock.advance(20_000);
    await until(() => asked.length === 1 && clock.pending === 1);
    await clock.advance(quietMs);
    expect(asked).toHaveLength(1);
    await turn.stop();
    expect(clock.pending).toBe(0);
  });
});

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !done(); i += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(done()).toBe(true);
}

describe('sound in files', () => {
  test('what is written is read, at any rate', () => {
    const samples = Int16Array.from({ length: 1_000 }, (_, i) => Math.round(1_000 * Math.sin(i / 7)));
    expect(readWav(wav(samples, 22_050))).toEqual({ samples, rate: 22_050 });
    expect(resampled(samples, 24_000, 48_000)).toHaveLength(2_000);
  });

  test('what is no WAVE file is said to be none', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void expect(() => readWav(bytes)).toThrow('WAVE')));
  });
});

test('a state that was read too early is found without another event, and none is told twice or after the end', () => {
  vi.useFakeTimers();
  try {
    const native: Parameters<typeof followState>[0] = { connectionState: 'connected', onconnectionstatechange: null };
    const told: string[] = [];
    const end = followState(native, (state) => told.push(state));
    Object.assign(native, { connectionState: 'disconnected' });
    native.onconnectionstatechange?.();
    expect(told).toEqual([]); // never from within the binding's own call
    vi.advanceTimersByTime(1);
    native.onconnectionstatechange?.(); // of "connected", but the state there is still the old one
    vi.advanceTimersByTime(1);
    Object.assign(native, { connectionState: 'connected' });
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['disconnected', 'connected']);
    end();
    Object.assign(native, { connectionState: 'closed' });
    native.onconnectionstatechange?.();
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['disconnected', 'connected']);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
