/**
 * When something cannot be read: a new session is begun and said so, and what was lost is asked for by its envelope. The
 * other side shows a note and sends it again, once an envelope. Everything is part of the units of work of receiving.
 */
import type { Random, Statement } from './ports.ts';
import type { Message } from './storage/messages.ts';
import type { Contact } from './storage/people.ts';
import type { Store } from './storage/store.ts';
import { uuid4 } from './uuid.ts';
import { encodeContent, MOST_IDS, parseContent } from './wire/content.ts';
import type { Content, Kind } from './wire/content.ts';

/**
 * Seconds to the next repair of a session, from now for the first, else from the one before. A little, so that what arrived along
 * with the unreadable one is asked for together; then more and more: two apps that cannot agree must not chase each other.
 */
const PATIENCE_S = [3, 60, 600, 3_600, 6 * 3_600, 24 * 3_600] as const;
/** After so long without one, the next repair is the first again. */
const FORGIVEN_AFTER_S = 3 * 86_400;

/** Verdicts that a new session can help with. A content that is none came through a session that works. */
const BROKEN: ReadonlySet<string> = new Set(['undecryptable', 'missing_prekey', 'untrusted_identity', 'identity_changed']);

/** What asks this sender for `envelopeId` again; nothing when they cannot be written to or it would not help. */
export async function repairStatements(
  store: Store,
  random: Random,
  contact: Contact | null,
  reason: string,
  envelopeId: string,
  now: number,
): Promise<readonly Statement[]> {
  if (!contact?.accessKey || contact.blocked || contact.request || !BROKEN.has(reason)) return [];
  const peer = contact.account;
  const waiting = await store.outbox.urgent(peer, 'session_reset');
  if (waiting) {
    const content = parseContent(waiting.content);
    if (content.kind !== 'session_reset' || content.lost.length >= MOST_IDS || content.lost.includes(envelopeId)) return [];
    return [store.outbox.replaceContent(waiting.id, encodeContent({ ...content, lost: [...content.lost, envelopeId] }))];
  }
  const before = await store.keys.repairs(peer);
  const times = before && now - before.lastAt < FORGIVEN_AFTER_S ? before.times : 0;
  const patience = PATIENCE_S[Math.min(times, PATIENCE_S.length - 1)] ?? 0;
  const notBefore = times === 0 || !before ? now + patience : Math.max(now, before.lastAt + patience);
  const contentId = uuid4(random);
  const content = encodeContent({ id: contentId, sentAt: now, profile: null, resent: null, kind: 'session_reset', reason, lost: [envelopeId] });
  return [
    store.keys.repairing(peer, times + 1, notBefore),
    store.messages.add({ contentId, peer, direction: 'out', kind: 'session_reset', sentAt: now, state: 'queued', reason, readAt: now }),
    store.outbox.add({ peer, contentId, kind: 'session_reset', content, about: null, notBefore }),
  ];
}

/** Contents that are worth nothing later, or that would ask in turn. */
const NEVER_AGAIN: ReadonlySet<Kind> = new Set(['session_reset', 'probe', 'null', 'typing']);

/** Queues again what was in these envelopes, as it now is: what has been taken back or has disappeared stays gone. */
export async function resendStatements(store: Store, peer: string, lost: readonly string[]): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  for (const envelopeId of new Set(lost)) {
    const sent = await store.outbox.sent(peer, envelopeId);
    if (!sent) continue;
    statements.push(store.outbox.forgetSent(envelopeId));
    if (NEVER_AGAIN.has(sent.kind)) continue;
    const message = sent.kind === 'text' ? await store.messages.get(peer, sent.contentId) : null;
    const content = sent.kind === 'text' ? message && textOf(message) : parseContent(sent.content);
    if (!content || content.kind === 'unknown') continue;
    const { contentId, kind, about } = sent;
    statements.push(store.outbox.add({ peer, contentId, kind, about, content: encodeContent({ ...content, resent: envelopeId }) }));
  }
  return statements;
}

/** The content of an own text as the message now is. Null when there is none any more. */
export function textOf(message: Message): Content | null {
  if (message.kind !== 'text' || message.direction !== 'out' || message.text === null) return null;
  const { contentId: id, sentAt, text, quoteId, quoteMine, quoteText, timerS } = message;
  const quote = quoteId === null ? null : { id: quoteId, author: quoteMine ? ('sender' as const) : ('recipient' as const), text: quoteText ?? '' };
  return { id, sentAt, profile: null, resent: null, kind: 'text', text, quote, timerS };
}
