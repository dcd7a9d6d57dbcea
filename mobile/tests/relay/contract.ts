/** What docs/protocol.md promises an app. The fake relay and the real one pass the same list, so tests on the fake mean something. */
import { afterEach, describe, expect, test } from 'vitest';

import { NodeSignalEngine } from '../../src/node/signal_engine.ts';
import { parseInvite } from '../../src/core/links.ts';
import { b64, body, call, newEnvelopeId, newMember, newRegistration, RawSocket, sha256 } from './raw.ts';
import type { Frame, Member } from './raw.ts';

export interface RelayUnderTest {
  readonly url: string;
  invite(): Promise<string>;
}

const engine = new NodeSignalEngine();
const unpadded = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, 'base64url'));

export function relayContract(name: string, relay: () => RelayUnderTest): void {
  const sockets: RawSocket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) await socket.close();
  });

  const url = (path: string): string => relay().url + path;
  const member = async (preKeys?: number): Promise<Member> => newMember(relay().url, await relay().invite(), preKeys);

  function socket(path: string, headers: Record<string, string> = {}): RawSocket {
    const opened = new RawSocket(url(path), headers);
    sockets.push(opened);
    return opened;
  }

  async function mailbox(of: Member): Promise<RawSocket> {
    const session = socket('/v1/mailbox', { Authorization: of.authorization });
    await session.expect('hello');
    return session;
  }

  async function posting(): Promise<RawSocket> {
    const session = socket('/v1/post');
    await session.expect('hello');
    return session;
  }

  const envelope = (to: Member, mark = 0, id = newEnvelopeId()) => ({ id, to: to.account, access: to.access, body: body(1024, mark) });

  async function post(session: RawSocket, ...envelopes: ReturnType<typeof envelope>[]): Promise<Frame[]> {
    session.send({ type: 'post', envelopes });
    const answers: Frame[] = [];
    for (let answered = 0; answered < envelopes.length; ) {
      const frame = await session.next();
      answers.push(frame);
      answered += frame.type === 'posted' ? (frame['ids'] as string[]).length : 1;
    }
    return answers;
  }

  /** Reads on until `drained`; answers what was delivered before it. */
  async function drain(session: RawSocket): Promise<{ id: string; at: number; body: string }[]> {
    const delivered: { id: string; at: number; body: string }[] = [];
    for (;;) {
      const frame = await session.next();
      if (frame.type === 'drained') return delivered;
      if (frame.type === 'deliver') delivered.push(...(frame['envelopes'] as { id: string; at: number; body: string }[]));
    }
  }

  describe(`${name}: accounts and keys`, () => {
    test('registering again with the same keys answers the same and changes nothing', async () => {
      const one = await member();
      const headers = { Authorization: `Invite ${one.inviteCode}` };
      const again = await call(url('/v1/accounts'), 'POST', headers, one.registration);
      expect([again.status, again.body]).toEqual([201, { account_id: one.account }]);
      const { registration: other } = await newRegistration(1);
      const stolen = await call(url('/v1/accounts'), 'POST', headers, other);
      expect([stolen.status, stolen.body['code']]).toEqual([401, 'bad_invite']);
      const sameIdentity = await call(url('/v1/accounts'), 'POST', headers, { ...one.registration, token_hash: b64(sha256(new Uint8Array(32))) });
      expect([sameIdentity.status, sameIdentity.body['code']]).toEqual([401, 'bad_invite']);
    });

    test('refuses an unknown invite, an unknown field, a wrong size and a foreign signature', async () => {
      const { registration } = await newRegistration(1);
      const unknown = await call(url('/v1/accounts'), 'POST', { Authorization: `Invite ${'x'.repeat(24)}` }, registration);
      expect([unknown.status, unknown.body['code']]).toEqual([401, 'bad_invite']);
      const invite = { Authorization: `Invite ${parseInvite(await relay().invite()).code}` };
      const extra = await call(url('/v1/accounts'), 'POST', invite, { ...registration, extra: 1 });
      expect([extra.status, extra.body['code']]).toEqual([400, 'bad_request']);
      const short = await call(url('/v1/accounts'), 'POST', invite, { ...registration, token_hash: 'AAAA' });
      expect([short.status, short.body['code']]).toEqual([400, 'bad_request']);
      const { registration: other } = await newRegistration(1);
      const foreign = await call(url('/v1/accounts'), 'POST', invite, { ...registration, signed_prekey: other.signed_prekey });
      expect([foreign.status, foreign.body['code']]).toEqual([422, 'bad_signature']);
      expect((await call(url('/v1/accounts'), 'POST', invite, registration)).status).toBe(201); // none of it used up the invite
    });

    test('a bundle is handed out once, then the last-resort key without a one-time key', async () => {
      const one = await member(2);
      const take = async () => call(url(`/v1/prekeys/${one.account}/take`), 'POST', { 'Access-Key': one.access });
      const bundles = [await take(), await take(), await take(), await take()].map(({ status, body: bundle }) => {
        expect(status).toBe(200);
        return bundle as { identity_key: string; registration_id: number; prekey: { id: number } | null; kyber_prekey: { id: number; public_key: string } };
      });
      expect(bundles.map(({ prekey }) => prekey?.id ?? null).sort()).toEqual([1, 2, null, null].sort());
      const lastResort = (one.registration['last_resort_kyber_prekey'] as { public_key: string }).public_key;
      const kyber = bundles.map(({ kyber_prekey: key }) => key.public_key);
      expect(new Set(kyber).size).toBe(3);
      expect(kyber.slice(2)).toEqual([lastResort, lastResort]);
      for (const bundle of bundles) expect([bundle.identity_key, bundle.registration_id]).toEqual([b64(one.identityKey), 4711]);
    });

    test('an unknown account and a wrong access key get one answer', async () => {
      const one = await member();
      const wrong = await call(url(`/v1/prekeys/${one.account}/take`), 'POST', { 'Access-Key': b64(new Uint8Array(16)) });
      const nobody = await call(url('/v1/prekeys/8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01/take'), 'POST', { 'Access-Key': one.access });
      expect([wrong.status, wrong.body['code']]).toEqual([401, 'no_access']);
      expect([nobody.status, nobody.body['code']]).toEqual([401, 'no_access']);
      expect(nobody.text).toBe(wrong.text);
    });

    test('counts, appends and the digest of what is given out', async () => {
      const one = await member(2);
      const headers = { Authorization: one.authorization };
      const digest = (): string => {
        const part = (key: unknown): Uint8Array[] => {
          const { id, public_key: publicKey } = key as { id: number; public_key: string };
          const number = Buffer.alloc(4);
          number.writeUInt32BE(id);
          return [number, unpadded(publicKey)];
        };
        const { signed_prekey: signed, last_resort_kyber_prekey: lastResort } = one.registration;
        return b64(sha256(Buffer.concat([one.identityKey, ...part(signed), ...part(lastResort)])));
      };
      expect((await call(url('/v1/keys'), 'GET', headers)).body).toEqual({ prekeys: 2, kyber_prekeys: 2, digest: digest() });
      const more = (await engine.generatePreKeys(2, 3)).map((key) => ({ id: key.id, public_key: b64(key.publicKey) }));
      const answer = await call(url('/v1/keys'), 'PUT', headers, { prekeys: more });
      expect([answer.status, answer.body]).toEqual([200, { prekeys: 4, kyber_prekeys: 2, digest: digest() }]); // id 2 was there
      const replaced = await call(url('/v1/keys'), 'PUT', headers, { prekeys: more.slice(1), kyber_prekeys: [], replace: true });
      expect(replaced.body).toMatchObject({ prekeys: 2 });
    });

    test('the certificate speaks for the account, for at most a day, under the trust root of the invite', async () => {
      const invite = await relay().invite();
      const one = await newMember(relay().url, invite);
      const answer = await call(url('/v1/sender-certificate'), 'GET', { Authorization: one.authorization });
      const sender = await engine.checkCertificate(unpadded(answer.body['certificate']), parseInvite(invite).trustRoot, Date.now());
      expect(sender).toMatchObject({ account: one.account, device: 1, identityKey: one.identityKey });
      expect(sender.expiresAtMs).toBeLessThanOrEqual(Date.now() + 86_400_000 + 60_000);
      expect(sender.expiresAtMs).toBeGreaterThan(Date.now() + 3_600_000);
      expect(Math.abs((answer.body['expires_at'] as number) * 1000 - sender.expiresAtMs)).toBeLessThan(1_001);
    });

    test('the lanes do not mix', async () => {
      const one = await member();
      const headers = { Authorization: one.authorization };
      const identified = { status: 400, body: { code: 'identified_on_anonymous_lane' } };
      expect(await call(url(`/v1/prekeys/${one.account}/take`), 'POST', { ...headers, 'Access-Key': one.access })).toMatchObject(identified);
      expect(await call(url('/v1/relay'), 'GET', headers)).toMatchObject(identified);
      expect((await socket('/v1/post', headers).ended()).httpStatus).toBe(400);
      expect((await socket('/v1/mailbox').ended()).httpStatus).toBe(401);
      expect((await socket('/v1/mailbox', { Authorization: `Bearer ${one.account}.${b64(new Uint8Array(32))}` }).ended()).httpStatus).toBe(401);
      expect((await call(url('/v1/keys'), 'GET')).status).toBe(401);
    });

    test('the relay says who it is', async () => {
      const { body: answer } = await call(url('/v1/relay'), 'GET');
      expect(answer).toMatchObject({ protocol: 1, trust_root: b64(parseInvite(await relay().invite()).trustRoot) });
      expect(Math.abs((answer['now'] as number) - Date.now() / 1000)).toBeLessThan(60);
    });
  });

  describe(`${name}: posting and receiving`, () => {
    test('hello on both sessions, and ping is answered with the same number', async () => {
      const one = await member();
      for (const session of [await mailbox(one), await posting()]) {
        session.send({ type: 'ping', n: 42 });
        for (let frame = await session.next(); ; frame = await session.next()) {
          if (frame.type === 'drained' || frame.type === 'prekeys_low') continue;
          expect(frame).toEqual({ type: 'pong', n: 42 });
          break;
        }
      }
    });

    test('what is posted is delivered in order, live and after a reconnect, until it is acknowledged', async () => {
      const one = await member();
      const sender = await posting();
      const sent = Array.from({ length: 5 }, (_, mark) => envelope(one, mark + 1));
      for (const each of sent) expect(await post(sender, each)).toEqual([{ type: 'posted', ids: [each.id] }]);

      const first = await mailbox(one);
      const waited = await drain(first);
      expect(waited.map(({ id, body: content }) => [id, content])).toEqual(sent.map(({ id, body: content }) => [id, content]));
      for (const { at } of waited) expect(Math.abs(at - Date.now() / 1000)).toBeLessThan(60);
      const live = envelope(one, 9);
      await post(sender, live);
      expect(await first.expect('deliver')).toMatchObject({ envelopes: [{ id: live.id, body: live.body }] });
      first.send({ type: 'ack', ids: [sent[0]?.id, sent[2]?.id, newEnvelopeId()] });
      first.send({ type: 'ping', n: 1 });
      await first.expect('pong'); // frames are handled in order, so the ack has been read
      await first.close();

      const second = await mailbox(one);
      const rest = (await drain(second)).map(({ id }) => id);
      const expected = [sent[1]?.id, sent[3]?.id, sent[4]?.id, live.id];
      // An ack may still be on its way to the disk when the session ends: a redelivery is allowed, a loss is not.
      expect(rest.filter((id) => expected.includes(id))).toEqual(expected);
      second.send({ type: 'ack', ids: rest });
    });

    test('the same id and body again is posted again; another body is a conflict', async () => {
      const one = await member();
      const session = await posting();
      const each = envelope(one, 1);
      for (let i = 0; i < 2; i += 1) expect(await post(session, each)).toEqual([{ type: 'posted', ids: [each.id] }]);
      expect(await post(session, { ...each, body: body(1024, 2) })).toMatchObject([{ type: 'refused', id: each.id, code: 'conflict' }]);
      expect((await drain(await mailbox(one))).map(({ id }) => id)).toEqual([each.id]);
    });

    test('each envelope of a frame is answered once, by its own merit', async () => {
      const one = await member();
      const session = await posting();
      const [good, size, skew, early, access, fine] = Array.from({ length: 6 }, (_, mark) => envelope(one, mark)) as [
        ReturnType<typeof envelope>,
        ReturnType<typeof envelope>,
        ReturnType<typeof envelope>,
        ReturnType<typeof envelope>,
        ReturnType<typeof envelope>,
        ReturnType<typeof envelope>,
      ];
      size.body = body(1025);
      skew.id = newEnvelopeId(Date.now() - 51 * 3_600_000);
      early.id = newEnvelopeId(Date.now() + 4 * 3_600_000);
      access.access = b64(new Uint8Array(16));
      const answers = await post(session, good, size, skew, early, access, fine);
      const codes = new Map<unknown, unknown>();
      for (const frame of answers) {
        if (frame.type === 'posted') for (const id of frame['ids'] as string[]) codes.set(id, 'posted');
        else codes.set(frame['id'], frame['code']);
      }
      expect([good, size, skew, early, access, fine].map(({ id }) => codes.get(id))).toEqual([
        'posted',
        'bad_size',
        'clock_skew',
        'clock_skew',
        'no_access',
        'posted',
      ]);
      const skewed = answers.find((frame) => frame['id'] === skew.id);
      expect(Math.abs((skewed?.['now'] as number) - Date.now() / 1000)).toBeLessThan(60);
    });

    test('all four sizes pass, and the largest fits a frame', async () => {
      const one = await member();
      const session = await posting();
      const sent = [1024, 4096, 16384, 65536].map((size) => ({ ...envelope(one), body: body(size, 5) }));
      for (const each of sent) expect(await post(session, each)).toEqual([{ type: 'posted', ids: [each.id] }]);
      expect((await drain(await mailbox(one))).map(({ body: content }) => content)).toEqual(sent.map(({ body: content }) => content));
    });

    test('a signal reaches a live session', async () => {
      const one = await member();
      const session = await posting();
      session.send({ type: 'signal', ...envelope(one), ttl_s: 30 });
      await session.expect('posted');
    });

    test('a session of an account that is short of one-time keys is told so', async () => {
      const few = await mailbox(await member(3));
      let frame = await few.next();
      if (frame.type === 'drained') frame = await few.next(); // in either order
      expect(frame).toEqual({ type: 'prekeys_low', prekeys: 3, kyber_prekeys: 3 });
      const enough = await mailbox(await member(25));
      expect((await enough.next()).type).toBe('drained');
    });

    test('a member who runs short while connected is told so', async () => {
      const one = await member(20);
      const session = await mailbox(one);
      await session.expect('drained');
      await call(url(`/v1/prekeys/${one.account}/take`), 'POST', { 'Access-Key': one.access });
      expect(await session.expect('prekeys_low')).toEqual({ type: 'prekeys_low', prekeys: 19, kyber_prekeys: 19 });
    });

    test('the newest mailbox session wins', async () => {
      const one = await member();
      const older = await mailbox(one);
      await drain(older);
      await mailbox(one);
      expect((await older.ended()).code).toBe(4409);
    });

    test('a deleted account is gone: its session ends, its token and its keys open nothing', async () => {
      const one = await member();
      const open = await mailbox(one);
      await drain(open);
      const gone = await call(url('/v1/account'), 'DELETE', { Authorization: one.authorization });
      expect([gone.status, gone.text]).toEqual([204, '']);
      expect((await open.ended()).code).toBe(4401);
      expect((await call(url('/v1/account'), 'DELETE', { Authorization: one.authorization })).status).toBe(401);
      const taken = await call(url(`/v1/prekeys/${one.account}/take`), 'POST', { 'Access-Key': one.access });
      expect([taken.status, taken.body['code']]).toEqual([401, 'no_access']);
    });

    test('a broken frame ends the session with 4400', async () => {
      const one = await member();
      const wrong: (string | Buffer)[] = [
        'not json',
        '[]',
        JSON.stringify({ type: 'dance' }),
        JSON.stringify({ type: 'ack', ids: [] }),
        JSON.stringify({ type: 'ack', ids: ['x'] }),
        JSON.stringify({ type: 'ack', ids: [newEnvelopeId()], extra: 1 }),
        Buffer.from('{"type":"ping","n":1}'),
      ];
      for (const text of wrong) {
        const session = await mailbox(one);
        session.sendText(text);
        expect((await session.ended()).code, String(text)).toBe(4400);
      }
      const twice = envelope(one);
      for (const envelopes of [[], [twice, twice], [{ ...twice, extra: 1 }], [{ ...twice, to: 'nobody' }]]) {
        const session = await posting();
        session.send({ type: 'post', envelopes });
        expect((await session.ended()).code).toBe(4400);
      }
    });

    test('a message over 96 KiB ends the session with 1009', async () => {
      const session = await posting();
      session.sendText(JSON.stringify({ type: 'ping', n: 1, pad: 'x'.repeat(98_304) }));
      expect((await session.ended()).code).toBe(1009);
    });
  });
}
