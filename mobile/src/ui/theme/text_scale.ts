/** On Android the system enlarges text by itself; here is only by how much it did. */
import { PixelRatio } from 'react-native';

import { largestScale } from './tokens';

export function systemTextScale(): number {
  return Math.min(PixelRatio.getFontScale(), largestScale);
}

/** What a size in dp must be multiplied with when it is given to a text. */
export const ownTextScale = (_scale: number): number => 1;
