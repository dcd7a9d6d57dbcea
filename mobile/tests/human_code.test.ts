/** Codes that people copy by hand: read back however they are written, and a slip is noticed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { CannotDo } from '../src/core/errors.ts';
import { ARCHIVE_CODE, readCode, RECOVERY_CODE, writeCode } from '../src/core/human_code.ts';

const secrets = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes });

test.each([
  [RECOVERY_CODE, 14],
  [ARCHIVE_CODE, 16],
] as const)('a code is groups of four, and is read back however it is written', (kind, groups) => {
  fc.assert(
    fc.property(secrets(kind.bytes), (secret) => {
      const code = writeCode(kind, secret);
      expect(code).toMatch(new RegExp(`^([0-9A-HJKMNP-TV-Z]{4}-?){${groups}}$`));
      for (const typed of [code, code.toLowerCase(), code.replaceAll('-', ''), ` ${code.replaceAll('-', ' \n')} `, code.replaceAll('-', '\u2013'), code.replaceAll('0', 'O').replaceAll('1', 'l')]) {
        expect(readCode(kind, typed)).toEqual(secret);
      }
    }),
  );
});

test('a slip in a code is noticed: one wrong letter, two exchanged, one missing, another kind of code', () => {
  const mistyped = (typed: string, kind = RECOVERY_CODE): void => {
    try {
      readCode(kind, typed);
    } catch (error) {
      expect(error).toBeInstanceOf(CannotDo);
      expect((error as CannotDo).code).toBe('mistyped_code');
      if (typed !== '') expect((error as CannotDo).message).not.toContain(typed);
      return;
    }
    throw new Error('was accepted');
  };
  fc.assert(
    fc.property(secrets(32), fc.nat(55), fc.constantFrom(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'), (secret, at, letter) => {
      const letters = [...writeCode(RECOVERY_CODE, secret).replaceAll('-', '')];
      if (letters[at] !== letter) mistyped(letters.with(at, letter).join(''));
      const [here, next] = [letters[at] ?? '', letters[(at + 1) % 56] ?? ''];
      if (here !== next) mistyped(letters.with(at, next).with((at + 1) % 56, here).join(''));
      mistyped(letters.toSpliced(at, 1).join(''));
    }),
    { seed: 7 }, // of one change in sixteen million the checksum sees nothing: not to be met by chance
  );
  mistyped('U'.repeat(56));
  mistyped('');
  mistyped(writeCode(ARCHIVE_CODE, new Uint8Array(37)));
});

test('any text is a code or mistyped, and never another error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 200 }), fc.stringMatching(/^[0-9A-Za-z]{56}$/)), (typed) => {
      try {
        expect(readCode(RECOVERY_CODE, typed)).toHaveLength(32);
      } catch (error) {
        expect(error).toMatchObject({ code: 'mistyped_code' });
      }
    }),
  );
});
