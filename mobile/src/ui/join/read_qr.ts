/** From a JPEG to the text of the QR code in it. */
import { decode as decodeJpeg } from 'jpeg-js';
import { decodeQR } from 'qr/decode.js';

/** A picture of 12 megapixels needs 48 MB as pixels; a larger one is not looked at. */
const MOST_MEGAPIXELS = 12;

/** Null when there is none in it, or it cannot be read. */
export function readQr(base64: string): string | null {
  try {
    const binary = atob(base64);
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const { width, height, data } = decodeJpeg(bytes, { useTArray: true, formatAsRGBA: true, maxResolutionInMP: MOST_MEGAPIXELS });
    return decodeQR({ width, height, data });
  } catch {
    return null;
  }
}
