/** The look in force: colours of the scheme, the size of text, direction, and whether things may move. */
import { createContext, useContext } from 'react';

import { motion, palettes } from './tokens';
import type { Palette, Scheme } from './tokens';

export interface Look {
  readonly scheme: Scheme;
  readonly colours: Palette;
  /** How much larger than normal text is drawn, 1 to 2. */
  readonly textScale: number;
  readonly rtl: boolean;
  readonly still: boolean;
}

export function lookOf(scheme: Scheme, textScale: number, rtl: boolean, still: boolean): Look {
  return { scheme, colours: palettes[scheme], textScale, rtl, still };
}

const LookContext = createContext<Look>(lookOf('light', 1, false, false));
export const LookProvider = LookContext.Provider;

export const useLook = (): Look => useContext(LookContext);
export const useColours = (): Palette => useContext(LookContext).colours;

/** Milliseconds of a movement: none when the person asked for none. */
export function useMotion(name: keyof typeof motion): number {
  return useLook().still ? 0 : motion[name];
}
