/**
 * Telling contacts a new name, access key or session. All at once would show the relay, by the minute in which their mailboxes
 * fill, who belongs to one member; so each gets it at a time of its own, drawn from a span.
 */
import type { Random, Statement } from '../ports.ts';
import type { Contact } from '../storage/people.ts';
import type { Store } from '../storage/store.ts';
import { uuid4 } from '../uuid.ts';
import { encodeContent } from '../wire/content.ts';
import type { Body } from '../wire/content.ts';

/** Seconds. Whoever writes with the old key meanwhile keeps the message until the new one has come. */
export const SPREAD_S = 600;

/** Those who may know: not strangers who wait for an answer, not the blocked, and nobody who cannot be written to. */
export function isTold(contact: Contact): boolean {
  return !contact.blocked && !contact.request && contact.accessKey !== null;
}

/** Queues a content that makes no row. Times are seconds since 1970. */
export function notice(store: Store, random: Random, peer: string, body: Body, now: number, notBefore: number): Statement {
  // A row of the outbox is a whole content; name and key are put in when it is encrypted, and are then what they are by then.
  const profile = body.kind === 'profile' ? { name: '', contactAccessKey: new Uint8Array(16) } : null;
  const id = uuid4(random);
  return store.outbox.add({ peer, contentId: id, kind: body.kind, content: encodeContent({ id, sentAt: now, profile, resent: null, ...body }), about: null, notBefore });
}

/** One notice a person: one that has not left yet tells the new state as well, and keeps its time. */
export async function profileNotices(store: Store, random: Random, now: number, spreadS = SPREAD_S): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  for (const contact of await store.people.all()) {
    if (!isTold(contact) || (await store.outbox.urgent(contact.account, 'profile'))) continue;
    statements.push(notice(store, random, contact.account, { kind: 'profile' }, now, now + spread(random, spreadS)));
  }
  return statements;
}

/** 0 to `span` seconds, evenly. */
export function spread(random: Random, span: number): number {
  const [high = 0, low = 0] = random.bytes(2);
  return Math.floor((((high << 8) | low) * (span + 1)) / 0x1_0000);
}
