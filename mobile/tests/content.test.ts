/** Every kind of content: there and back, strict about what is wrong, open to what is new; and that docs/protocol.md lists them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fromUtf8, toUtf8 } from '../src/core/bytes.ts';
import { Malformed } from '../src/core/errors.ts';
import { HANDLERS } from '../src/core/handlers/table.ts';
import { CALL_TYPES } from '../src/core/wire/call.ts';
import { encodeContent, KINDS, LONGEST_TIMER_S, MOST_IDS, parseContent } from '../src/core/wire/content.ts';
import type { Content } from '../src/core/wire/content.ts';

const id = '019535d9-3df7-7000-8000-000000000001';
const profile = { name: 'Ada', contactAccessKey: new Uint8Array(16).fill(3) };

const words = fc.string({ unit: 'grapheme', maxLength: 300 });
const uuid = fc.uuid();
const json = fc.dictionary(fc.string({ minLength: 1, maxLength: 9 }).filter((name) => name !== '__proto__'), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });

/** Any content that an app may send, by kind. */
const BODIES: { readonly [K in Content['kind']]: fc.Arbitrary<unknown> } = {
  text: fc.record({
    text: words,
    quote: fc.option(fc.record({ id: uuid, author: fc.constantFrom('sender', 'recipient'), text: fc.string({ maxLength: 300 }) })),
    timerS: fc.integer({ min: 0, max: LONGEST_TIMER_S }),
  }),
  edit: fc.record({ target: uuid, text: words }),
  delete: fc.record({ target: uuid }),
  reaction: fc.record({ target: uuid, emoji: fc.option(fc.string({ minLength: 1, maxLength: 64 })) }),
  receipt: fc.record({ status: fc.constantFrom('delivered', 'read'), ids: fc.array(uuid, { maxLength: MOST_IDS }) }),
  typing: fc.record({ typing: fc.boolean() }),
  timer: fc.record({ seconds: fc.integer({ min: 0, max: LONGEST_TIMER_S }) }),
  profile: fc.constant({}),
  call: fc.record({ call: fc.record({ type: fc.constantFrom(...CALL_TYPES), call: uuid, data: json }) }),
  session_reset: fc.record({ reason: fc.constantFrom('undecryptable', 'missing_prekey'), lost: fc.array(uuid, { maxLength: MOST_IDS }) }),
  verified: fc.record({ verified: fc.boolean() }),
  probe: fc.constant({}),
  null: fc.constant({}),
};

const anyContent: fc.Arbitrary<Content> = fc
  .constantFrom(...KINDS)
  .chain((kind) => fc.tuple(BODIES[kind], uuid, fc.nat(), fc.boolean(), fc.option(uuid)).map(([body, own, sentAt, first, resent]) => ({ kind, body, own, sentAt, first, resent })))
  .map(({ kind, body, own, sentAt, first, resent }) => ({ ...(body as object), kind, id: own, sentAt, resent, profile: first || kind === 'profile' ? profile : null }) as Content);

describe('contents', () => {
  test('what goes in comes out, whatever the kind', () => {
    fc.assert(
      fc.property(anyContent, (content) => {
        const copy = JSON.parse(JSON.stringify(content)) as Content; // -0 becomes 0 on its way, as it may
        expect(parseContent(encodeContent(content))).toEqual({ ...copy, profile: content.profile });
      }),
      { numRuns: 500 },
    );
  });

  test('kinds and versions that are not known yet are told apart from broken ones', () => {
    const content = (fields: object): Uint8Array => toUtf8(JSON.stringify({ v: 1, id, sent_at: 1, ...fields }));
    expect(parseContent(content({ kind: 'dance' })).kind).toBe('unknown');
    expect(parseContent(content({ kind: 'constructor' })).kind).toBe('unknown');
    expect(parseContent(content({ v: 2, kind: 'text' })).kind).toBe('unknown');
    expect(parseContent(content({ kind: 'null', more: { x: 1 } })).kind).toBe('null');
    expect(parseContent(content({ kind: 'profile', name: 'Ada', contact_access_key: 'A'.repeat(22) }))).toMatchObject({ kind: 'profile', profile: { name: 'Ada' } });
    for (const fields of [
      { kind: 'text' },
      { kind: 'text', text: 'a', timer_s: -1 },
      { kind: 'text', text: 'a', quote: { id, author: 'nobody', text: '' } },
      { kind: 'edit', target: 'x', text: 'a' },
      { kind: 'reaction', target: id, emoji: '' },
      { kind: 'reaction', target: id, emoji: 'x'.repeat(65) },
      { kind: 'receipt', status: 'seen', ids: [] },
      { kind: 'receipt', status: 'read', ids: Array(MOST_IDS + 1).fill(id) },
      { kind: 'typing', typing: 1 },
      { kind: 'timer', seconds: LONGEST_TIMER_S + 1 },
      { kind: 'call', call: { type: 'shout', call: id } },
      { kind: 'call', call: [] },
      { kind: 'session_reset', reason: '', lost: [] },
      { kind: 'profile' },
      { kind: 'text', text: 'a', profile: { name: 'Ada' } },
      { kind: 'text', text: 'a', resent: 'x' },
      { kind: 7 },
    ]) {
      expect(() => parseContent(content(fields)), JSON.stringify(fields)).toThrow(Malformed);
    }
  });

  test('bytes that are no content, and contents damaged anywhere, are Malformed or read: nothing else is ever thrown', () => {
    const verdict = (bytes: Uint8Array): void => {
      try {
        const { kind } = parseContent(bytes);
        expect(kind === 'unknown' || KINDS.includes(kind)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), verdict));
    fc.assert(fc.property(fc.json(), (text) => verdict(toUtf8(text))));
    fc.assert(
      fc.property(anyContent, fc.nat(), fc.nat(255), (content, at, byte) => {
        const bytes = encodeContent(content);
        bytes[at % bytes.length] = byte;
        verdict(bytes);
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(anyContent, fc.string(), fc.jsonValue(), (content, name, value) => {
        const fields = JSON.parse(fromUtf8(encodeContent(content))) as Record<string, unknown>;
        const names = Object.keys(fields);
        verdict(toUtf8(JSON.stringify({ ...fields, [names[name.length % names.length] ?? name]: value })));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a text that would not fit an envelope is refused before it is queued', () => {
    const text = { id, sentAt: 1, profile: null, resent: null, kind: 'text', text: 'x'.repeat(61_000), quote: null, timerS: 0 } as const;
    expect(() => encodeContent(text)).toThrow('in parts');
  });

  test('every kind has a handler, and a line in docs/protocol.md', () => {
    expect(Object.keys(HANDLERS).sort()).toEqual([...KINDS].sort());
    const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/protocol.md'), 'utf8').split('## Inside the envelope')[1] ?? '';
    const table = page.split('| kind | fields | means |')[1]?.split('\n\n')[0] ?? '';
    const listed = [...table.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, kind]) => kind);
    expect(listed.sort()).toEqual([...KINDS].sort());
  });
});
