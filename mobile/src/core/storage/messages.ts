/** Messages and what hangs on them. What pages of a conversation and its line in the list show is in conversations.ts. */
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export type MessageKind = 'text' | 'deleted' | 'undecryptable' | 'session_reset' | 'identity_changed' | 'timer' | 'call';
export type MessageState = 'received' | 'queued' | 'sent' | 'delivered' | 'read' | 'blocked' | 'failed';

export interface Message {
  readonly seq: number;
  readonly contentId: string;
  readonly peer: string | null;
  readonly direction: 'in' | 'out';
  readonly kind: MessageKind;
  readonly text: string | null;
  readonly sentAt: number;
  readonly arrivedAt: number | null;
  readonly state: MessageState;
  readonly reason: string | null;
  readonly editedAt: number | null;
  readonly quoteId: string | null;
  readonly quoteMine: boolean;
  readonly quoteText: string | null;
  readonly timerS: number;
  readonly expiresAt: number | null;
  readonly readAt: number | null;
  readonly callOutcome: string | null;
  readonly callSeconds: number | null;
}

/** What a new row needs to be told; the rest has a default. */
export type NewMessage = Pick<Message, 'contentId' | 'peer' | 'direction' | 'kind' | 'sentAt' | 'state'> & Partial<Omit<Message, 'seq'>>;

export const MESSAGE_TABLES: readonly string[] = [
  // What a person sees, in the order this app came to know it: seq. peer is null when the sender could not be established.
  `CREATE TABLE message (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     content_id TEXT NOT NULL,               -- of an undecryptable one: the envelope's id
     peer TEXT,
     direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
     kind TEXT NOT NULL CHECK (kind IN ('text', 'deleted', 'undecryptable', 'session_reset', 'identity_changed', 'timer', 'call')),
     text TEXT,
     sent_at INTEGER NOT NULL,
     arrived_at INTEGER,
     state TEXT NOT NULL CHECK (state IN ('received', 'queued', 'sent', 'delivered', 'read', 'blocked', 'failed')),
     reason TEXT,                            -- a code: why it is undecryptable, blocked or failed
     edited_at INTEGER,
     quote_id TEXT,
     quote_mine INTEGER NOT NULL DEFAULT 0,  -- 1 when the quoted message is this member's
     quote_text TEXT,
     timer_s INTEGER NOT NULL DEFAULT 0,     -- disappears so long after it was read (own ones: after they left); 0 never
     expires_at INTEGER,
     read_at INTEGER,                        -- null as long as it counts as unread; own ones and notes never do
     call_outcome TEXT,
     call_seconds INTEGER
   ) STRICT`,
  // Within a conversation an id stands for one message, whoever wrote it.
  `CREATE UNIQUE INDEX message_content ON message (peer, content_id)`,
  `CREATE INDEX message_page ON message (peer, seq)`,
  // Holds unread rows only, so counting them costs as much as there are, and there is no counter that could drift.
  `CREATE INDEX message_unread ON message (peer, seq) WHERE direction = 'in' AND read_at IS NULL`,
  `CREATE INDEX message_expiry ON message (expires_at) WHERE expires_at IS NOT NULL`,
  `CREATE INDEX message_quote ON message (peer, quote_id) WHERE quote_id IS NOT NULL`,
  `CREATE TABLE reaction (
     peer TEXT NOT NULL,
     content_id TEXT NOT NULL,
     mine INTEGER NOT NULL,
     emoji TEXT NOT NULL,
     PRIMARY KEY (peer, content_id, mine)
   ) STRICT, WITHOUT ROWID`,
  // Full-text index over message.text, kept by the triggers below; it holds words and positions, not a second copy of the text.
  `CREATE VIRTUAL TABLE message_text USING fts5 (text, content='message', content_rowid='seq', tokenize='unicode61 remove_diacritics 2')`,
  // What is deleted leaves the index at once, not when its pages are merged one day.
  `INSERT INTO message_text (message_text, rank) VALUES ('secure-delete', 1)`,
  // Rows without a text are in it too, as nothing: so its integrity check finds a row for each message.
  `CREATE TRIGGER message_text_insert AFTER INSERT ON message BEGIN
     INSERT INTO message_text (rowid, text) VALUES (new.seq, new.text);
   END`,
  `CREATE TRIGGER message_text_delete AFTER DELETE ON message BEGIN
     INSERT INTO message_text (message_text, rowid, text) VALUES ('delete', old.seq, old.text);
   END`,
  `CREATE TRIGGER message_text_update AFTER UPDATE OF text ON message WHEN old.text IS NOT new.text BEGIN
     INSERT INTO message_text (message_text, rowid, text) VALUES ('delete', old.seq, old.text);
     INSERT INTO message_text (rowid, text) VALUES (new.seq, new.text);
   END`,
];

export function asMessage(row: Row): Message {
  return {
    seq: row.integer('seq'),
    contentId: row.text('content_id'),
    peer: row.textOrNull('peer'),
    direction: row.text('direction') as Message['direction'],
    kind: row.text('kind') as MessageKind,
    text: row.textOrNull('text'),
    sentAt: row.integer('sent_at'),
    arrivedAt: row.integerOrNull('arrived_at'),
    state: row.text('state') as MessageState,
    reason: row.textOrNull('reason'),
    editedAt: row.integerOrNull('edited_at'),
    quoteId: row.textOrNull('quote_id'),
    quoteMine: row.flag('quote_mine'),
    quoteText: row.textOrNull('quote_text'),
    timerS: row.integer('timer_s'),
    expiresAt: row.integerOrNull('expires_at'),
    readAt: row.integerOrNull('read_at'),
    callOutcome: row.textOrNull('call_outcome'),
    callSeconds: row.integerOrNull('call_seconds'),
  };
}

const EXPIRED = 'SELECT peer, content_id FROM message WHERE expires_at <= :now';

export class MessageArea extends Area {
  get(peer: string, contentId: string): Promise<Message | null> {
    return this.row(asMessage, 'SELECT * FROM message WHERE peer = :peer AND content_id = :contentId', { peer, contentId });
  }

  /** In the order they became known here. Without a peer: all of them. For tests and small tools; screens read pages. */
  all(peer?: string): Promise<readonly Message[]> {
    return peer === undefined
      ? this.rows(asMessage, 'SELECT * FROM message ORDER BY seq')
      : this.rows(asMessage, 'SELECT * FROM message WHERE peer = :peer ORDER BY seq', { peer });
  }

  async counts(): Promise<{ readonly received: number; readonly sent: number; readonly waiting: number; readonly blocked: number; readonly undecryptable: number; readonly unattributed: number }> {
    const sql = `SELECT count(*) FILTER (WHERE direction = 'in' AND kind = 'text') AS received,
                        count(*) FILTER (WHERE state IN ('sent', 'delivered', 'read')) AS sent,
                        count(*) FILTER (WHERE state = 'queued') AS waiting,
                        count(*) FILTER (WHERE state IN ('blocked', 'failed')) AS blocked,
                        count(*) FILTER (WHERE kind = 'undecryptable') AS undecryptable,
                        count(*) FILTER (WHERE peer IS NULL) AS unattributed FROM message`;
    const counts = await this.row(
      (row) => ({
        received: row.integer('received'),
        sent: row.integer('sent'),
        waiting: row.integer('waiting'),
        blocked: row.integer('blocked'),
        undecryptable: row.integer('undecryptable'),
        unattributed: row.integer('unattributed'),
      }),
      sql,
    );
    return counts ?? { received: 0, sent: 0, waiting: 0, blocked: 0, undecryptable: 0, unattributed: 0 };
  }

  add(message: NewMessage): Statement {
    return {
      sql: `INSERT INTO message (content_id, peer, direction, kind, text, sent_at, arrived_at, state, reason, quote_id, quote_mine, quote_text,
                                 timer_s, expires_at, read_at, call_outcome, call_seconds)
            VALUES (:contentId, :peer, :direction, :kind, :text, :sentAt, :arrivedAt, :state, :reason, :quoteId, :quoteMine, :quoteText,
                    :timerS, :expiresAt, :readAt, :callOutcome, :callSeconds)`,
      params: {
        contentId: message.contentId,
        peer: message.peer,
        direction: message.direction,
        kind: message.kind,
        text: message.text ?? null,
        sentAt: message.sentAt,
        arrivedAt: message.arrivedAt ?? null,
        state: message.state,
        reason: message.reason ?? null,
        quoteId: message.quoteId ?? null,
        quoteMine: message.quoteMine === true ? 1 : 0,
        quoteText: message.quoteText ?? null,
        timerS: message.timerS ?? 0,
        expiresAt: message.expiresAt ?? null,
        readAt: message.readAt ?? null,
        callOutcome: message.callOutcome ?? null,
        callSeconds: message.callSeconds ?? null,
      },
    };
  }

  /** A text that could not be read when it came, and has come again: in its own place. */
  fillIn(peer: string, envelopeId: string, message: Pick<NewMessage, 'contentId' | 'text' | 'sentAt' | 'quoteId' | 'quoteMine' | 'quoteText' | 'timerS'>): Statement {
    return {
      sql: `UPDATE message SET content_id = :contentId, kind = 'text', text = :text, sent_at = :sentAt, reason = NULL, quote_id = :quoteId,
              quote_mine = :quoteMine, quote_text = :quoteText, timer_s = :timerS
            WHERE peer = :peer AND content_id = :envelopeId AND kind = 'undecryptable'`,
      params: {
        peer,
        envelopeId,
        contentId: message.contentId,
        text: message.text ?? null,
        sentAt: message.sentAt,
        quoteId: message.quoteId ?? null,
        quoteMine: message.quoteMine === true ? 1 : 0,
        quoteText: message.quoteText ?? null,
        timerS: message.timerS ?? 0,
      },
    };
  }

  /** The line that stood for an envelope that could not be read, unless something has taken its place. */
  removeGap(peer: string, envelopeId: string): Statement {
    return { sql: `DELETE FROM message WHERE peer = :peer AND content_id = :envelopeId AND kind = 'undecryptable'`, params: { peer, envelopeId } };
  }

  /** For the delivery of an own message: states only go forward, whatever order answers and receipts come in. */
  setState(seq: number, state: MessageState, reason: string | null, now: number): Statement {
    const from = state === 'sent' ? `('queued', 'blocked', 'failed')` : `('queued', 'blocked', 'failed', 'sent')`;
    return {
      sql: `UPDATE message SET state = :state, reason = :reason,
              expires_at = iif(:state = 'sent' AND kind = 'text' AND timer_s > 0 AND expires_at IS NULL, :now + timer_s, expires_at)
            WHERE seq = :seq AND state IN ${from}`,
      params: { seq, state, reason, now },
    };
  }

  /** `ids` is a JSON list of content ids. */
  setReceipt(peer: string, status: 'delivered' | 'read', ids: readonly string[]): Statement {
    const from = status === 'read' ? `('queued', 'sent', 'delivered', 'blocked', 'failed')` : `('queued', 'sent', 'blocked', 'failed')`;
    return {
      sql: `UPDATE message SET state = :status, reason = NULL WHERE peer = :peer AND content_id IN (SELECT value FROM json_each(:ids))
              AND direction = 'out' AND state IN ${from}`,
      params: { peer, status, ids: JSON.stringify(ids) },
    };
  }

  /** Texts only, of who wrote them. */
  edit(peer: string, direction: Message['direction'], contentId: string, text: string, now: number): Statement {
    return {
      sql: `UPDATE message SET text = :text, edited_at = :now
            WHERE peer = :peer AND direction = :direction AND content_id = :contentId AND kind = 'text'`,
      params: { peer, direction, contentId, text, now },
    };
  }

  /** Leaves a note in its place; nothing of the text stays, neither in quotes nor in what would be sent again. */
  takeBack(peer: string, direction: Message['direction'], contentId: string, now: number): readonly Statement[] {
    const params = { peer, contentId, direction };
    const target = `SELECT 1 FROM message WHERE peer = :peer AND content_id = :contentId AND direction = :direction`;
    return [
      { sql: `UPDATE message SET quote_text = NULL WHERE peer = :peer AND quote_id = :contentId AND EXISTS (${target})`, params },
      { sql: `DELETE FROM reaction WHERE peer = :peer AND content_id = :contentId AND EXISTS (${target})`, params },
      { sql: `DELETE FROM sent_log WHERE peer = :peer AND about = :contentId AND EXISTS (${target})`, params },
      {
        sql: `UPDATE message SET kind = 'deleted', text = NULL, quote_id = NULL, quote_text = NULL, edited_at = NULL, read_at = coalesce(read_at, :now)
              WHERE peer = :peer AND content_id = :contentId AND direction = :direction AND kind IN ('text', 'deleted')`,
        params: { ...params, now },
      },
    ];
  }

  /** From this app only, as if it had never been here. */
  remove(peer: string, contentId: string): readonly Statement[] {
    const params = { peer, contentId };
    return [
      { sql: 'UPDATE message SET quote_text = NULL WHERE peer = :peer AND quote_id = :contentId', params },
      { sql: 'DELETE FROM reaction WHERE peer = :peer AND content_id = :contentId', params },
      { sql: 'DELETE FROM sent_log WHERE peer = :peer AND about = :contentId', params },
      { sql: `DELETE FROM outbox WHERE peer = :peer AND about = :contentId AND stage IN ('queued', 'blocked')`, params },
      { sql: 'DELETE FROM message WHERE peer = :peer AND content_id = :contentId', params },
    ];
  }

  removeAll(peer: string): readonly Statement[] {
    const params = { peer };
    return [
      { sql: 'DELETE FROM reaction WHERE peer = :peer', params },
      { sql: 'DELETE FROM sent_log WHERE peer = :peer', params },
      { sql: `DELETE FROM outbox WHERE peer = :peer AND about IS NOT NULL AND stage IN ('queued', 'blocked')`, params },
      { sql: 'DELETE FROM receipt_due WHERE peer = :peer', params },
      { sql: 'DELETE FROM message WHERE peer = :peer', params },
    ];
  }

  setReaction(peer: string, contentId: string, mine: boolean, emoji: string | null): Statement {
    const params = { peer, contentId, mine: mine ? 1 : 0 };
    if (emoji === null) return { sql: 'DELETE FROM reaction WHERE peer = :peer AND content_id = :contentId AND mine = :mine', params };
    return {
      sql: `INSERT INTO reaction SELECT :peer, :contentId, :mine, :emoji
              WHERE EXISTS (SELECT 1 FROM message WHERE peer = :peer AND content_id = :contentId AND kind = 'text')
            ON CONFLICT (peer, content_id, mine) DO UPDATE SET emoji = excluded.emoji`,
      params: { ...params, emoji },
    };
  }

  // --- disappearing

  /** When the next message goes, null when none will. */
  nextExpiry(): Promise<number | null> {
    return this.row((row) => row.integer('expires_at'), 'SELECT expires_at FROM message WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT 1');
  }

  expiredPeers(now: number): Promise<readonly string[]> {
    return this.rows((row) => row.text('peer'), 'SELECT DISTINCT peer FROM message WHERE expires_at <= :now AND peer IS NOT NULL', { now });
  }

  removeExpired(now: number): readonly Statement[] {
    const params = { now };
    return [
      { sql: `UPDATE message SET quote_text = NULL WHERE quote_id IS NOT NULL AND (peer, quote_id) IN (${EXPIRED})`, params },
      { sql: `DELETE FROM reaction WHERE (peer, content_id) IN (${EXPIRED})`, params },
      { sql: `DELETE FROM sent_log WHERE (peer, about) IN (${EXPIRED})`, params },
      { sql: 'DELETE FROM message WHERE expires_at <= :now', params },
    ];
  }
}
