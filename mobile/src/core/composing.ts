/** Rows of own contents, as they are when they are queued. */
import type { Statement } from './ports.ts';
import type { Store } from './storage/store.ts';
import type { ContentOf } from './wire/content.ts';

/** The line that the member sees of an own text. */
export function ownText(store: Store, peer: string, { id, sentAt, text, quote, timerS }: ContentOf<'text'>): Statement {
  return store.messages.add({
    contentId: id,
    peer,
    direction: 'out',
    kind: 'text',
    text,
    sentAt,
    state: 'queued',
    quoteId: quote?.id ?? null,
    quoteMine: quote?.author === 'sender',
    quoteText: quote?.text ?? null,
    timerS,
  });
}
