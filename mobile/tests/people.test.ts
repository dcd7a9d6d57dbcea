/** Rules about people that need no relay and no database. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { CannotDo } from '../src/core/errors.ts';
import { isCountry, normalise, normaliseBook, ownNumber } from '../src/core/people/phone_number.ts';
import { fits, safetyNumber } from '../src/core/people/safety_number.ts';
import { NodeSignalEngine } from '../src/node/signal_engine.ts';

test.each([
  ['0170 / 1234567', 'DE', '+491701234567'],
  ['0049 170 1234567', 'DE', '+491701234567'],
  ['tel:+49-170-1234567', 'TR', '+491701234567'],
  ['+49 (0) 170 1234567', 'DE', '+491701234567'],
  ['0532 123 45 67', 'TR', '+905321234567'],
  ['٠٥٣٢١٢٣٤٥٦٧', 'TR', '+905321234567'],
  ['011 49 170 1234567', 'US', '+491701234567'],
  ['8 912 345-67-89', 'RU', '+79123456789'],
  ['+49 170 1234567', 'XX', '+491701234567'],
  ['+49 170 1234567', null, '+491701234567'],
  ['0170 1234567', null, null],
  ['112', 'DE', null],
  ['*#06#', 'DE', null],
  ['call me 0170 1234567', 'DE', null],
  ['+49 170 1234567 ext. 5', 'DE', null],
  ['+999123456789', null, null],
  ['+', 'DE', null],
  ['0000', 'DE', null],
  ['', 'DE', null],
  ['1'.repeat(10_000), 'US', null],
])('the number %j read in %s is %s', (text, country, number) => {
  expect(normalise(text, country)).toBe(number);
});

test('any text is a number or none, and a number once made stays as it is', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[+0-9 ()/-]{0,20}$/)), fc.constantFrom('DE', 'TR', 'US', 'SA', null), (text, country) => {
      const number = normalise(text, country);
      if (number === null) return;
      expect(number).toMatch(/^\+[1-9][0-9]{6,14}$/);
      expect(normalise(number, null)).toBe(number);
    }),
  );
});

test('an address book becomes one entry a number, under the first name', () => {
  const book = [
    { name: null, numbers: ['0170 1234567'] },
    { name: ' Ada ', numbers: ['+49 170 1234567', '112'] },
    { name: 'Bob', numbers: ['0170 7654321', '+491701234567'] },
  ];
  expect(normaliseBook(book, 'DE')).toEqual([
    { number: '+491701234567', name: 'Ada' },
    { number: '+491707654321', name: 'Bob' },
  ]);
  expect(isCountry('TR')).toBe(true);
  expect(isCountry('toString')).toBe(false);
  expect(() => ownNumber('hello', 'DE')).toThrow(CannotDo);
});

test('a safety number is twelve groups, the same at both ends, and scanning tells who fits', async () => {
  const engine = new NodeSignalEngine();
  const person = async (last: number) => ({ account: `8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a0${last}`, identityKey: (await engine.generateIdentity()).publicKey });
  const [ada, bob, eve] = [await person(1), await person(2), await person(2)];
  const [atAda, atBob] = [await safetyNumber(engine, ada, bob), await safetyNumber(engine, bob, ada)];
  expect(atAda.groups).toEqual(atBob.groups);
  expect(atAda.groups).toHaveLength(12);
  expect(atAda.groups.every((group) => /^[0-9]{5}$/.test(group))).toBe(true);
  expect(await fits(engine, ada, bob, ` ${atBob.code}\n`)).toBe(true);
  expect(await fits(engine, ada, bob, (await safetyNumber(engine, eve, ada)).code)).toBe(false);
  for (const none of ['', 'https://example.org', 'AAAA', 'ä']) {
    await expect(fits(engine, ada, bob, none)).rejects.toMatchObject({ code: 'bad_code' });
  }
});
