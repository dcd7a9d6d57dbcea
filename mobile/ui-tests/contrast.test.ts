import { contrast } from '../src/ui/theme/contrast';
import { avatars, night, NIGHT_PAIRS, PAIRS, palettes } from '../src/ui/theme/tokens';
import type { Palette, Scheme } from '../src/ui/theme/tokens';

const ENOUGH = 4.5;

test('contrast is that of WCAG', () => {
  expect(contrast('#000000', '#FFFFFF')).toBeCloseTo(21, 5);
  expect(contrast('#777777', '#FFFFFF')).toBeCloseTo(4.48, 2); // just too little
});

test.each(['light', 'dark'] as const)('every text is readable on its ground: %s', (scheme: Scheme) => {
  const colours: Palette = palettes[scheme];
  const weak = PAIRS.filter(([text, ground]) => contrast(colours[text], colours[ground]) < ENOUGH).map(([text, ground]) => `${text} on ${ground}: ${contrast(colours[text], colours[ground]).toFixed(2)}`);
  expect(weak).toEqual([]);
});

test('also in a call, and on avatars', () => {
  expect(NIGHT_PAIRS.filter(([text, ground]) => contrast(night[text], night[ground]) < ENOUGH)).toEqual([]);
  expect(avatars.filter(({ ink, ground }) => contrast(ink, ground) < ENOUGH)).toEqual([]);
});

test('every colour that is written in is one of the pairs', () => {
  const texts = new Set(PAIRS.map(([text]) => text));
  for (const name of Object.keys(palettes.light) as (keyof Palette)[]) {
    if (/^(on|ink)/.test(name)) expect([name, texts.has(name)]).toEqual([name, true]);
  }
});
