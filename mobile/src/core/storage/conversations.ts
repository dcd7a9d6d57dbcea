/** Conversations as screens read them: pages, the list, unread counts, drafts, search. Costs do not grow with their length. */
import type { Statement } from '../ports.ts';
import { excerptAround } from '../search.ts';
import type { Sought } from '../search.ts';
import { asMessage } from './messages.ts';
import type { Message } from './messages.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export interface Conversation {
  readonly peer: string;
  readonly draft: string;
  readonly timerS: number;
  /** When it was last set, by the relay's clock; 0 never. */
  readonly timerAt: number;
  readonly archived: boolean;
  readonly unread: number;
  /** Of the newest message; null when there is none. */
  readonly lastSeq: number | null;
}

export interface Reaction {
  readonly contentId: string;
  readonly mine: boolean;
  readonly emoji: string;
}

export interface Found {
  readonly message: Message;
  /** The text around the match, with the match between U+2068 and U+2069. */
  readonly excerpt: string;
}

export const CONVERSATION_TABLES: readonly string[] = [
  // What belongs to a conversation rather than to a message of it; no row: defaults.
  `CREATE TABLE conversation (
     peer TEXT PRIMARY KEY,
     draft TEXT NOT NULL DEFAULT '',
     timer_s INTEGER NOT NULL DEFAULT 0,     -- of new messages; 0 is off
     timer_at INTEGER NOT NULL DEFAULT 0,    -- when it was last set, by the relay's clock
     archived INTEGER NOT NULL DEFAULT 0
   ) STRICT, WITHOUT ROWID`,
  // Receipts that wait for their random delay; one row a message and status.
  `CREATE TABLE receipt_due (
     peer TEXT NOT NULL,
     status TEXT NOT NULL CHECK (status IN ('delivered', 'read')),
     content_id TEXT NOT NULL,
     due_at INTEGER NOT NULL,
     PRIMARY KEY (peer, status, content_id)
   ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX receipt_due_at ON receipt_due (due_at)`,
];

const UNREAD = `(SELECT count(*) FROM message m WHERE m.peer = p.account_id AND m.direction = 'in' AND m.read_at IS NULL)`;
const LAST = `(SELECT max(seq) FROM message m WHERE m.peer = p.account_id)`;
const COLUMNS = `p.account_id AS peer, coalesce(c.draft, '') AS draft, coalesce(c.timer_s, 0) AS timer_s, coalesce(c.timer_at, 0) AS timer_at, coalesce(c.archived, 0) AS archived,
                 ${UNREAD} AS unread, ${LAST} AS last_seq`;

function asConversation(row: Row): Conversation {
  return {
    peer: row.text('peer'),
    draft: row.text('draft'),
    timerS: row.integer('timer_s'),
    timerAt: row.integer('timer_at'),
    archived: row.flag('archived'),
    unread: row.integer('unread'),
    lastSeq: row.integerOrNull('last_seq'),
  };
}

export const PAGE_NEWEST = 'SELECT * FROM message WHERE peer = :peer ORDER BY seq DESC LIMIT :limit';
export const PAGE_BEFORE = 'SELECT * FROM message WHERE peer = :peer AND seq < :before ORDER BY seq DESC LIMIT :limit';
export const UNREAD_OF = `SELECT count(*) AS unread FROM message WHERE peer = :peer AND direction = 'in' AND read_at IS NULL`;

export class ConversationArea extends Area {
  /** Of everybody there is something to show of: messages or a draft; the one with the newest message first. */
  list(archived: boolean): Promise<readonly Conversation[]> {
    const sql = `SELECT ${COLUMNS} FROM contact p LEFT JOIN conversation c ON c.peer = p.account_id
                 WHERE coalesce(c.archived, 0) = :archived
                   AND (coalesce(c.draft, '') <> '' OR EXISTS (SELECT 1 FROM message m WHERE m.peer = p.account_id))
                 ORDER BY last_seq DESC NULLS FIRST`;
    return this.rows(asConversation, sql, { archived: archived ? 1 : 0 });
  }

  /** Null when there is no such contact. */
  get(peer: string): Promise<Conversation | null> {
    return this.row(asConversation, `SELECT ${COLUMNS} FROM contact p LEFT JOIN conversation c ON c.peer = p.account_id WHERE p.account_id = :peer`, { peer });
  }

  message(seq: number): Promise<Message | null> {
    return this.row(asMessage, 'SELECT * FROM message WHERE seq = :seq', { seq });
  }

  /** The newest `limit` before the cursor, in ascending order. */
  async page(peer: string, before: number | null, limit: number): Promise<readonly Message[]> {
    const rows = before === null ? await this.rows(asMessage, PAGE_NEWEST, { peer, limit }) : await this.rows(asMessage, PAGE_BEFORE, { peer, before, limit });
    return [...rows].reverse();
  }

  async unread(peer: string): Promise<number> {
    return (await this.row((row) => row.integer('unread'), UNREAD_OF, { peer })) ?? 0;
  }

  reactions(peer: string, contentIds: readonly string[]): Promise<readonly Reaction[]> {
    return this.rows(
      (row) => ({ contentId: row.text('content_id'), mine: row.flag('mine'), emoji: row.text('emoji') }),
      'SELECT * FROM reaction WHERE peer = :peer AND content_id IN (SELECT value FROM json_each(:ids)) ORDER BY content_id, mine',
      { peer, ids: JSON.stringify(contentIds) },
    );
  }

  /** Newest first. With a word by the index it costs what it finds; pieces alone are looked for from the newest message on. */
  search({ match, within }: Sought, peer: string | null, limit: number): Promise<readonly Found[]> {
    const pieces = `NOT EXISTS (SELECT 1 FROM json_each(:within) AS piece WHERE m.text NOT LIKE piece.value ESCAPE '\\')`;
    const mine = 'm.peer IS NOT NULL AND (:peer IS NULL OR m.peer = :peer)';
    const sql =
      match === null
        ? `SELECT m.*, m.text AS excerpt FROM message m WHERE ${peer === null ? mine : 'm.peer = :peer'} AND m.text IS NOT NULL AND ${pieces} ORDER BY m.seq DESC LIMIT :limit`
        : `SELECT m.*, snippet(message_text, 0, char(0x2068), char(0x2069), '…', 16) AS excerpt
           FROM message_text CROSS JOIN message m ON m.seq = message_text.rowid
           WHERE message_text MATCH :match AND ${mine} AND ${pieces}
           ORDER BY message_text.rowid DESC LIMIT :limit`;
    const found = (row: Row): Found => ({ message: asMessage(row), excerpt: match === null ? excerptAround(row.text('excerpt'), within[0] ?? '') : row.text('excerpt') });
    return this.rows(found, sql, { ...(match !== null && { match }), within: JSON.stringify(within), peer, limit });
  }

  // --- reading

  /** Read receipts for what `markRead` is about to mark; in the same transaction, before it. */
  owesReadReceipts(peer: string, upToSeq: number, dueAt: number): Statement {
    return {
      sql: `INSERT INTO receipt_due SELECT peer, 'read', content_id, :dueAt FROM message
            WHERE peer = :peer AND seq <= :upToSeq AND direction = 'in' AND read_at IS NULL AND kind = 'text'
            ON CONFLICT DO NOTHING`,
      params: { peer, upToSeq, dueAt },
    };
  }

  /** Also starts the time of those that disappear. */
  markRead(peer: string, upToSeq: number, now: number): Statement {
    return {
      sql: `UPDATE message SET read_at = :now, expires_at = iif(timer_s > 0, :now + timer_s, NULL)
            WHERE peer = :peer AND seq <= :upToSeq AND direction = 'in' AND read_at IS NULL`,
      params: { peer, upToSeq, now },
    };
  }

  owesReceipt(peer: string, status: 'delivered' | 'read', contentId: string, dueAt: number): Statement {
    return {
      sql: 'INSERT INTO receipt_due VALUES (:peer, :status, :contentId, :dueAt) ON CONFLICT DO NOTHING',
      params: { peer, status, contentId, dueAt },
    };
  }

  nextReceipt(): Promise<number | null> {
    return this.row((row) => row.integer('due_at'), 'SELECT due_at FROM receipt_due ORDER BY due_at LIMIT 1');
  }

  /** Who is owed a receipt that is due. */
  receiptsDue(now: number): Promise<readonly { readonly peer: string; readonly status: 'delivered' | 'read' }[]> {
    return this.rows(
      (row) => ({ peer: row.text('peer'), status: row.text('status') as 'delivered' | 'read' }),
      'SELECT DISTINCT peer, status FROM receipt_due WHERE due_at <= :now',
      { now },
    );
  }

  /** All that is owed to one person, due or not: it goes along. */
  receiptsOwed(peer: string, status: 'delivered' | 'read', limit: number): Promise<readonly string[]> {
    const sql = 'SELECT content_id FROM receipt_due WHERE peer = :peer AND status = :status LIMIT :limit';
    return this.rows((row) => row.text('content_id'), sql, { peer, status, limit });
  }

  receiptsGiven(peer: string, status: 'delivered' | 'read', contentIds: readonly string[]): Statement {
    return {
      sql: 'DELETE FROM receipt_due WHERE peer = :peer AND status = :status AND content_id IN (SELECT value FROM json_each(:ids))',
      params: { peer, status, ids: JSON.stringify(contentIds) },
    };
  }

  // --- the conversation itself

  setDraft(peer: string, draft: string): Statement {
    return { sql: 'INSERT INTO conversation (peer, draft) VALUES (:peer, :draft) ON CONFLICT (peer) DO UPDATE SET draft = excluded.draft', params: { peer, draft } };
  }

  /** The later word wins, of two in one second the longer time, so that both sides agree. `at` is by the relay's clock. */
  setTimer(peer: string, seconds: number, at: number): Statement {
    return {
      sql: `INSERT INTO conversation (peer, timer_s, timer_at) VALUES (:peer, :seconds, :at)
            ON CONFLICT (peer) DO UPDATE SET timer_s = excluded.timer_s, timer_at = excluded.timer_at
              WHERE excluded.timer_at > timer_at OR (excluded.timer_at = timer_at AND excluded.timer_s > timer_s)`,
      params: { peer, seconds, at },
    };
  }

  setArchived(peer: string, archived: boolean): Statement {
    return {
      sql: 'INSERT INTO conversation (peer, archived) VALUES (:peer, :archived) ON CONFLICT (peer) DO UPDATE SET archived = excluded.archived',
      params: { peer, archived: archived ? 1 : 0 },
    };
  }

  /** With its draft; the timer stays, since the other side goes by it. */
  clear(peer: string): Statement {
    return { sql: `UPDATE conversation SET draft = '', archived = 0 WHERE peer = :peer`, params: { peer } };
  }
}
