/** What every Signal engine must do, whichever library is below it. A phone engine runs the same list. */
import { expect, test } from 'vitest';

import { fromBase64url, fromUtf8, sameBytes, toBase64url, toUtf8 } from '../src/core/bytes.ts';
import type { Decrypted, DecryptionKeys, EngineErrorCode, PeerState, PreKeyBundle, SessionCiphertext, SignalEngine } from '../src/core/engine.ts';
import { EngineError } from '../src/core/engine.ts';
import { preKeyIds } from '../src/core/prekey_message.ts';
import { uuidBytes } from '../src/core/uuid.ts';
import recorded from './vectors/fingerprints.json' with { type: 'json' };

/** Makes the certificates a relay would make; outside the engine, which has no such power. */
export interface Authority {
  readonly trustRoot: Uint8Array;
  certificate(account: string, identityKey: Uint8Array, expiresAtMs: number): Uint8Array;
}

const NOW = Date.UTC(2026, 10, 22);
const ADA = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01';
const BOB = '8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a02';

interface Person {
  account: string;
  identity: Uint8Array;
  publicKey: Uint8Array;
  keys: Required<DecryptionKeys> & { ids: { ec: number; signed: number; kyber: number } };
  bundle: PreKeyBundle;
  session: Uint8Array | null;
  peerIdentity: Uint8Array | null;
}

export function engineConformance(name: string, engine: SignalEngine, authority: Authority): void {
  async function person(account: string): Promise<Person> {
    const { identity, publicKey } = await engine.generateIdentity();
    const signed = await engine.generateSignedPreKey(identity, 7, NOW);
    const [ec] = await engine.generatePreKeys(100, 1);
    const [kyber] = await engine.generateKyberPreKeys(identity, 200, 1, NOW);
    if (!ec || !kyber) throw new Error('no keys');
    return {
      account,
      identity,
      publicKey,
      keys: { preKey: ec.record, signedPreKey: signed.record, kyberPreKey: kyber.record, ids: { ec: ec.id, signed: signed.id, kyber: kyber.id } },
      bundle: { identityKey: publicKey, registrationId: 4711, signedPreKey: signed, preKey: ec, kyberPreKey: kyber },
      session: null,
      peerIdentity: null,
    };
  }

  const view = (me: Person, them: Person): PeerState => ({
    localAccount: me.account,
    identity: me.identity,
    registrationId: 4711,
    peerAccount: them.account,
    session: me.session,
    peerIdentity: me.peerIdentity,
  });

  async function begin(from: Person, to: Person, bundle: PreKeyBundle = to.bundle): Promise<void> {
    Object.assign(from, await engine.processBundle(view(from, to), bundle, NOW));
  }

  async function write(from: Person, to: Person, text: string): Promise<SessionCiphertext> {
    const { session, ...message } = await engine.encrypt(view(from, to), toUtf8(text), NOW);
    from.session = session;
    return message;
  }

  async function read(me: Person, from: Person, message: SessionCiphertext): Promise<Decrypted & { text: string }> {
    const decrypted = await engine.decrypt(view(me, from), message, message.type === 3 ? me.keys : {});
    me.session = decrypted.session;
    me.peerIdentity = decrypted.peerIdentity;
    return { ...decrypted, text: fromUtf8(decrypted.plaintext) };
  }

  async function conversation(): Promise<[Person, Person]> {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    await read(bob, ada, await write(ada, bob, 'hello'));
    await read(ada, bob, await write(bob, ada, 'hello'));
    return [ada, bob];
  }

  const refusal = async (code: EngineErrorCode, work: Promise<unknown>): Promise<void> => {
    const error = await work.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).code).toBe(code);
  };

  test(`${name}: sizes on the wire`, async () => {
    const { bundle, publicKey } = await person(BOB);
    expect(publicKey.length).toBe(33);
    expect(publicKey[0]).toBe(5);
    expect(bundle.signedPreKey.publicKey.length).toBe(33);
    expect(bundle.kyberPreKey.publicKey.length).toBe(1569);
    expect(bundle.kyberPreKey.signature.length).toBe(64);
  });

  test(`${name}: PQXDH with one-time keys tells which keys were used, then both directions`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    expect(ada.peerIdentity).toEqual(bob.publicKey);
    const first = await write(ada, bob, 'first');
    expect(first.type).toBe(3);
    expect(preKeyIds(first.body)).toEqual({ preKeyId: bob.keys.ids.ec, signedPreKeyId: bob.keys.ids.signed, kyberPreKeyId: bob.keys.ids.kyber });
    const opened = await read(bob, ada, first);
    expect(opened.text).toBe('first');
    expect(opened.usedPreKeyId).toBe(bob.keys.ids.ec);
    expect(opened.usedKyber).toMatchObject({ id: bob.keys.ids.kyber, signedPreKeyId: bob.keys.ids.signed });
    expect(opened.peerIdentity).toEqual(ada.publicKey);
    for (let i = 0; i < 6; i += 1) {
      const answer = await write(bob, ada, `b${i}`);
      expect(answer.type).toBe(2);
      expect((await read(ada, bob, answer)).text).toBe(`b${i}`);
      const more = await read(bob, ada, await write(ada, bob, `a${i}`));
      expect(more.text).toBe(`a${i}`);
      expect(more.usedKyber).toBeNull();
    }
  });

  test(`${name}: without a one-time key`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob, { ...bob.bundle, preKey: null });
    const first = await write(ada, bob, 'hi');
    expect(preKeyIds(first.body).preKeyId).toBeNull();
    const opened = await read(bob, ada, first);
    expect(opened).toMatchObject({ text: 'hi', usedPreKeyId: null });
  });

  test(`${name}: a second first message needs no keys once the session stands`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    const [one, two] = [await write(ada, bob, 'one'), await write(ada, bob, 'two')];
    await read(bob, ada, one);
    const opened = await engine.decrypt(view(bob, ada), two, {});
    expect(fromUtf8(opened.plaintext)).toBe('two');
    expect(opened.usedPreKeyId).toBeNull();
  });

  test(`${name}: both begin at once`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    await begin(bob, ada);
    const [a, b] = [await write(ada, bob, 'from Ada'), await write(bob, ada, 'from Bob')];
    expect((await read(bob, ada, a)).text).toBe('from Ada');
    expect((await read(ada, bob, b)).text).toBe('from Bob');
    for (let i = 0; i < 4; i += 1) {
      expect((await read(bob, ada, await write(ada, bob, `a${i}`))).text).toBe(`a${i}`);
      expect((await read(ada, bob, await write(bob, ada, `b${i}`))).text).toBe(`b${i}`);
    }
  });

  test(`${name}: state is bytes: copied, restarted, and unchanged by what was given in`, async () => {
    const [ada, bob] = await conversation();
    const before = bob.session?.slice();
    const message = await write(ada, bob, 'after restart');
    const revived = { ...bob, session: Uint8Array.from(bob.session ?? []), identity: Uint8Array.from(bob.identity) };
    expect((await read(revived, ada, message)).text).toBe('after restart');
    expect(bob.session).toEqual(before);
    // The same bytes give the same message again: the state that came in was not used up.
    expect((await read({ ...bob }, ada, message)).text).toBe('after restart');
  });

  test(`${name}: out of order, and a duplicate is told apart`, async () => {
    const [ada, bob] = await conversation();
    const messages = [];
    for (let i = 0; i < 5; i += 1) messages.push(await write(ada, bob, `m${i}`));
    for (const i of [4, 0, 2, 1, 3]) {
      const message = messages[i];
      if (!message) throw new Error('no message');
      expect((await read(bob, ada, message)).text).toBe(`m${i}`);
      await refusal('duplicate', read(bob, ada, message));
    }
  });

  test(`${name}: a tampered message changes nothing and the true one still opens`, async () => {
    const [ada, bob] = await conversation();
    const message = await write(ada, bob, 'true');
    for (const at of [1, 5, 20, message.body.length - 12, message.body.length - 1]) {
      const body = message.body.slice();
      body[at] = (body[at] ?? 0) ^ 1;
      const before = bob.session?.slice();
      await refusal('undecryptable', read(bob, ada, { ...message, body }));
      expect(bob.session).toEqual(before);
    }
    expect((await read(bob, ada, message)).text).toBe('true');
  });

  test(`${name}: any bytes get a verdict, never another error`, async () => {
    const [ada, bob] = await conversation();
    let seed = 1;
    const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => (seed = (seed * 48271) % 0x7fffffff) & 255);
    for (const length of [0, 1, 2, 8, 33, 100, 500]) {
      for (const type of [2, 3] as const) {
        const error = await engine.decrypt(view(bob, ada), { type, body: noise(length) }, bob.keys).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(EngineError);
      }
      await refusal('not_for_me', engine.sealedUnwrap(bob.identity, noise(length)));
      await refusal('bad_certificate', engine.checkCertificate(noise(length), authority.trustRoot, NOW));
    }
  });

  test(`${name}: a missing prekey is told apart`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    const first = await write(ada, bob, 'first');
    const { preKey: _, ...others } = bob.keys;
    await refusal('missing_prekey', engine.decrypt(view(bob, ada), first, others));
    await refusal('missing_prekey', engine.decrypt(view(bob, ada), first, {}));
  });

  test(`${name}: the same first message with a last-resort key has the same base key, so a repeat can be refused`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob, { ...bob.bundle, preKey: null });
    const first = await write(ada, bob, 'once');
    const one = await engine.decrypt(view(bob, ada), first, bob.keys);
    const two = await engine.decrypt(view(bob, ada), first, bob.keys); // as if the session had been lost
    expect(one.usedKyber).not.toBeNull();
    expect(two.usedKyber).toEqual(one.usedKyber);
    await begin(ada, bob, { ...bob.bundle, preKey: null });
    const other = await engine.decrypt(view(bob, ada), await write(ada, bob, 'anew'), bob.keys);
    expect(sameBytes(other.usedKyber?.baseKey ?? new Uint8Array(), one.usedKyber?.baseKey ?? new Uint8Array())).toBe(false);
  });

  test(`${name}: nothing to encrypt with`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await refusal('no_session', engine.encrypt(view(ada, bob), toUtf8('x'), NOW));
  });

  test(`${name}: a bundle with a foreign signature or another identity than the known one is refused`, async () => {
    const [ada, bob, eve] = [await person(ADA), await person(BOB), await person(ADA)];
    const kyberPreKey = { ...bob.bundle.kyberPreKey, signature: eve.bundle.kyberPreKey.signature };
    await refusal('bad_bundle', engine.processBundle(view(ada, bob), { ...bob.bundle, kyberPreKey }, NOW));
    await refusal('untrusted_identity', engine.processBundle({ ...view(ada, bob), peerIdentity: bob.publicKey }, eve.bundle, NOW));
  });

  test(`${name}: a first message from another identity than the known one is refused`, async () => {
    const [ada, bob, eve] = [await person(ADA), await person(BOB), await person(ADA)];
    bob.peerIdentity = ada.publicKey;
    await begin(eve, bob);
    await refusal('untrusted_identity', read(bob, eve, await write(eve, bob, 'I am Ada')));
  });

  test(`${name}: sealed sender carries first and later messages`, async () => {
    const [ada, bob] = [await person(ADA), await person(BOB)];
    await begin(ada, bob);
    const certificate = authority.certificate(ADA, ada.publicKey, NOW + 3_600_000);
    for (const [text, type] of [
      ['first', 3],
      ['second', 3],
      ['third', 2],
    ] as const) {
      const message = await write(ada, bob, text);
      expect(message.type).toBe(type);
      const sealed = await engine.sealedWrap(view(ada, bob), bob.publicKey, certificate, message);
      const unwrapped = await engine.sealedUnwrap(bob.identity, sealed);
      expect(unwrapped).toEqual({ type: message.type, body: message.body, certificate });
      const sender = await engine.checkCertificate(unwrapped.certificate, authority.trustRoot, NOW);
      expect(sender).toEqual({ account: ADA, device: 1, identityKey: ada.publicKey, expiresAtMs: NOW + 3_600_000 });
      expect((await read(bob, ada, unwrapped)).text).toBe(text);
      if (text === 'second') await read(ada, bob, await write(bob, ada, 'so the next is an ordinary one'));
      await refusal('not_for_me', engine.sealedUnwrap(ada.identity, sealed));
      const tampered = sealed.slice();
      tampered[sealed.length - 1] = (tampered[sealed.length - 1] ?? 0) ^ 1;
      await refusal('not_for_me', engine.sealedUnwrap(bob.identity, tampered));
    }
  });

  test(`${name}: sealing with another's certificate does not pass`, async () => {
    const [ada, bob, eve] = [await person(ADA), await person(BOB), await person(ADA)];
    await begin(eve, bob);
    const stolen = authority.certificate(ADA, ada.publicKey, NOW + 3_600_000);
    const sealed = await engine.sealedWrap(view(eve, bob), bob.publicKey, stolen, await write(eve, bob, 'x'));
    await refusal('not_for_me', engine.sealedUnwrap(bob.identity, sealed));
  });

  test(`${name}: a certificate is judged by root, and by the time it is asked for`, async () => {
    const { publicKey } = await person(ADA);
    const certificate = authority.certificate(ADA, publicKey, NOW + 1_000);
    await engine.checkCertificate(certificate, authority.trustRoot, NOW + 1_000);
    await refusal('bad_certificate', engine.checkCertificate(certificate, authority.trustRoot, NOW + 1_001));
    const { publicKey: otherRoot } = await engine.generateIdentity();
    await refusal('bad_certificate', engine.checkCertificate(certificate, otherRoot, NOW));
    const tampered = certificate.slice();
    const last = tampered.length - 3;
    tampered[last] = (tampered[last] ?? 0) ^ 1;
    await refusal('bad_certificate', engine.checkCertificate(tampered, authority.trustRoot, NOW));
  });
  test(`${name}: safety numbers as libsignal made them once`, async () => {
    expect(recorded.fingerprints.length).toBeGreaterThanOrEqual(3);
    for (const vector of recorded.fingerprints) {
      const party = (side: (typeof vector)['local']) => ({ identifier: fromBase64url(side.identifier), identityKey: fromBase64url(side.identity_key) });
      const [local, remote] = [party(vector.local), party(vector.remote)];
      const [ours, theirs] = [await engine.fingerprint(local, remote), await engine.fingerprint(remote, local)];
      expect(ours.digits).toBe(vector.digits);
      expect(ours.digits).toMatch(/^[0-9]{60}$/);
      expect(theirs.digits).toBe(vector.digits);
      expect(toBase64url(ours.scannable)).toBe(vector.scannable);
      expect(toBase64url(theirs.scannable)).toBe(vector.scannable_of_remote);
    }
  });

  test(`${name}: a scanned safety number fits its own conversation and no other`, async () => {
    const [ada, bob, eve] = [await person(ADA), await person(BOB), await person(BOB)];
    const party = ({ account, publicKey }: Person) => ({ identifier: uuidBytes(account), identityKey: publicKey });
    const ours = await engine.fingerprint(party(ada), party(bob));
    const theirs = await engine.fingerprint(party(bob), party(ada));
    const between = await engine.fingerprint(party(eve), party(ada)); // somebody in the middle, under Bob's account
    expect(between.digits).not.toBe(ours.digits);
    expect(await engine.compareFingerprints(ours.scannable, theirs.scannable)).toBe(true);
    expect(await engine.compareFingerprints(theirs.scannable, ours.scannable)).toBe(true);
    expect(await engine.compareFingerprints(ours.scannable, between.scannable)).toBe(false);
    expect(await engine.compareFingerprints(ours.scannable, ours.scannable)).toBe(false); // one's own code, scanned from a mirror
    for (const none of [new Uint8Array(), toUtf8('hello'), new Uint8Array(100), theirs.scannable.slice(0, 50), Uint8Array.of(8, 1, ...theirs.scannable.slice(2))]) {
      await refusal('bad_fingerprint', engine.compareFingerprints(ours.scannable, none));
    }
    await refusal('bad_fingerprint', engine.fingerprint(party(ada), { ...party(bob), identityKey: new Uint8Array(33) }));
  });
}
