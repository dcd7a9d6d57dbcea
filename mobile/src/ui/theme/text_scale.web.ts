/** A browser draws text as it is told: pictures at 200 % multiply it here. `?text=2` in the address. */
import { largestScale } from './tokens';

export function systemTextScale(): number {
  const asked = Number(new URLSearchParams(window.location.search).get('text') ?? '1');
  return asked >= 1 && asked <= largestScale ? asked : 1;
}

export const ownTextScale = (scale: number): number => scale;
