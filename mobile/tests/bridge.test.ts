/** A Messenger on the other side of a loopback socket: every method, every kind of mistake, and nobody without the token. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { METHODS, parseRequest } from '../src/bridge/protocol.ts';
import type { Request } from '../src/bridge/protocol.ts';
import { serveMessenger, SUBPROTOCOL } from '../src/bridge/server.ts';
import type { Bridge } from '../src/bridge/server.ts';
import { CannotDo, Malformed } from '../src/core/errors.ts';
import type { Change, Messenger } from '../src/core/messenger.ts';
import { systemRandom } from '../src/node/machine.ts';
import { until } from './support/clients.ts';

type Told = Record<string, unknown>;

/** Notes what it was called with. */
function recorder() {
  const calls: { method: string; params: unknown[] }[] = [];
  const listeners = new Set<(change: Change) => void>();
  let release: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => {
    release = resolve;
  });
  const messenger = new Proxy(
    {},
    {
      get: (_target, method: string) => (...params: unknown[]) => {
        if (method === 'subscribe') {
          listeners.add(params[0] as (change: Change) => void);
          return () => listeners.delete(params[0] as (change: Change) => void);
        }
        calls.push({ method, params });
        if (method === 'retry') return Promise.reject(new CannotDo('not_yours', 'that is not your message'));
        if (method === 'probe') return Promise.reject(new TypeError('the secret is 4711'));
        if (method === 'search') return slow.then(() => []);
        return Promise.resolve(method === 'contacts' ? [{ peer: 'x' }] : undefined);
      },
    },
  ) as Messenger;
  return { messenger, calls, listeners, release: () => release() };
}

let world: ReturnType<typeof recorder>;
let bridge: Bridge;
const open: WebSocket[] = [];

beforeEach(async () => {
  world = recorder();
  bridge = await serveMessenger(world.messenger, { random: systemRandom });
});

afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  await bridge.close();
});

async function connect(token = bridge.token()): Promise<{ socket: WebSocket; told: Told[]; ask(request: unknown): Promise<Told> }> {
  const socket = new WebSocket(bridge.url, [SUBPROTOCOL, token]);
  open.push(socket);
  const told: Told[] = [];
  socket.on('message', (data) => told.push(JSON.parse((data as Buffer).toString('utf8')) as Told));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    told,
    async ask(request) {
      const before = told.length;
      socket.send(typeof request === 'string' ? request : JSON.stringify(request));
      await until('an answer', () => told.length > before);
      return told[before] ?? {};
    },
  };
}

const EXAMPLES: Partial<Record<Request['method'], unknown[]>> = {
  join: [{ invite: 'i', name: 'n', number: null }],
  recover: [{ invite: 'i', name: 'n', account: null, number: '+491701234567', recoveryCode: 'c' }],
  conversations: [{ archived: false }],
  messages: ['p', { before: null, limit: 50 }],
  search: ['q', { peer: null, limit: 5 }],
  send: ['p', { text: 't', quotes: null }],
  edit: ['p', 'm', 't'],
  deleteForMe: ['p', ['a', 'b']],
  react: ['p', 'm', null],
  markRead: ['p', 7],
  setTimer: ['p', 60],
  discover: [[{ number: '+491701234567', name: null }]],
  mute: ['p', null],
  addByCard: ['l', true],
  changeSettings: [{ typing: false }],
  setForeground: [true],
  ...Object.fromEntries(['setTyping', 'setArchived', 'setVerified', 'setMuted'].map((method) => [method, ['p', true]])),
  ...Object.fromEntries(['importArchive', 'deleteForEveryone', 'retry', 'setDraft', 'compareSafetyCode', 'setContactName'].map((method) => [method, ['p', 'x']])),
  ...Object.fromEntries(
    ['inspectInvite', 'confirmRecoveryCode', 'setName', 'exportArchive', 'conversation', 'deleteConversation', 'contact', 'acceptRequest', 'block', 'unblock', 'safetyNumber', 'confirmIdentity', 'startCall', 'answerCall', 'endCall'].map(
      (method) => [method, ['p']],
    ),
  ),
};

test('every method reaches the Messenger with its parameters', async () => {
  const { ask } = await connect();
  world.release();
  for (const [id, method] of METHODS.entries()) {
    const params = EXAMPLES[method] ?? [];
    const answer = await ask({ id, method, params });
    expect(answer['id'], method).toBe(id);
    expect(world.calls.at(-1), method).toEqual({ method, params });
    if (method !== 'retry' && method !== 'probe') expect(answer, method).toHaveProperty('result');
  }
  expect(await ask({ id: 1, method: 'contacts', params: [] })).toEqual({ id: 1, result: [{ peer: 'x' }] });
  expect(await ask({ id: 2, method: 'start' })).toEqual({ id: 2, result: null });
});

test('an error keeps its code; a fault says nothing of what it was', async () => {
  const { ask } = await connect();
  expect(await ask({ id: 1, method: 'retry', params: ['p', 'm'] })).toEqual({ id: 1, error: { code: 'not_yours', message: 'that is not your message' } });
  expect(await ask({ id: 2, method: 'probe', params: [] })).toEqual({ id: 2, error: { code: 'failed', message: 'something went wrong in the core' } });
});

test.each([
  ['not json', null],
  ['[]', null],
  ['null', null],
  [{ id: 1 }, 1],
  [{ id: 'x', method: 'start' }, null],
  [{ id: 1, method: 'subscribe', params: [] }, 1],
  [{ id: 1, method: 'toString', params: [] }, 1],
  [{ id: 1, method: '__proto__', params: [] }, 1],
  [{ id: 1, method: 'block', params: [] }, 1],
  [{ id: 1, method: 'block', params: [7] }, 1],
  [{ id: 1, method: 'block', params: ['p', 'q'] }, 1],
  [{ id: 1, method: 'send', params: ['p', { text: 'x' }] }, 1],
  [{ id: 1, method: 'send', params: ['p', { text: 'x', quotes: null, more: 1 }] }, 1],
  [{ id: 1, method: 'send', params: ['p', null] }, 1],
  [{ id: 1, method: 'deleteForMe', params: ['p', [1]] }, 1],
  [{ id: 1, method: 'changeSettings', params: [{ typing: 'no' }] }, 1],
  [{ id: 1, method: 'changeSettings', params: [{ unknown: true }] }, 1],
  [{ id: 1, method: 'markRead', params: ['p', 1.5] }, 1],
])('%j is answered as malformed and calls nothing', async (request, id) => {
  const { ask } = await connect();
  expect(await ask(request)).toMatchObject({ id, error: { code: 'malformed' } });
  expect(world.calls).toEqual([]);
});

test('any text is a request or malformed, and never another error', () => {
  const some = fc.oneof(fc.string(), fc.json(), fc.record({ id: fc.integer(), method: fc.constantFrom(...METHODS, 'x'), params: fc.array(fc.jsonValue(), { maxLength: 3 }) }).map((value) => JSON.stringify(value)));
  fc.assert(
    fc.property(some, (text) => {
      try {
        expect(METHODS).toContain(parseRequest(text).method);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { numRuns: 500 },
  );
});

test('a slow method does not hold up the next, and too many at once are refused', async () => {
  const { socket, told, ask } = await connect();
  const search = (id: number): void => socket.send(JSON.stringify({ id, method: 'search', params: ['q', { peer: null, limit: 1 }] }));
  search(1);
  expect(await ask({ id: 2, method: 'contacts', params: [] })).toMatchObject({ id: 2 });
  for (let id = 3; id < 300; id += 1) search(id);
  await until('refusals', () => told.some((answer) => (answer['error'] as { code?: string } | undefined)?.code === 'too_many'));
  world.release();
  await until('all are answered', () => told.length === 299);
});

test('changes are pushed to everybody connected, until they leave', async () => {
  const [one, two] = [await connect(), await connect()];
  for (const listener of world.listeners) listener({ topic: 'conversation', peer: 'p' });
  await until('both are told', () => one.told.length === 1 && two.told.length === 1);
  expect(one.told[0]).toEqual({ change: { topic: 'conversation', peer: 'p' } });
  one.socket.close();
  await until('one is gone', () => world.listeners.size === 1);
});

test('no token, a wrong one, a used one: no connection', async () => {
  const token = bridge.token();
  await connect(token);
  await expect(connect(token)).rejects.toThrow('401');
  await expect(connect('A'.repeat(43))).rejects.toThrow('401');
  for (const protocols of [[], [SUBPROTOCOL], [bridge.token()]]) {
    const socket = new WebSocket(bridge.url, protocols);
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect(error.message).toContain('401');
  }
  expect(world.calls).toEqual([]);
});

test('it listens on the loopback address only', () => {
  expect(bridge.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/$/);
});
