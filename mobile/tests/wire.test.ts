/** Bytes, ids, padding, frames and links, mostly by properties. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { concat, fromBase64url, fromUtf8, readU32be, sameBytes, toBase64url, toUtf8, u32be } from '../src/core/bytes.ts';
import { CannotDo, Malformed } from '../src/core/errors.ts';
import { parseContactLink, parseInvite, writeContactLink } from '../src/core/links.ts';
import { BODY_SIZES, pad, unpad } from '../src/core/padding.ts';
import { preKeyIds } from '../src/core/prekey_message.ts';
import { envelopeId, isUuid, timeOf, uuid4 } from '../src/core/uuid.ts';
import { ackFrames, LIMITS, parseMailboxFrame, parsePostFrame, postFrames } from '../src/core/wire/frames.ts';
import { systemRandom } from '../src/node/machine.ts';

const anyBytes = fc.uint8Array({ maxLength: 200 });
const id = '019535d9-3df7-7000-8000-000000000001';

describe('bytes', () => {
  test('base64url is the one of RFC 4648, with or without padding', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const text = Buffer.from(bytes).toString('base64url');
        expect(toBase64url(bytes)).toBe(text);
        expect(fromBase64url(text)).toEqual(new Uint8Array(bytes));
        expect(fromBase64url(text + '='.repeat((4 - (text.length % 4)) % 4))).toEqual(new Uint8Array(bytes));
      }),
    );
    const large = systemRandom.bytes(70_000);
    expect(fromBase64url(toBase64url(large))).toEqual(large);
  });

  test('what is not base64url is refused, and one value has one text', () => {
    for (const text of ['A', 'AAAAA', 'A+AA', 'A/AA', 'AA==A', 'A===', 'AB', 'AAB', 'Ä', 'A A']) expect(() => fromBase64url(text), text).toThrow(Malformed);
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(toBase64url(fromBase64url(text))).toBe(text.replace(/=+$/, ''));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
    );
  });

  test('UTF-8 agrees with the platform, and refuses what the platform refuses', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(toUtf8(text)).toEqual(new TextEncoder().encode(text));
        expect(fromUtf8(toUtf8(text))).toBe(Buffer.from(text).toString());
      }),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        let expected: string | null = null;
        try {
          expected = strict.decode(bytes);
        } catch {
          expect(() => fromUtf8(bytes)).toThrow(Malformed);
        }
        if (expected !== null) expect(fromUtf8(bytes)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
    expect(toUtf8('\ud800')).toEqual(new TextEncoder().encode('\ud800'));
  });

  test('integers, equality', () => {
    for (const value of [0, 1, 255, 65_536, 0x7fffffff, 0xffffffff]) expect(readU32be(concat(u32be(value)))).toBe(value);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(sameBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
  });
});

describe('ids', () => {
  test('an envelope id tells the hour and nothing finer; the rest is random', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_600_000_000_000, max: 4_000_000_000_000 }), (now) => {
        const made = envelopeId(systemRandom, now);
        expect(isUuid(made)).toBe(true);
        expect(made[14]).toBe('7');
        expect('89ab').toContain(made[19]);
        expect(timeOf(made)).toBe(Math.floor(now / 3_600_000) * 3_600_000);
      }),
    );
    expect(new Set(Array.from({ length: 1_000 }, () => envelopeId(systemRandom, 0))).size).toBe(1_000);
  });

  test('content ids are UUIDv4', () => expect(uuid4(systemRandom)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/));
});

describe('padding', () => {
  test('only the four sizes leave, and what went in comes out', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (sealed) => {
        const padded = pad(sealed);
        expect(BODY_SIZES).toContain(padded.length);
        expect(unpad(padded)).toEqual(new Uint8Array(sealed));
      }),
    );
    for (const size of BODY_SIZES) {
      expect(pad(new Uint8Array(size - 4)).length).toBe(size);
    }
    expect(pad(new Uint8Array(1021)).length).toBe(4096);
    expect(() => pad(new Uint8Array(65_533))).toThrow('too long');
  });

  test('another size, a length beyond the body or padding that is not zero is refused', () => {
    expect(() => unpad(new Uint8Array(1000))).toThrow(Malformed);
    expect(() => unpad(new Uint8Array(0))).toThrow(Malformed);
    expect(() => unpad(concat(u32be(1021), new Uint8Array(1020)))).toThrow(Malformed);
    expect(() => unpad(concat(u32be(10), new Uint8Array(1019), Uint8Array.of(1)))).toThrow(Malformed);
  });
});

describe('frames', () => {
  const hello = { type: 'hello', protocol: 1, now: 1, ping_every_s: 25, answer_within_s: 10 };

  test('fields and types that are not known yet are ignored', () => {
    expect(parseMailboxFrame(JSON.stringify({ ...hello, more: { x: 1 } }))).toMatchObject({ type: 'hello', pingEveryS: 25 });
    expect(parseMailboxFrame('{"type":"weather","sun":true}')).toEqual({ type: 'unknown' });
    expect(parsePostFrame('{"type":"deliver","envelopes":"none of its business"}')).toEqual({ type: 'unknown' });
    const envelope = { id, at: 5, body: 'AAAA', extra: 1 };
    expect(parseMailboxFrame(JSON.stringify({ type: 'deliver', envelopes: [envelope] }))).toEqual({
      type: 'deliver',
      envelopes: [{ id, at: 5, body: new Uint8Array(3) }],
    });
    expect(parsePostFrame(JSON.stringify({ type: 'refused', id, code: 'new_reason' }))).toEqual({ type: 'refused', id, code: 'new_reason', retryAfterS: null, now: null });
  });

  test.each([
    ['nothing', ''],
    ['no object', '[]'],
    ['null', 'null'],
    ['no type', '{}'],
    ['a type that is no text', '{"type":1}'],
    ['the prototype as a type', '{"type":"hello","__proto__":{"protocol":1}}'],
    ['a fraction', '{"type":"ping","n":1.5}'],
    ['a negative number', '{"type":"ping","n":-1}'],
    ['an upper-case id', JSON.stringify({ type: 'deliver', envelopes: [{ id: id.toUpperCase(), at: 1, body: '' }] })],
    ['a body that is no base64url', JSON.stringify({ type: 'deliver', envelopes: [{ id, at: 1, body: '*' }] })],
    ['too many envelopes', JSON.stringify({ type: 'deliver', envelopes: Array(65).fill({ id, at: 1, body: '' }) })],
    ['an envelope that is none', '{"type":"deliver","envelopes":[7]}'],
  ])('%s is refused', (_name, text) => expect(() => parseMailboxFrame(text)).toThrow(Malformed));

  test('the place of the fault is told, never the value', () => {
    const text = JSON.stringify({ type: 'deliver', envelopes: [{ id, at: 1, body: '' }, { id: 'secret', at: 1, body: '' }] });
    try {
      parseMailboxFrame(text);
      expect.unreachable();
    } catch (error) {
      expect((error as Malformed).where).toBe('frame.envelopes[1].id');
      expect((error as Malformed).message).not.toContain('secret');
    }
  });

  const json = fc.json();
  const mutated = fc.tuple(
    fc.constantFrom('hello', 'deliver', 'drained', 'signal', 'prekeys_low', 'mailbox_was_full', 'ping', 'pong', 'posted', 'refused'),
    fc.dictionary(fc.constantFrom('id', 'ids', 'envelopes', 'n', 'now', 'protocol', 'body', 'at', 'code', 'ttl_s', 'prekeys', 'ping_every_s', 'retry_after_s'), fc.jsonValue()),
  );

  test.each([
    ['mailbox', parseMailboxFrame],
    ['post', parsePostFrame],
  ])('any text is a frame of the %s session or Malformed, nothing else', (_name, parse) => {
    const check = (text: string): void => {
      try {
        expect(typeof parse(text).type).toBe('string');
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    };
    fc.assert(fc.property(fc.string(), check), { numRuns: 500 });
    fc.assert(fc.property(json, check), { numRuns: 500 });
    fc.assert(
      fc.property(mutated, ([type, fields]) => check(JSON.stringify({ ...fields, type }))),
      { numRuns: 3_000 },
    );
  });

  test('post frames keep to both limits and lose nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...BODY_SIZES), { maxLength: 80 }), (sizes) => {
        const envelopes = sizes.map((size) => ({ id, to: id, access: new Uint8Array(16), body: new Uint8Array(size) }));
        const frames = postFrames(envelopes);
        const sent: number[] = [];
        for (const frame of frames) {
          expect(frame.length).toBeLessThanOrEqual(LIMITS.inboundBytes);
          const parsed = JSON.parse(frame) as { type: string; envelopes: { body: string }[] };
          expect(parsed.type).toBe('post');
          expect(parsed.envelopes.length).toBeGreaterThan(0);
          expect(parsed.envelopes.length).toBeLessThanOrEqual(32);
          sent.push(...parsed.envelopes.map(({ body }) => Buffer.from(body, 'base64url').length));
        }
        expect(sent).toEqual(sizes);
      }),
      { numRuns: 30 },
    );
  });

  test('acks are 1 to 256 ids a frame', () => {
    expect(ackFrames([])).toEqual([]);
    expect(ackFrames(Array(513).fill(id)).map((frame) => (JSON.parse(frame) as { ids: string[] }).ids.length)).toEqual([256, 256, 1]);
  });
});

describe('links', () => {
  const root = toBase64url(Uint8Array.of(5, ...new Uint8Array(32)));
  const code = 'a'.repeat(24);
  const onion = '2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion';

  test('an invite: relay, code and trust root; keys that are not known are ignored', () => {
    const invite = parseInvite(` https://relay.example:8443/path/join#c=${code}&t=${root}&z=1\n`);
    expect(invite).toMatchObject({ relayUrl: 'https://relay.example:8443/path', code });
    expect(invite.trustRoot.length).toBe(33);
    expect(parseInvite(`http://127.0.0.1:8000/join#c=${code}&t=${root}`).relayUrl).toBe('http://127.0.0.1:8000');
  });

  test.each(['https://relay.example', 'https://relay.example:8443/path', 'http://127.0.0.1:8000', 'https://relay.example/join', `http://${onion}`, `http://${onion}:8080/x`])('what the page of %s opens the app with is the invite that it was opened by', (relay) => {
    const fragment = `#c=${code}&t=${root}&v=${toBase64url(new Uint8Array(32).fill(1))}&s=${toBase64url(new Uint8Array(32).fill(2))}`;
    const invite = parseInvite(`${relay}/join${fragment}`);
    expect(invite.relayUrl).toBe(relay);
    expect(parseInvite(`sottovoce://join${fragment}&r=${encodeURIComponent(relay)}`)).toEqual(invite);
    expect(parseInvite(`sottovoce://join/${fragment}&r=${encodeURIComponent(relay)}`)).toEqual(invite);
  });

  test.each([
    `sottovoce://join#c=${code}&t=${root}`,
    `sottovoce://join#c=${code}&t=${root}&r=`,
    `sottovoce://join#c=${code}&t=${root}&r=http%3A%2F%2Frelay.example`,
    `sottovoce://join#c=${code}&t=${root}&r=https%3A%2F%2Fa.example&r=https%3A%2F%2Fb.example`,
    `sottovoce://join#c=${code}&t=${root}&r=https%3A%2F%2Frelay.example%2Fjoin%23c%3D${code}%26t%3D${root}%26z%3D`,
    `sottovoce://join#c=${code}&t=${root}&r=https%3A%2F%2Fuser%40relay.example`,
    `sottovoce://join#c=${code}&t=${root}&r=https%3A%2F%2Frelay.example%2F%20`,
    `sottovoce://join#c=${code}&t=${root}&r=sottovoce%3A%2F%2Fjoin`,
    `sottovoce://joint#c=${code}&t=${root}&r=https%3A%2F%2Frelay.example`,
    `https://relay.example/join#c=${code}`,
    `https://relay.example/join#c=short&t=${root}`,
    `https://relay.example/join?c=${code}&t=${root}`,
    `https://relay.example/join#c=${code}&c=${code}&t=${root}`,
    `https://user@relay.example/join#c=${code}&t=${root}`,
    `http://relay.example/join#c=${code}&t=${root}`,
    `http://localhost.evil.example/join#c=${code}&t=${root}`,
    ...['onion', '.onion', 'facebookcorewwwi.onion', `${onion}.evil.example`, `${onion}.`, `a.${onion}`, `a${onion}`, onion.slice(1), onion.replace('2', '8'), onion.replace('d.', 'e.'), onion.toUpperCase(), onion.replace('.', '%2e'), `evil.example:80@${onion}`, `${onion}:`].map(
      (host) => `http://${host}/join#c=${code}&t=${root}`,
    ),
    `http://evil.example/${onion}/join#c=${code}&t=${root}`,
    `http://evil.example\\.${onion}/join#c=${code}&t=${root}`,
    `sottovoce://join#c=${code}&t=${root}&r=http%3A%2F%2F${onion}.evil.example`,
    `https://relay.example/join#c=${code}&t=AAAA`,
    `https://relay.example/join#c=%&t=${root}`,
    '',
  ])('%s is refused', (link) => expect(() => parseInvite(link)).toThrow(CannotDo));

  test('a contact link comes back as it was, whatever the name', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.option(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })), (account, name) => {
        const card = { account, name, identityKey: systemRandom.bytes(33), accessKey: systemRandom.bytes(16) };
        expect(parseContactLink(writeContactLink(card))).toEqual(card);
      }),
    );
    for (const link of ['', 'sottovoce:contact#', `sottovoce:contact#a=${id}&i=AAAA&k=AAAA`]) expect(() => parseContactLink(link)).toThrow(CannotDo);
  });
});

test('key ids of a first message: any bytes are ids or Malformed', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      try {
        preKeyIds(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { numRuns: 2_000 },
  );
});
