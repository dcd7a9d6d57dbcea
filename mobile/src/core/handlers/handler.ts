/** What a kind of content does when it arrives: `(content, context) -> effects`. A new kind is a new file and a line in table.ts. */
import type { Random, Statement } from '../ports.ts';
import type { Settings } from '../settings.ts';
import type { Contact } from '../storage/people.ts';
import type { Message } from '../storage/messages.ts';
import type { Store } from '../storage/store.ts';
import type { ContentOf, Kind } from '../wire/content.ts';
import type { CallSignal } from '../wire/call.ts';

export interface Arrival {
  /** `mail` is durable and in order; a `signal` may be lost and lives a minute at most. */
  readonly lane: 'mail' | 'signal';
  /** The envelope's or signal's id. */
  readonly id: string;
  /** By the relay's clock, seconds since 1970. */
  readonly at: number;
}

export interface Context {
  readonly store: Store;
  /** Account id of the sender, established by certificate and session. */
  readonly peer: string;
  /** As it was before this content; null for somebody new. */
  readonly contact: Contact | null;
  /** Under the identity key that was known before, and that nobody has to confirm. */
  readonly sameIdentity: boolean;
  readonly arrival: Arrival;
  /** The relay's clock, seconds since 1970. */
  readonly now: number;
  readonly settings: Settings;
  readonly random: Random;
}

/** What is told after everything is on disk. */
export type CoreEvent =
  /** A message of somebody else became visible. */
  | { readonly kind: 'message'; readonly peer: string; readonly name: string | null; readonly message: Omit<Message, 'seq'> }
  | { readonly kind: 'undecryptable'; readonly peer: string | null; readonly reason: string }
  /** Something of the conversation is different. */
  | { readonly kind: 'conversation'; readonly peer: string }
  | { readonly kind: 'contact'; readonly peer: string }
  | { readonly kind: 'typing'; readonly peer: string; readonly typing: boolean }
  | { readonly kind: 'call'; readonly peer: string; readonly signal: CallSignal; readonly sentAt: number; readonly arrival: Arrival }
  | { readonly kind: 'probe'; readonly id: string }
  /** A message made the whole way. */
  | { readonly kind: 'delivered' };

export interface Effects {
  /** Part of the one transaction that also writes session, identity, prekeys and the envelope's id. */
  readonly statements: readonly Statement[];
  /** In their order, after the commit. */
  readonly events: readonly CoreEvent[];
  /** Whether the sender of outgoing messages is to look at this peer again, after the commit. */
  readonly wake?: boolean;
}

export const NOTHING: Effects = { statements: [], events: [] };

/** Reads only; whatever it wants written it answers. Rejects only when this machine failed. */
export type Handler<K extends Kind> = (content: ContentOf<K>, context: Context) => Effects | Promise<Effects>;
