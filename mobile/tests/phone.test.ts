/** The phone's adapters under Node: the database by the contract of all databases, the others against scripted ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { RelayRefused, RelayUnreachable } from '../src/core/errors.ts';
import type { AccountView, CallView, Change, ConversationView } from '../src/core/messenger.ts';
import type { AnonymousHttp, Database, IdentifiedHttp, SocketListener } from '../src/core/ports.ts';
import { toBase64url, toUtf8 } from '../src/core/bytes.ts';
import type { SignalEngine } from '../src/core/engine.ts';
import { AnonymousApi, IdentifiedApi } from '../src/core/relay_api.ts';
import { openDatabase } from '../src/node/database.ts';
import { systemClock, systemRandom } from '../src/node/machine.ts';
import { NodeSignalEngine } from '../src/node/signal_engine.ts';
import { phoneArchiveFiles } from '../src/phone/archive_files.ts';
import type { PhoneFile } from '../src/phone/archive_files.ts';
import { openPhoneDatabase } from '../src/phone/database.ts';
import { plainNotices } from '../src/phone/headless.ts';
import { phoneKeyVault } from '../src/phone/key_vault.ts';
import { phoneLanes } from '../src/phone/lanes.ts';
import { phoneClock, phoneRandom } from '../src/phone/machine.ts';
import { Native } from '../src/phone/native.ts';
import type { NativeModule, PhoneEvent, PushState } from '../src/phone/native.ts';
import { openWithKey, phoneSide } from '../src/phone/phone_side.ts';
import type { PhonePorts, Push } from '../src/phone/phone_side.ts';
import { pushLink } from '../src/phone/push_link.ts';
import { selfTest } from '../src/phone/self_test.ts';
import type { SelfTestMachine } from '../src/phone/self_test.ts';
import { mailTask } from '../src/phone/wake.ts';
import type { MailEnd } from '../src/phone/wake.ts';
import { databaseContract } from './database_contract.ts';
import { fakeExpoDatabase } from './support/expo_sqlite.ts';

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);

function place(): { file: string; cleanUp: () => void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'phone-'));
  return { file: path.join(folder, 'messages.db'), cleanUp: () => rmSync(folder, { recursive: true }) };
}

databaseContract('node', () => {
  const { file, cleanUp } = place();
  return { open: async (wrongKey) => openDatabase(file, wrongKey ? OTHER_KEY : KEY), cleanUp };
});

databaseContract('phone', () => {
  const { file, cleanUp } = place();
  return { open: (wrongKey) => openPhoneDatabase(fakeExpoDatabase(file), wrongKey ? OTHER_KEY : KEY), cleanUp };
});

test('phone and Node read the same file', async () => {
  const { file, cleanUp } = place();
  const phone = await openPhoneDatabase(fakeExpoDatabase(file), KEY);
  await phone.write([{ sql: 'CREATE TABLE t (x)' }, { sql: 'INSERT INTO t VALUES (:x)', params: { x: 'one' } }]);
  await phone.close();
  const node = openDatabase(file, KEY);
  expect(await node.read({ sql: 'SELECT x FROM t' })).toEqual([{ x: 'one' }]);
  await node.close();
  cleanUp();
});

test('a build without SQLCipher stores nothing', async () => {
  const { file, cleanUp } = place();
  await expect(openPhoneDatabase(fakeExpoDatabase(file, null), KEY)).rejects.toMatchObject({ code: 'not_encrypted' });
  cleanUp();
});

describe('the self-test', () => {
  const machine = (engine: SignalEngine = new NodeSignalEngine()): SelfTestMachine => ({
    engine,
    clock: systemClock,
    random: systemRandom,
    withDatabase: async (work) => {
      const { file, cleanUp } = place();
      const database = await openPhoneDatabase(fakeExpoDatabase(file), KEY);
      await work(database);
      await database.close();
      cleanUp();
    },
  });

  test('passes with the engine that recorded its vectors', async () => {
    const results = await selfTest(machine());
    expect(results.map(({ name, passed }) => [name, passed])).toEqual(
      ['recorded_conversation', 'recorded_refusals', 'safety_numbers', 'fresh_conversation', 'database', 'randomness'].map((name) => [name, true]),
    );
  });

  test('each part fails when what it is about is broken, and the others go on', async () => {
    const broken = async (change: Partial<SignalEngine> & Partial<SelfTestMachine>): Promise<string[]> => {
      const engine = Object.assign(new NodeSignalEngine(), change);
      return (await selfTest({ ...machine(engine), ...change })).filter(({ passed }) => !passed).map(({ name }) => name);
    };
    const good = new NodeSignalEngine();
    expect(await broken({ decrypt: async (...args) => ({ ...(await good.decrypt(...args)), plaintext: toUtf8('other') }) })).toEqual(['recorded_conversation', 'fresh_conversation']);
    expect(await broken({ checkCertificate: async (certificate, root) => ({ ...(await good.checkCertificate(certificate, root, 0)) }) })).toEqual(['recorded_refusals']);
    expect(await broken({ fingerprint: async (...args) => ({ ...(await good.fingerprint(...args)), digits: '0'.repeat(60) }) })).toEqual(['safety_numbers']);
    expect(await broken({ withDatabase: () => Promise.reject(new Error('no database')) })).toEqual(['database']);
    expect(await broken({ random: { bytes: (count) => new Uint8Array(count) } })).toEqual(['randomness']);
  });
});

/** A native module that remembers what it was asked, answers from a table, and can say things. */
class Scripted implements NativeModule {
  readonly asked: { name: string; args: Record<string, unknown> }[] = [];
  answers: Record<string, unknown> = {};
  #listeners: ((event: { json: string }) => void)[] = [];

  async engine(): Promise<string> {
    throw new Error('not here');
  }

  async call(name: string, argumentsJson: string): Promise<string> {
    this.asked.push({ name, args: JSON.parse(argumentsJson) as Record<string, unknown> });
    const answer = this.answers[name] ?? null;
    if (answer instanceof Error) throw answer;
    return JSON.stringify({ ok: answer });
  }

  addListener(_event: 'phone', listener: (event: { json: string }) => void): { remove(): void } {
    this.#listeners.push(listener);
    return { remove: () => undefined };
  }

  say(event: PhoneEvent): void {
    for (const listener of this.#listeners) listener({ json: JSON.stringify(event) });
  }
}

function scripted() {
  const module = new Scripted();
  return { module, native: new Native(module) };
}

class Heard implements SocketListener {
  readonly all: string[] = [];
  opened(): void {
    this.all.push('opened');
  }
  received(text: string): void {
    this.all.push(`received ${text}`);
  }
  closed({ code, httpStatus }: { code: number; httpStatus: number | null }): void {
    this.all.push(`closed ${code} ${httpStatus}`);
  }
}

describe('lanes', () => {
  test('each socket hears its own, in order, and nothing after its end', async () => {
    const { module, native } = scripted();
    const { identified, anonymous } = phoneLanes(native);
    const [one, two] = [new Heard(), new Heard()];
    const mailbox = identified.sockets.open('wss://r.example/v1/mailbox', 'Bearer x', one);
    anonymous.sockets.open('wss://r.example/v1/post', two);
    expect([...one.all, ...two.all]).toEqual([]); // never from within `open`
    const [first, second] = module.asked.map(({ args }) => Number(args['id'])) as [number, number];
    module.say({ kind: 'socket', id: first, what: 'opened' });
    module.say({ kind: 'socket', id: second, what: 'opened' });
    module.say({ kind: 'socket', id: first, what: 'received', text: 'a' });
    mailbox.send('b');
    mailbox.close(1000);
    module.say({ kind: 'socket', id: first, what: 'closed', code: 1000, httpStatus: null });
    module.say({ kind: 'socket', id: first, what: 'received', text: 'late' });
    module.say({ kind: 'socket', id: first, what: 'closed', code: 1006, httpStatus: null });
    expect(one.all).toEqual(['opened', 'received a', 'closed 1000 null']);
    expect(two.all).toEqual(['opened']);
    expect(module.asked.map(({ name }) => name)).toEqual(['socketOpen', 'socketOpen', 'socketSend', 'socketClose']);
  });

  test('the anonymous lane has no token, whatever it is used for', async () => {
    const { module, native } = scripted();
    module.answers['http'] = { status: 200, body: '{}', retryAfterS: null };
    const { anonymous, identified } = phoneLanes(native);
    anonymous.sockets.open('wss://r.example/v1/post', new Heard());
    await anonymous.http.request({ method: 'POST', url: 'https://r.example/v1/prekeys/x/take', accessKey: 'k' });
    await anonymous.http.request({ method: 'POST', url: 'https://r.example/v1/discovery/lookup', json: { tokens: [] } });
    expect(module.asked.at(-1)?.args['json']).toBe('{"tokens":[]}');
    for (const { args } of module.asked) {
      expect(args['lane']).toBe('anonymous');
      expect(args['authorization'] ?? null).toBeNull();
    }
    await identified.http.request({ method: 'PUT', url: 'https://r.example/v1/keys', authorization: 'Bearer x', json: { a: 1 } });
    expect(module.asked.at(-1)?.args).toEqual({ lane: 'identified', method: 'PUT', url: 'https://r.example/v1/keys', authorization: 'Bearer x', json: '{"a":1}' });
    await identified.http.request({ method: 'POST', url: 'https://r.example/v1/accounts/recover', authorization: null, json: {} });
    expect(module.asked.at(-1)?.args['authorization']).toBeNull();
  });

  test('no answer is a relay that cannot be reached; a native failure ends the socket', async () => {
    const { module, native } = scripted();
    const { anonymous } = phoneLanes(native);
    await expect(anonymous.http.request({ method: 'GET', url: 'https://r.example/v1/relay' })).rejects.toBeInstanceOf(RelayUnreachable);
    module.answers['socketOpen'] = new Error('the module is gone');
    const heard = new Heard();
    anonymous.sockets.open('wss://r.example/v1/post', heard);
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard.all).toEqual(['closed 1006 null']);
  });
});

test('the clock rings once, and not what was taken back', () => {
  const { module, native } = scripted();
  const clock = phoneClock(native);
  const rung: string[] = [];
  clock.after(10.2, () => rung.push('one'));
  const cancel = clock.after(20, () => rung.push('two'));
  cancel();
  cancel();
  const [one, two] = module.asked.filter(({ name }) => name === 'timerSet').map(({ args }) => args as { id: number; ms: number }) as [{ id: number; ms: number }, { id: number; ms: number }];
  expect(one.ms).toBe(11);
  for (let i = 0; i < 2; i += 1) for (const { id } of [one, two]) module.say({ kind: 'timer', id });
  expect(rung).toEqual(['one']);
  expect(module.asked.filter(({ name }) => name === 'timerCancel')).toHaveLength(1);
});

test('random bytes of any length', () => {
  for (const count of [0, 1, 32, 65_536, 65_537, 200_000]) expect(phoneRandom.bytes(count)).toHaveLength(count);
  expect(phoneRandom.bytes(200_000).slice(-64)).not.toEqual(new Uint8Array(64));
});

describe('the key vault', () => {
  function keychain(options: { strong: boolean; forgets?: boolean; broken?: boolean }) {
    const kept = new Map<string, string>();
    const asked: { service: string; storage: string; securityLevel: string }[] = [];
    return {
      asked,
      STORAGE_TYPE: { AES_GCM_NO_AUTH: 'KeystoreAESGCM_NoAuth' },
      SECURITY_LEVEL: { SECURE_HARDWARE: 'hardware', SECURE_SOFTWARE: 'software' },
      getGenericPassword: async (of: object) => {
        if (options.broken) throw new Error('Keystore exception');
        const password = kept.get((of as { service: string }).service);
        return password === undefined ? (false as const) : { password, storage: 'KeystoreAESGCM_NoAuth' };
      },
      setGenericPassword: async (_name: string, password: string, of: object) => {
        const { service, storage, securityLevel } = of as { service: string; storage: string; securityLevel: string };
        asked.push({ service, storage, securityLevel });
        if (securityLevel === 'hardware' && !options.strong) throw new Error('no secure hardware');
        if (!options.forgets) kept.set(service, password);
        return { service, storage };
      },
    };
  }

  test('keeps bytes in secure hardware where there is one, else in software, and never by RSA or with a prompt', async () => {
    for (const strong of [true, false]) {
      const chain = keychain({ strong });
      const vault = phoneKeyVault(chain);
      expect(await vault.get('database')).toBeNull();
      await vault.put('database', KEY);
      expect(await vault.get('database')).toEqual(KEY);
      expect(chain.asked.map(({ securityLevel }) => securityLevel)).toEqual(strong ? ['hardware'] : ['hardware', 'software']);
      expect(new Set(chain.asked.map(({ storage }) => storage))).toEqual(new Set(['KeystoreAESGCM_NoAuth']));
    }
  });

  test('a Keystore that forgets, or cannot be read, is a fault and not an empty one', async () => {
    await expect(phoneKeyVault(keychain({ strong: true, forgets: true })).put('database', KEY)).rejects.toThrow('does not give back');
    await expect(phoneKeyVault(keychain({ strong: true, broken: true })).get('database')).rejects.toThrow('Keystore exception');
  });
});

describe('mail that comes while no screen runs', () => {
  const account = { id: 'me' } as unknown as AccountView;

  test('the task ends when the mailbox was drained, and sooner without an account', async () => {
    let caughtUp = false;
    let change: (change: Change) => void = () => undefined;
    const started: string[] = [];
    const timers: (() => void)[] = [];
    const end = (joined: boolean): MailEnd => ({
      account: async () => (joined ? account : null),
      start: async () => void started.push('started'),
      connection: async () => ({ state: 'online', caughtUp, deliveredAt: null, probedAt: null, probeFailed: false }),
      subscribe: (listener) => {
        change = listener;
        return () => undefined;
      },
    });
    const after = { after: (_ms: number, run: () => void) => void timers.push(run) };
    await mailTask(async () => end(false), after);
    expect(started).toEqual([]);
    await mailTask(() => Promise.reject(new Error('no key')), after); // nobody is there to hear

    let over = false;
    const task = mailTask(async () => end(true), after).then(() => (over = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(timers).toHaveLength(1); // the longest it may take
    caughtUp = true;
    change({ topic: 'connection' });
    change({ topic: 'connection' });
    await new Promise((resolve) => setImmediate(resolve));
    expect([timers.length, over]).toEqual([2, false]);
    timers[1]?.();
    await task;
    expect(over).toBe(true);
  });

  test('notices say that there is something and nothing more', async () => {
    const shown: object[] = [];
    let change: (change: Change) => void = () => undefined;
    let ringing: CallView | null = null;
    const words = { app: 'Sottovoce', newMessage: 'New message', incomingCall: 'Call', answer: 'Yes', decline: 'No', service: '', serviceBody: '', messages: '', calls: '' };
    plainNotices(
      {
        conversation: async (peer) => ({ blocked: peer === 'blocked', mutedUntil: peer === 'muted' ? 200 : null, unread: 3, name: 'Ada', preview: 'secret' }) as unknown as ConversationView,
        call: async () => ringing,
        subscribe: (listener) => {
          change = listener;
          return () => undefined;
        },
      },
      { showMessage: async (one) => void shown.push(one), showIncomingCall: async (one) => void shown.push(one), endIncomingCall: async (call) => void shown.push({ ended: call }) },
      words,
      () => 100,
    );
    for (const peer of ['ada', 'blocked', 'muted']) change({ topic: 'message', peer, id: 'm' });
    ringing = { id: 'c', name: 'Ada', outgoing: false, state: 'ringing' } as unknown as CallView;
    change({ topic: 'call' });
    change({ topic: 'call' });
    await new Promise((resolve) => setImmediate(resolve));
    ringing = null;
    change({ topic: 'call' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(shown).toEqual([
      { peer: 'ada', title: 'Sottovoce', body: 'New message', unread: 3 },
      { call: 'c', title: 'Sottovoce', body: 'Call', answer: 'Yes', decline: 'No' },
      { ended: 'c' },
    ]);
  });
});

test('the key comes before the first page, and its loss is not hidden by a new one', async () => {
  const made: string[] = [];
  const vault = (key: Uint8Array | null) => ({ get: async () => key, put: async () => void made.push('key') });
  const file = (exists: boolean) => ({ exists: () => exists, open: async () => (made.push('page'), {} as Database) });
  await openWithKey(vault(null), (count) => new Uint8Array(count), file(false));
  expect(made).toEqual(['key', 'page']);
  await expect(openWithKey(vault(null), (count) => new Uint8Array(count), file(true))).rejects.toMatchObject({ code: 'lost_key' });
  await openWithKey(vault(KEY), () => new Uint8Array(), file(true));
  expect(made).toEqual(['key', 'page', 'page']);
});

test('archives: written aside, refused over another, read in pieces, and nothing is left of one that was given up', async () => {
  const kept = new Map<string, number[]>();
  const fileAt = (uri: string): PhoneFile => ({
    get exists() {
      return kept.has(uri);
    },
    name: path.basename(uri),
    create: () => void kept.set(uri, []),
    open: () => {
      let at = 0;
      return {
        offset: 0,
        readBytes: (length) => {
          const part = Uint8Array.from((kept.get(uri) ?? []).slice(at, at + Math.min(length, 3)));
          at += part.length;
          return part;
        },
        writeBytes: (bytes) => void kept.get(uri)?.push(...bytes),
        close: () => undefined,
      };
    },
    rename: (name) => {
      kept.set(path.join(path.dirname(uri), name), kept.get(uri) ?? []);
      kept.delete(uri);
    },
    delete: () => void kept.delete(uri),
  });
  const files = phoneArchiveFiles(fileAt, () => Promise.reject(new Error('not here')));
  const writer = await files.write('/a/archive');
  await writer.append(Uint8Array.of(1, 2, 3, 4));
  await writer.append(Uint8Array.of(5, 6, 7));
  expect([...kept.keys()]).toEqual(['/a/archive.part']);
  const again = await writer.reread();
  expect([await again.read(5), await again.read(5), await again.read(5)]).toEqual([Uint8Array.of(1, 2, 3, 4, 5), Uint8Array.of(6, 7), new Uint8Array()]);
  await writer.commit();
  expect([...kept.keys()]).toEqual(['/a/archive']);
  await expect(files.write('/a/archive')).rejects.toMatchObject({ code: 'file_exists' });
  const other = await files.write('/a/other');
  await other.abort();
  await other.abort();
  expect([...kept.keys()]).toEqual(['/a/archive']);
  await expect(files.read('/a/none')).rejects.toMatchObject({ code: 'no_file' });
});

describe('UnifiedPush and the relay', () => {
  function linked(options: { key?: string | null; fails?: Error } = {}) {
    const done: string[] = [];
    let state: PushState = { distributor: null, endpoint: null, p256dh: null, auth: null };
    let say: (state: PushState) => void = () => undefined;
    const push: Push = {
      state: async () => state,
      async register(distributor, vapid) {
        done.push(`register ${distributor} ${vapid}`);
        state = { distributor, endpoint: null, p256dh: 'P', auth: 'A' };
      },
      async unregister() {
        done.push('unregister');
        state = { distributor: null, endpoint: null, p256dh: null, auth: null };
      },
      onChange(listener) {
        say = listener;
        return () => undefined;
      },
    };
    const link = pushLink(push, {
      key: async () => (options.key === undefined ? 'VAPID' : options.key),
      set: async ({ endpoint }) => void done.push(`set ${endpoint}`),
      async forget() {
        done.push('forget');
        if (options.fails) throw options.fails;
      },
    });
    const endpoint = async (endpoint: string | null): Promise<void> => {
      state = { ...state, endpoint };
      say(state);
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { done, link, endpoint };
  }

  test('an endpoint that comes goes to the relay, and one that goes is forgotten there', async () => {
    const { done, link, endpoint } = linked();
    await link.begin([{ id: 'ntfy' }, { id: 'other' }]);
    await endpoint('https://push.example/1');
    await link.renew();
    await endpoint(null);
    await link.begin([{ id: 'other' }, { id: 'ntfy' }]); // the one that was chosen stays
    await link.end();
    await link.end();
    await link.renew();
    expect(done).toEqual(['register ntfy VAPID', 'set https://push.example/1', 'set https://push.example/1', 'forget', 'register ntfy VAPID', 'unregister', 'forget']);
  });

  test('without a distributor, or a relay that sends any, the mode is not taken', async () => {
    await expect(linked().link.begin([])).rejects.toMatchObject({ code: 'no_distributor' });
    const { done, link } = linked({ key: null });
    await expect(link.begin([{ id: 'ntfy' }])).rejects.toMatchObject({ code: 'no_push' });
    expect(done).toEqual([]);
  });

  test('it can be left without the relay, but not against its word', async () => {
    for (const fails of [new RelayUnreachable('gone'), new RelayRefused(404, 'no_push', null)]) {
      const { link } = linked({ fails });
      await link.begin([{ id: 'ntfy' }]);
      await link.end();
    }
    const { link } = linked({ fails: new RelayRefused(401, 'unauthorized', null) });
    await link.begin([{ id: 'ntfy' }]);
    await expect(link.end()).rejects.toMatchObject({ code: 'unauthorized' });
  });

  test('the choice of a mode asks first and is kept after', async () => {
    const { module, native } = scripted();
    module.answers['distributors'] = [{ id: 'ntfy', name: 'ntfy' }];
    module.answers['about'] = { android: '15' };
    const order: string[] = [];
    const side = phoneSide({
      native,
      push: { begin: async () => void order.push('begin'), end: () => Promise.reject(new Error('the relay says no')) },
    } as unknown as PhonePorts);
    await side.delivery.setMode('unified_push');
    expect(order).toEqual(['begin']);
    expect(module.asked.at(-1)).toEqual({ name: 'setDelivery', args: { mode: 'unified_push' } });
    await expect(side.delivery.setMode('service')).rejects.toThrow('says no');
    expect(module.asked.filter(({ name }) => name === 'setDelivery')).toHaveLength(1);
  });

  test('what the core says to the relay about it', async () => {
    const asked: object[] = [];
    const http = (status: number, body = ''): IdentifiedHttp & AnonymousHttp => ({
      request: async (request: object) => {
        asked.push(request);
        return { status, body, retryAfterS: null };
      },
    });
    const subscription = { endpoint: 'https://push.example/1', p256dh: 'P', auth: 'A' };
    await new IdentifiedApi(http(204), 'https://r.example').setPush('Bearer x', subscription);
    await new IdentifiedApi(http(204), 'https://r.example').forgetPush('Bearer x');
    expect(asked).toEqual([
      { method: 'PUT', url: 'https://r.example/v1/push', authorization: 'Bearer x', json: subscription },
      { method: 'DELETE', url: 'https://r.example/v1/push', authorization: 'Bearer x' },
    ]);
    const key = toBase64url(new Uint8Array(65).fill(4));
    expect(await new AnonymousApi(http(200, JSON.stringify({ push_key: key })), 'https://r.example').pushKey()).toBe(key);
    expect(await new AnonymousApi(http(200, '{"push_key":null}'), 'https://r.example').pushKey()).toBeNull();
    await expect(new IdentifiedApi(http(422, '{"code":"bad_endpoint"}'), 'https://r.example').setPush('Bearer x', subscription)).rejects.toMatchObject({ code: 'bad_endpoint' });
  });
});
