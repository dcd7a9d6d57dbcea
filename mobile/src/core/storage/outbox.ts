/** What waits to leave, and for a while what has left, should it have to be sent again. */
import type { Statement } from '../ports.ts';
import type { Kind } from '../wire/content.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export type Stage = 'queued' | 'encrypted' | 'sealed' | 'blocked';

export interface OutboxItem {
  readonly id: number;
  readonly peer: string;
  readonly contentId: string;
  readonly kind: Kind;
  /** The content as UTF-8 JSON, without a profile. */
  readonly content: Uint8Array;
  /** The message that a person sees of it, if any. */
  readonly seq: number | null;
  /** The message this is, or is about (an edit, a reaction): when that goes, so does this. */
  readonly about: string | null;
  readonly stage: Stage;
  readonly messageType: number | null;
  readonly ciphertext: Uint8Array | null;
  readonly peerIdentity: Uint8Array | null;
  readonly envelopeId: string | null;
  readonly body: Uint8Array | null;
  /** When the certificate within the body expires, seconds since 1970. */
  readonly sealedUntil: number | null;
  readonly attempts: number;
  readonly notBefore: number;
}

export interface SentContent {
  readonly contentId: string;
  readonly kind: Kind;
  readonly content: Uint8Array;
  readonly about: string | null;
}

export const OUTBOX_TABLES: readonly string[] = [
  // stage: queued (the content), encrypted (session ciphertext), sealed (body and envelope id: what is retried), blocked (waits for a person).
  `CREATE TABLE outbox (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     peer TEXT NOT NULL,
     content_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     content BLOB NOT NULL,
     seq INTEGER,
     about TEXT,
     urgent INTEGER NOT NULL DEFAULT 0,      -- 1: leaves before what waits, and holds up nothing while its own time has not come
     stage TEXT NOT NULL CHECK (stage IN ('queued', 'encrypted', 'sealed', 'blocked')),
     message_type INTEGER,
     ciphertext BLOB,
     peer_identity BLOB,
     envelope_id TEXT,
     body BLOB,
     sealed_until INTEGER,
     attempts INTEGER NOT NULL DEFAULT 0,
     not_before INTEGER NOT NULL DEFAULT 0
   ) STRICT`,
  `CREATE INDEX outbox_peer ON outbox (peer, id)`,
  `CREATE INDEX outbox_seq ON outbox (seq) WHERE seq IS NOT NULL`,
  // By envelope, what was in it: the other side asks for an envelope that it could not read. Texts are taken from their message.
  `CREATE TABLE sent_log (
     envelope_id TEXT PRIMARY KEY,
     peer TEXT NOT NULL,
     content_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     content BLOB NOT NULL,
     about TEXT,
     sent_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX sent_log_age ON sent_log (sent_at)`,
  `CREATE INDEX sent_log_about ON sent_log (peer, about)`,
];

/** As long as an envelope may wait at the relay, and a few days. */
const LOGGED_FOR_S = 33 * 86_400;

/** They make no row, and may wait for a time of their own. */
const URGENT: ReadonlySet<Kind> = new Set(['session_reset', 'profile']);

function asOutboxItem(row: Row): OutboxItem {
  return {
    id: row.integer('id'),
    peer: row.text('peer'),
    contentId: row.text('content_id'),
    kind: row.text('kind') as Kind,
    content: row.blob('content'),
    seq: row.integerOrNull('seq'),
    about: row.textOrNull('about'),
    stage: row.text('stage') as Stage,
    messageType: row.integerOrNull('message_type'),
    ciphertext: row.blobOrNull('ciphertext'),
    peerIdentity: row.blobOrNull('peer_identity'),
    envelopeId: row.textOrNull('envelope_id'),
    body: row.blobOrNull('body'),
    sealedUntil: row.integerOrNull('sealed_until'),
    attempts: row.integer('attempts'),
    notBefore: row.integer('not_before'),
  };
}

export interface NewOutboxItem {
  readonly peer: string;
  readonly contentId: string;
  readonly kind: Kind;
  readonly content: Uint8Array;
  readonly about: string | null;
  readonly notBefore?: number;
}

export class OutboxArea extends Area {
  /** The oldest `most` that may still leave, whether or not their time has come: order within a conversation is kept. */
  waiting(peer: string, most: number, now: number): Promise<readonly OutboxItem[]> {
    const sql = `SELECT * FROM outbox WHERE peer = :peer AND stage <> 'blocked' AND (urgent = 0 OR not_before <= :now)
                 ORDER BY urgent DESC, id LIMIT :most`;
    return this.rows(asOutboxItem, sql, { peer, most, now });
  }

  /** When an urgent one that holds up nothing is due. */
  nextUrgent(peer: string): Promise<number | null> {
    const sql = `SELECT min(not_before) AS due FROM outbox WHERE peer = :peer AND urgent = 1 AND stage <> 'blocked'`;
    return this.row((row) => row.integerOrNull('due'), sql, { peer });
  }

  get(id: number): Promise<OutboxItem | null> {
    return this.row(asOutboxItem, 'SELECT * FROM outbox WHERE id = :id', { id });
  }

  /** Who is owed something that may leave by now. */
  peersDue(now: number): Promise<readonly string[]> {
    return this.rows((row) => row.text('peer'), `SELECT DISTINCT peer FROM outbox WHERE stage <> 'blocked' AND (urgent = 0 OR not_before <= :now)`, { now });
  }

  peers(): Promise<readonly string[]> {
    return this.rows((row) => row.text('peer'), `SELECT DISTINCT peer FROM outbox WHERE stage <> 'blocked'`);
  }

  /** An urgent one of this kind that has not been encrypted. */
  urgent(peer: string, kind: Kind): Promise<OutboxItem | null> {
    const sql = `SELECT * FROM outbox WHERE peer = :peer AND kind = :kind AND urgent = 1 AND stage IN ('queued', 'blocked') LIMIT 1`;
    return this.row(asOutboxItem, sql, { peer, kind });
  }

  add(item: NewOutboxItem): Statement {
    const { peer, contentId, kind, content, about, notBefore = 0 } = item;
    return {
      sql: `INSERT INTO outbox (peer, content_id, kind, content, seq, about, urgent, stage, not_before)
            VALUES (:peer, :contentId, :kind, :content, (SELECT seq FROM message WHERE peer = :peer AND content_id = :contentId AND direction = 'out'),
                    :about, :urgent, 'queued', :notBefore)`,
      params: { peer, contentId, kind, content, about, urgent: URGENT.has(kind) ? 1 : 0, notBefore },
    };
  }

  /** What was queued and has no place in the ratchet yet. */
  forgetUnencrypted(peer: string, kind: Kind): readonly Statement[] {
    return [{ sql: 'DELETE FROM outbox WHERE peer = :peer AND kind = :kind AND ciphertext IS NULL', params: { peer, kind } }];
  }

  replaceContent(id: number, content: Uint8Array): Statement {
    return { sql: `UPDATE outbox SET content = :content WHERE id = :id AND stage IN ('queued', 'blocked')`, params: { id, content } };
  }

  encrypted(id: number, messageType: number, ciphertext: Uint8Array, peerIdentity: Uint8Array): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'encrypted', message_type = :messageType, ciphertext = :ciphertext, peer_identity = :peerIdentity WHERE id = :id`,
      params: { id, messageType, ciphertext, peerIdentity },
    };
  }

  sealed(id: number, envelopeId: string, body: Uint8Array, sealedUntil: number): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'sealed', envelope_id = :envelopeId, body = :body, sealed_until = :sealedUntil WHERE id = :id`,
      params: { id, envelopeId, body, sealedUntil },
    };
  }

  /** Back to the session ciphertext: a fresh certificate and a new id are put around it. */
  unseal(id: number, attempts: number, notBefore: number): Statement {
    return {
      sql: `UPDATE outbox SET stage = 'encrypted', envelope_id = NULL, body = NULL, sealed_until = NULL, attempts = :attempts, not_before = :notBefore
            WHERE id = :id`,
      params: { id, attempts, notBefore },
    };
  }

  retry(id: number, attempts: number, notBefore: number): Statement {
    return { sql: 'UPDATE outbox SET attempts = :attempts, not_before = :notBefore WHERE id = :id', params: { id, attempts, notBefore } };
  }

  done(id: number): Statement {
    return { sql: 'DELETE FROM outbox WHERE id = :id', params: { id } };
  }

  block(id: number): Statement {
    return { sql: `UPDATE outbox SET stage = 'blocked' WHERE id = :id`, params: { id } };
  }

  /** What was shut may be open now. What had been encrypted stays encrypted: its place in the ratchet is taken. */
  unblock(peer: string): readonly Statement[] {
    return [
      { sql: `UPDATE message SET state = 'queued', reason = NULL WHERE seq IN (SELECT seq FROM outbox WHERE peer = :peer AND stage = 'blocked')`, params: { peer } },
      {
        sql: `UPDATE outbox SET stage = iif(ciphertext IS NULL, 'queued', 'encrypted'), envelope_id = NULL, body = NULL, attempts = 0, not_before = 0
              WHERE peer = :peer AND stage = 'blocked'`,
        params: { peer },
      },
    ];
  }

  /** Everything that has not left is encrypted anew: the session or the identity it was for is no longer theirs. */
  encryptAgain(peer: string): Statement {
    return {
      sql: `UPDATE outbox SET stage = iif(stage = 'blocked', 'blocked', 'queued'), message_type = NULL, ciphertext = NULL, peer_identity = NULL,
              envelope_id = NULL, body = NULL, sealed_until = NULL WHERE peer = :peer`,
      params: { peer },
    };
  }

  // --- what has left

  log(item: OutboxItem, now: number): readonly Statement[] {
    const { envelopeId, peer, contentId, kind, content, about } = item;
    // A text is taken from its message, as it then is: no copy of it is kept here.
    const kept = kind === 'text' ? new Uint8Array() : content;
    return [
      {
        sql: 'INSERT INTO sent_log VALUES (:envelopeId, :peer, :contentId, :kind, :content, :about, :now) ON CONFLICT DO NOTHING',
        params: { envelopeId, peer, contentId, kind, content: kept, about, now },
      },
      { sql: 'DELETE FROM sent_log WHERE sent_at < :before', params: { before: now - LOGGED_FOR_S } },
    ];
  }

  sent(peer: string, envelopeId: string): Promise<SentContent | null> {
    return this.row(
      (row) => ({ contentId: row.text('content_id'), kind: row.text('kind') as Kind, content: row.blob('content'), about: row.textOrNull('about') }),
      'SELECT * FROM sent_log WHERE peer = :peer AND envelope_id = :envelopeId',
      { peer, envelopeId },
    );
  }

  /** Under another identity nothing that was for the old one is ever sent again. */
  forgetAllSent(peer: string): Statement {
    return { sql: 'DELETE FROM sent_log WHERE peer = :peer', params: { peer } };
  }

  forgetSent(envelopeId: string): Statement {
    return { sql: 'DELETE FROM sent_log WHERE envelope_id = :envelopeId', params: { envelopeId } };
  }
}
