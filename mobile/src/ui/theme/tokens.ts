/**
 * Every colour, size, space and duration of the app. Screens take them from here by role, never by value. A test holds each
 * pair of PAIRS to a contrast of at least 4.5:1 (WCAG 2.2, 1.4.3) in both themes.
 */

const light = {
  /** The page, and what lies on it or is sunk into it. */
  canvas: '#FBFAF7',
  surface: '#FFFFFF',
  sunken: '#F1EEE8',
  pressed: '#E9E4DB',
  line: '#E2DCD2',
  ink: '#1D1A21',
  inkSoft: '#5D5764',
  /** Plum: what can be done, and what is one's own. */
  accent: '#5E3A6E',
  onAccent: '#FFFFFF',
  accentSoft: '#EFE6F2',
  onAccentSoft: '#4A2B59',
  mine: '#5E3A6E',
  onMine: '#FFFFFF',
  onMineSoft: '#E6D9EB',
  mineInset: '#4D2E5C',
  theirs: '#EFEBE3',
  onTheirs: '#1D1A21',
  onTheirsSoft: '#5A5460',
  theirsInset: '#E2DCD1',
  danger: '#A8322A',
  onDanger: '#FFFFFF',
  dangerSoft: '#FBE9E6',
  onDangerSoft: '#8C241D',
  good: '#1F6B4F',
  onGood: '#FFFFFF',
  goodSoft: '#E2F0E9',
  onGoodSoft: '#175540',
  caution: '#7A5200',
  cautionSoft: '#FAEFD6',
  onCautionSoft: '#694500',
  scrim: 'rgba(24, 18, 28, 0.45)',
} as const;

export type Palette = { readonly [Name in keyof typeof light]: string };

const dark: Palette = {
  canvas: '#131116',
  surface: '#1C1920',
  sunken: '#25212B',
  pressed: '#2E2935',
  line: '#332E3A',
  ink: '#ECE8F0',
  inkSoft: '#ABA4B5',
  accent: '#CDA9DD',
  onAccent: '#2A1634',
  accentSoft: '#35253F',
  onAccentSoft: '#E5D1EE',
  mine: '#5B4069',
  onMine: '#FFFFFF',
  onMineSoft: '#E2D3EA',
  mineInset: '#4A3257',
  theirs: '#27232D',
  onTheirs: '#ECE8F0',
  onTheirsSoft: '#B3ACBD',
  theirsInset: '#332E3B',
  danger: '#F2A097',
  onDanger: '#3B0B07',
  dangerSoft: '#3E1F1C',
  onDangerSoft: '#F7C4BE',
  good: '#86CFAE',
  onGood: '#06281A',
  goodSoft: '#1B3429',
  onGoodSoft: '#B5E4CF',
  caution: '#E4BF74',
  cautionSoft: '#382C16',
  onCautionSoft: '#F1DAA8',
  scrim: 'rgba(0, 0, 0, 0.6)',
};

export const palettes = { light, dark } as const;
export type Scheme = keyof typeof palettes;

/** The call screen is dark in both themes: it is held to an ear, often at night. */
export const night = { ground: '#1A1420', raised: '#33283B', pressed: '#413349', ink: '#F4EFF6', inkSoft: '#BFB3C7', end: '#B3372E', onEnd: '#FFFFFF', answer: '#1F6B4F', onAnswer: '#FFFFFF', active: '#F4EFF6', onActive: '#1A1420' } as const;

/** Behind somebody's initials; which one follows from their id. Same in both themes. */
export const avatars = [
  { ground: '#E4D3EC', ink: '#4A2B59' },
  { ground: '#D3E3EC', ink: '#1F4458' },
  { ground: '#D6E8DB', ink: '#1C4A33' },
  { ground: '#F0DFC8', ink: '#5E3E0C' },
  { ground: '#F2D6D1', ink: '#6E2620' },
  { ground: '#DDDCEF', ink: '#33316B' },
] as const;

/** [text, ground]: what is written on what. */
export const PAIRS: readonly (readonly [keyof Palette, keyof Palette])[] = [
  ...(['canvas', 'surface', 'sunken', 'pressed'] as const).flatMap((ground) => [['ink', ground] as const, ['inkSoft', ground] as const]),
  ...(['accent', 'danger', 'good', 'caution'] as const).flatMap((text) => [[text, 'canvas'] as const, [text, 'surface'] as const, [text, 'sunken'] as const]),
  ['onAccent', 'accent'],
  ['onAccentSoft', 'accentSoft'],
  ['accent', 'accentSoft'],
  ['onMine', 'mine'],
  ['onMineSoft', 'mine'],
  ['onMine', 'mineInset'],
  ['onMineSoft', 'mineInset'],
  ['onTheirs', 'theirs'],
  ['onTheirsSoft', 'theirs'],
  ['onTheirs', 'theirsInset'],
  ['onTheirsSoft', 'theirsInset'],
  ['onDanger', 'danger'],
  ['onDangerSoft', 'dangerSoft'],
  ['onGood', 'good'],
  ['onGoodSoft', 'goodSoft'],
  ['onCautionSoft', 'cautionSoft'],
];

export const NIGHT_PAIRS: readonly (readonly [keyof typeof night, keyof typeof night])[] = [
  ['ink', 'ground'],
  ['inkSoft', 'ground'],
  ['ink', 'raised'],
  ['inkSoft', 'raised'],
  ['ink', 'pressed'],
  ['onEnd', 'end'],
  ['onAnswer', 'answer'],
  ['onActive', 'active'],
];

export type Weight = '400' | '500' | '600';

/** dp at the normal text size; the phone's own setting multiplies them, up to `largestScale`. */
export const type = {
  display: { size: 30, line: 38, weight: '600', tracking: -0.5 },
  title: { size: 22, line: 28, weight: '600', tracking: -0.3 },
  heading: { size: 18, line: 24, weight: '600', tracking: -0.2 },
  body: { size: 16, line: 23, weight: '400', tracking: -0.1 },
  strong: { size: 16, line: 23, weight: '600', tracking: -0.1 },
  label: { size: 14, line: 20, weight: '500', tracking: 0 },
  small: { size: 14, line: 20, weight: '400', tracking: 0 },
  caption: { size: 12, line: 16, weight: '400', tracking: 0.1 },
  badge: { size: 12, line: 16, weight: '600', tracking: 0 },
  digits: { size: 20, line: 30, weight: '500', tracking: 0.5 },
} as const satisfies Record<string, { size: number; line: number; weight: Weight; tracking: number }>;

export type TypeName = keyof typeof type;

/** WCAG 2.2, 1.4.4: text grows to twice its size and nothing is lost. */
export const largestScale = 2;

/** dp; steps of four. */
export const space = { hair: 2, xs: 4, s: 8, m: 12, l: 16, xl: 24, xxl: 32, huge: 48 } as const;

export const radius = { s: 8, m: 12, l: 18, full: 999 } as const;

/** dp: Android's guideline, larger than WCAG 2.5.8 asks for. */
export const touch = 48;

export const icon = { s: 16, m: 20, l: 24, xl: 28 } as const;

/** The longest line that reads well, and the widest a bubble gets. */
export const measure = { page: 560, bubble: 480 } as const;

/** Milliseconds. With "remove animations" all of them are 0. */
export const motion = { quick: 120, calm: 220, slow: 400 } as const;

/** Names under which the font files are loaded. */
export const families = {
  latin: { '400': 'Inter-400', '500': 'Inter-500', '600': 'Inter-600' },
  arabic: { '400': 'PlexArabic-400', '500': 'PlexArabic-500', '600': 'PlexArabic-600' },
} as const satisfies Record<string, Record<Weight, string>>;
