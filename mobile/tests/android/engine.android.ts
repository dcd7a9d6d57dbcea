/** The Kotlin engine passes the suite that the Node engine passes, and each reads what the other wrote. */
import { afterAll, expect, test } from 'vitest';

import { fromUtf8, toUtf8 } from '../../src/core/bytes.ts';
import type { PeerState, PreKeyBundle, SignalEngine } from '../../src/core/engine.ts';
import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { systemClock, systemRandom } from '../../src/node/machine.ts';
import { selfTest } from '../../src/phone/self_test.ts';
import { PhoneSignalEngine } from '../../src/phone/signal_engine.ts';
import { engineConformance } from '../engine_conformance.ts';
import { makeAuthority } from '../support/authority.ts';
import { startKotlinPhone } from './kotlin_phone.ts';

const NOW = Date.UTC(2026, 10, 22);
const ADA = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01';
const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';

const kotlin = startKotlinPhone();
afterAll(() => kotlin.stop());

const engines: Record<'node' | 'kotlin', SignalEngine> = { node: new NodeSignalEngine(), kotlin: new PhoneSignalEngine(kotlin) };
const authority = makeAuthority();

engineConformance('kotlin', engines.kotlin, authority);

interface Side {
  readonly engine: SignalEngine;
  readonly account: string;
  readonly identity: Uint8Array;
  readonly publicKey: Uint8Array;
  session: Uint8Array | null;
  peerIdentity: Uint8Array | null;
}

async function side(engine: SignalEngine, account: string): Promise<Side> {
  return { engine, account, ...(await engine.generateIdentity()), session: null, peerIdentity: null };
}

const view = (me: Side, them: Side): PeerState => ({
  localAccount: me.account,
  identity: me.identity,
  registrationId: 4711,
  peerAccount: them.account,
  session: me.session,
  peerIdentity: me.peerIdentity,
});

/** One message the whole way: encrypted and sealed by one engine, unsealed, judged and decrypted by the other. */
async function post(from: Side, to: Side, text: string, keys: object): Promise<{ text: string; type: number }> {
  const certificate = authority.certificate(from.account, from.publicKey, NOW + 3_600_000);
  const { session, ...message } = await from.engine.encrypt(view(from, to), toUtf8(text), NOW);
  from.session = session;
  const sealed = await from.engine.sealedWrap(view(from, to), to.publicKey, certificate, message);
  const unwrapped = await to.engine.sealedUnwrap(to.identity, sealed);
  const sender = await to.engine.checkCertificate(unwrapped.certificate, authority.trustRoot, NOW);
  expect(sender.account).toBe(from.account);
  const read = await to.engine.decrypt(view(to, from), unwrapped, unwrapped.type === 3 ? keys : {});
  to.session = read.session;
  to.peerIdentity = read.peerIdentity;
  expect(read.peerIdentity).toEqual(sender.identityKey);
  return { text: fromUtf8(read.plaintext), type: unwrapped.type };
}

test.each([
  ['kotlin', 'node'],
  ['node', 'kotlin'],
] as const)('%s begins a PQXDH conversation with %s, and both go on', async (first, second) => {
  const [ada, bob] = [await side(engines[first], ADA), await side(engines[second], BOB)];
  const signed = await bob.engine.generateSignedPreKey(bob.identity, 7, NOW);
  const [ec] = await bob.engine.generatePreKeys(100, 1);
  const [kyber] = await bob.engine.generateKyberPreKeys(bob.identity, 200, 1, NOW);
  if (!ec || !kyber) throw new Error('no keys');
  const bundle: PreKeyBundle = { identityKey: bob.publicKey, registrationId: 4711, signedPreKey: signed, preKey: ec, kyberPreKey: kyber };
  const keys = { preKey: ec.record, signedPreKey: signed.record, kyberPreKey: kyber.record };
  Object.assign(ada, await ada.engine.processBundle(view(ada, bob), bundle, NOW));

  expect(await post(ada, bob, 'the first', keys)).toEqual({ text: 'the first', type: 3 });
  for (let i = 0; i < 20; i += 1) {
    expect(await post(bob, ada, `back ${i}`, {})).toEqual({ text: `back ${i}`, type: 2 });
    expect(await post(ada, bob, `forth ${i}`, {})).toEqual({ text: `forth ${i}`, type: 2 });
  }
});

test('a conversation moves from one engine to the other and back: their state is the same bytes', async () => {
  const [ada, bob] = [await side(engines.node, ADA), await side(engines.node, BOB)];
  const signed = await bob.engine.generateSignedPreKey(bob.identity, 7, NOW);
  const [kyber] = await bob.engine.generateKyberPreKeys(bob.identity, 200, 1, NOW);
  if (!kyber) throw new Error('no keys');
  const bundle: PreKeyBundle = { identityKey: bob.publicKey, registrationId: 4711, signedPreKey: signed, preKey: null, kyberPreKey: kyber };
  Object.assign(ada, await ada.engine.processBundle(view(ada, bob), bundle, NOW));
  const keys = { signedPreKey: signed.record, kyberPreKey: kyber.record };
  for (let i = 0; i < 12; i += 1) {
    const [adaNow, bobNow] = [
      { ...ada, engine: i % 2 ? engines.kotlin : engines.node },
      { ...bob, engine: i % 3 ? engines.kotlin : engines.node },
    ];
    expect((await post(adaNow, bobNow, `to Bob ${i}`, keys)).text).toBe(`to Bob ${i}`);
    expect((await post(bobNow, adaNow, `to Ada ${i}`, keys)).text).toBe(`to Ada ${i}`);
    Object.assign(ada, { session: adaNow.session, peerIdentity: adaNow.peerIdentity });
    Object.assign(bob, { session: bobNow.session, peerIdentity: bobNow.peerIdentity });
  }
});

test('the self-test of the app passes with the Kotlin engine', async () => {
  const results = await selfTest({ engine: engines.kotlin, clock: systemClock, random: systemRandom, withDatabase: async () => undefined });
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
});

test('what is no call, or has another shape, is a fault and no verdict', async () => {
  await expect(kotlin.engine('noSuchCall', '{}')).rejects.toThrow('IllegalArgumentException');
  await expect(kotlin.engine('sealedUnwrap', '{}')).rejects.toThrow('JSONException');
  await expect(kotlin.engine('sealedUnwrap', JSON.stringify({ identity: '!', sealed: '' }))).rejects.toThrow('JSONException');
});
