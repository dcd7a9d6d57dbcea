/** From what a person types to what the database looks for. */
const MOST_WORDS = 16;

/** Scripts that put no space between words, so that the index (unicode61) takes a whole sentence of them for one word. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/u;

export interface Sought {
  /** An FTS5 expression: every word must be there; the last one, still being typed, may be a beginning. Null when there is none. */
  readonly match: string | null;
  /** Pieces that must stand somewhere in the text, patterns for LIKE with `\` as escape: of scripts without spaces. */
  readonly within: readonly string[];
}

/** Null when there is no word in it. Words are quoted and escaped, so nothing a person types is read as syntax. */
export function soughtBy(query: string): Sought | null {
  // Of a word, letters and digits of any script count (unicode61 drops the rest); a word without any would match nothing.
  const words = query.replaceAll('\u0000', '').split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word)).slice(0, MOST_WORDS);
  if (words.length === 0) return null;
  const last = words.at(-1);
  const indexed = words.filter((word) => !UNSPACED.test(word));
  const match = indexed.map((word, index) => `"${word.replaceAll('"', '""')}"${index === indexed.length - 1 && word === last ? '*' : ''}`).join(' ');
  const within = words.filter((word) => UNSPACED.test(word)).map((word) => `%${word.replace(/[\\%_]/gu, '\\$&')}%`);
  return { match: match === '' ? null : match, within };
}

const AROUND = 24;

/** A text around its first `piece` (as in `within`), which is put between U+2068 and U+2069. */
export function excerptAround(text: string, pattern: string): string {
  const piece = pattern.slice(1, -1).replace(/\\(.)/gu, '$1');
  const at = text.toLowerCase().indexOf(piece.toLowerCase());
  if (at < 0) return text;
  const [before, after] = [[...text.slice(0, at)], [...text.slice(at + piece.length)]];
  const head = before.length > AROUND ? `…${before.slice(-AROUND).join('')}` : before.join('');
  const tail = after.length > AROUND ? `${after.slice(0, AROUND).join('')}…` : after.join('');
  return `${head}\u2068${text.slice(at, at + piece.length)}\u2069${tail}`;
}
