/** Rules of the screens that need no screen. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { encode as encodeJpeg } from 'jpeg-js';
import { encodeQR } from 'qr';

import { redirectSystemPath } from '../app/+native-intent';
import { quality } from '../app/call';
import { linesOf } from '../src/ui/chat/message_list';
import { excerptParts } from '../src/ui/chat/search_results';
import { notificationOf } from '../src/ui/frame/announcer';
import { closes } from '../src/ui/frame/lock_gate';
import { callLength, dayTitle, listTime } from '../src/ui/i18n/times';
import { chooseLanguage } from '../src/ui/i18n/languages';
import { en } from '../src/ui/i18n/en';
import { translator } from '../src/ui/i18n/words';
import { readable, toE164 } from '../src/ui/join/numbers';
import { readQr } from '../src/ui/join/read_qr';
import { initials } from '../src/ui/parts/avatar';
import { blankMessage, blankPerson, conversationOf } from '../src/ui/scenes/world';
import { DEFAULTS, parsePreferences } from '../src/ui/state/preference_file';

jest.mock('../src/ui/device/this_device', () => ({ device: null }));

const t = translator('en');
const GB = { tag: 'en-GB', clock24: true };
const NOON = Date.UTC(2026, 2, 14, 12) / 1000;

test('every code that the core gives has words', () => {
  const core = path.resolve(__dirname, '../src/core');
  const codes = readdirSync(core, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [...readFileSync(path.join(core, file), 'utf8').matchAll(/new (?:CannotDo|NotTrusted|SottovoceError)\(\s*'(\w+)'/g)].map(([, code]) => code ?? ''));
  expect(codes.length).toBeGreaterThan(30);
  expect([...new Set(codes)].filter((code) => !(`error.${code}` in en))).toEqual([]);
});

test('a QR code that we draw is one that we read, also from a picture with a margin', () => {
  const text = 'sottovoce:contact#a=0198f2d4-0000-7000-8000-000000000001&i=BWqN0ZkPz1x3u8yQh2m5vT7cR9sLd4wEoJ6iXbAgKfHn&k=Yk3Jm8Qp2Wv7Zr4Tc6XsLg&n=Nadia';
  const rows = encodeQR(text, 'raw', { ecc: 'medium', border: 4 });
  const [scale, side] = [6, rows.length * 6 + 80];
  const data = Buffer.alloc(side * side * 4, 255);
  rows.forEach((row, y) => row.forEach((dark, x) => {
    for (let dy = 0; dark && dy < scale; dy += 1) data.fill(0, ((40 + y * scale + dy) * side + 40 + x * scale) * 4, ((40 + y * scale + dy) * side + 40 + (x + 1) * scale) * 4);
  }));
  expect(readQr(encodeJpeg({ width: side, height: side, data }, 70).data.toString('base64'))).toBe(text);
  expect(readQr(encodeJpeg({ width: 64, height: 64, data: Buffer.alloc(64 * 64 * 4, 200) }, 70).data.toString('base64'))).toBeNull();
  expect(readQr('bm90IGEgcGljdHVyZQ==')).toBeNull();
});

test('links lead where they belong, and nowhere else', () => {
  const to = (link: string): string => redirectSystemPath({ path: link, initial: true });
  expect(to('sottovoce:contact#a=1&i=2')).toBe('/add?link=sottovoce%3Acontact%23a%3D1%26i%3D2');
  expect(to('sottovoce://contact#a=1')).toBe('/add?link=sottovoce%3Acontact%23a%3D1');
  expect(to('https://relay.example.org/join#c=1&t=2')).toBe('/join?link=https%3A%2F%2Frelay.example.org%2Fjoin%23c%3D1%26t%3D2');
  expect(to('sottovoce://join#c=1&r=https%3A%2F%2Fa')).toBe('/join?link=sottovoce%3A%2F%2Fjoin%23c%3D1%26r%3Dhttps%253A%252F%252Fa');
  for (const link of ['sottovoce://join', 'sottovoce://join#', 'sottovoce://joint#c=1', 'sottovoce://settings/delete', '/settings/delete', 'http://relay.example.org/join#c=1', 'intent:x']) expect(to(link)).toBe('/');
});

test('a notification says no more than was chosen, and of a stranger nothing', () => {
  const of = (part: object, detail: 'nothing' | 'name' | 'text') => {
    const person = blankPerson({ peer: 'p', name: 'Marta', ...part });
    person.messages.push({ ...blankMessage(1, 'm', NOON), text: 'the secret' });
    return notificationOf(t, conversationOf(person), detail, NOON);
  };
  expect(of({}, 'text')).toMatchObject({ title: 'Marta', body: 'the secret' });
  expect(of({}, 'name')).toMatchObject({ title: 'Marta', body: '1 new message' });
  expect(of({}, 'nothing')).toMatchObject({ title: 'Sottovoce', body: 'New message' });
  for (const detail of ['text', 'name', 'nothing'] as const) expect(JSON.stringify(of({ request: true }, detail))).not.toMatch(/Marta|secret/);
  expect(of({ blocked: true }, 'text')).toBeNull();
  expect(of({ mutedUntil: NOON + 1 }, 'text')).toBeNull();
  expect(of({ mutedUntil: NOON - 1 }, 'text')).not.toBeNull();
});

test('the lock closes after the time that was chosen, and at once if it was none', () => {
  expect(closes(null, 1e9, 0)).toBe(false);
  expect(closes(1000, 1000, 0)).toBe(true);
  expect(closes(1000, 60_999, 60)).toBe(false);
  expect(closes(1000, 61_000, 60)).toBe(true);
});

test('preferences: what is damaged or unknown is as at the beginning', () => {
  for (const text of [null, '', 'null', '[]', '{"theme":"pink","appLock":"yes","clipboardClearS":-1}']) expect(parsePreferences(text)).toEqual(DEFAULTS);
  expect(parsePreferences('{"theme":"dark","more":1}')).toEqual({ ...DEFAULTS, theme: 'dark' });
});

test('messages of one person in a few minutes belong together; a day begins with its first', () => {
  const at = (row: number, seconds: number, mine: boolean) => ({ ...blankMessage(row, `${row}`, NOON + seconds), mine });
  const lines = linesOf([at(4, 86_400, true), at(3, 100, false), at(2, 60, false), at(1, 0, true)]);
  expect(lines.map(({ first, last, day }) => [first, last, day])).toEqual([
    [true, true, true],
    [false, true, false],
    [true, false, false],
    [true, true, true],
  ]);
});

test('times as people say them', () => {
  expect(listTime(GB, t, NOON - 60, NOON)).toMatch(/^\d\d:\d\d$/);
  expect(listTime(GB, t, NOON - 86_400, NOON)).toBe('Yesterday');
  expect(dayTitle(GB, t, NOON, NOON)).toBe('Today');
  expect(dayTitle(GB, t, NOON - 400 * 86_400, NOON)).toContain('2025');
  expect([callLength(0), callLength(247), callLength(3727)]).toEqual(['0:00', '4:07', '1:02:07']);
});

test('languages, numbers, initials, excerpts, quality', () => {
  expect([chooseLanguage(['fr-FR', 'tr-TR']), chooseLanguage(['ar']), chooseLanguage(['pt']), chooseLanguage([])]).toEqual(['tr', 'ar', 'en', 'en']);
  expect([toE164('0151 12345678', 'DE'), toE164('+90 532 123 45 67', null), toE164('12', 'DE'), toE164('0151 12345678', null)]).toEqual(['+4915112345678', '+905321234567', null, null]);
  expect(readable('+4930123456')).toBe('+49 30 123456');
  expect([initials('Marta Ilves'), initials('  nadia '), initials('Anna von der Tann'), initials('123'), initials('')]).toEqual(['MI', 'N', 'AT', '', '']);
  expect(excerptParts('in \u2068the\u2069 end')).toEqual([
    { text: 'in ', match: false },
    { text: 'the', match: true },
    { text: ' end', match: false },
  ]);
  const call = { quality: { roundTripMs: 80, lossPercent: 0, jitterMs: 5 } };
  expect([quality(call as never), quality({ quality: { ...call.quality, lossPercent: 5 } } as never), quality({ quality: { ...call.quality, roundTripMs: 900 } } as never), quality({ quality: null } as never)]).toEqual(['good', 'fair', 'poor', null]);
});
