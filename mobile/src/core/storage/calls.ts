/** The log of calls. A conversation shows each one that is over as a line of its own, of kind `call`. */
import type { CallOutcome } from '../messenger.ts';
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export interface LoggedCall {
  readonly id: string;
  readonly peer: string;
  readonly outgoing: boolean;
  /** Times in seconds since 1970. */
  readonly startedAt: number;
  readonly connectedAt: number | null;
  readonly endedAt: number | null;
  /** Null while it goes on; of a call in which the app was killed, until the next start. */
  readonly outcome: CallOutcome | null;
}

export const CALL_TABLES: readonly string[] = [
  // Ids are made by who calls, so only with the peer they are one.
  `CREATE TABLE call_log (
     peer TEXT NOT NULL,
     id TEXT NOT NULL,
     outgoing INTEGER NOT NULL,
     started_at INTEGER NOT NULL,
     connected_at INTEGER,
     ended_at INTEGER,
     outcome TEXT CHECK (outcome IN ('answered', 'missed', 'declined', 'busy', 'no_answer', 'failed')),
     PRIMARY KEY (peer, id)
   ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX call_log_order ON call_log (started_at)`,
];

/** Older ones go; the lines in the conversations stay. */
export const MOST_CALLS = 1_000;

function asCall(row: Row): LoggedCall {
  return {
    id: row.text('id'),
    peer: row.text('peer'),
    outgoing: row.flag('outgoing'),
    startedAt: row.integer('started_at'),
    connectedAt: row.integerOrNull('connected_at'),
    endedAt: row.integerOrNull('ended_at'),
    outcome: row.textOrNull('outcome') as CallOutcome | null,
  };
}

export class CallArea extends Area {
  /** Newest first. */
  all(): Promise<readonly LoggedCall[]> {
    return this.rows(asCall, 'SELECT * FROM call_log ORDER BY started_at DESC, id DESC');
  }

  /** In which the app was killed. */
  open(): Promise<readonly LoggedCall[]> {
    return this.rows(asCall, 'SELECT * FROM call_log WHERE outcome IS NULL ORDER BY started_at');
  }

  /** A call that is over stays as it was first said to be, whatever comes late or twice. A missed one counts as unread. */
  record({ id, peer, outgoing, startedAt, connectedAt, endedAt, outcome }: LoggedCall, now: number): readonly Statement[] {
    const key = { id, peer };
    return [
      {
        sql: `INSERT INTO call_log VALUES (:peer, :id, :outgoing, :startedAt, :connectedAt, :endedAt, :outcome)
              ON CONFLICT (peer, id) DO UPDATE SET connected_at = coalesce(connected_at, excluded.connected_at), ended_at = excluded.ended_at,
                outcome = excluded.outcome
              WHERE outcome IS NULL`,
        params: { ...key, outgoing: outgoing ? 1 : 0, startedAt, connectedAt, endedAt, outcome },
      },
      {
        sql: `INSERT INTO message (content_id, peer, direction, kind, sent_at, arrived_at, state, read_at, call_outcome, call_seconds)
              SELECT id, peer, iif(outgoing = 1, 'out', 'in'), 'call', started_at, iif(outgoing = 1, NULL, :now), iif(outgoing = 1, 'sent', 'received'),
                iif(outcome = 'missed', NULL, :now), outcome, coalesce(ended_at - connected_at, 0)
              FROM call_log WHERE peer = :peer AND id = :id AND outcome IS NOT NULL
              ON CONFLICT (peer, content_id) DO NOTHING`,
        params: { ...key, now },
      },
      {
        sql: `DELETE FROM call_log WHERE outcome IS NOT NULL AND (peer, id) NOT IN (SELECT peer, id FROM call_log ORDER BY started_at DESC LIMIT :most)`,
        params: { most: MOST_CALLS },
      },
    ];
  }

  forgetAll(): Statement {
    return { sql: 'DELETE FROM call_log WHERE outcome IS NOT NULL' };
  }
}
