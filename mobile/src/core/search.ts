/** From what a person types to an FTS5 expression. */
const MOST_WORDS = 16;

/**
 * Every word must be there; the last one, still being typed, may be a beginning. Null when there is no word in it. Words are
 * quoted (a quote within doubled), so nothing a person types is read as FTS5 syntax.
 */
export function matchOf(query: string): string | null {
  // Of a word, letters and digits of any script count (unicode61 drops the rest); a word without any would match nothing.
  const words = query.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word)).slice(0, MOST_WORDS);
  if (words.length === 0) return null;
  return words.map((word, index) => `"${word.replaceAll('\u0000', '').replaceAll('"', '""')}"${index === words.length - 1 ? '*' : ''}`).join(' ');
}
