/** Sessions with others, and the private halves of our prekeys. */
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

export type PreKeyKind = 'signed' | 'ec' | 'kyber' | 'kyber_last_resort';

export interface StoredPreKey {
  readonly kind: PreKeyKind;
  readonly id: number;
  readonly record: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array | null;
}

/** `pending`: made, not known to be at the relay. `current`. `old`: replaced at the relay at `since`. */
export type KeyState = 'pending' | 'current' | 'old';

export interface KeptPreKey extends StoredPreKey {
  readonly state: KeyState;
  /** When it came into this state, seconds since 1970. */
  readonly since: number;
}

export const KEY_TABLES: readonly string[] = [
  // Both halves of every prekey. kind: signed, ec, kyber, kyber_last_resort.
  `CREATE TABLE prekey (
     kind TEXT NOT NULL,
     id INTEGER NOT NULL,
     record BLOB NOT NULL,
     public_key BLOB NOT NULL,
     signature BLOB,
     state TEXT NOT NULL CHECK (state IN ('pending', 'current', 'old')),
     since INTEGER NOT NULL,                 -- when it came into this state
     PRIMARY KEY (kind, id)
   ) STRICT, WITHOUT ROWID`,
  // Base keys that used a last-resort Kyber key: it is not deleted after use, so a replayed first message is known by this.
  `CREATE TABLE last_resort_use (
     kyber_id INTEGER NOT NULL,
     signed_id INTEGER NOT NULL,
     base_key BLOB NOT NULL,
     PRIMARY KEY (kyber_id, signed_id, base_key)
   ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE session (
     account_id TEXT PRIMARY KEY,
     record BLOB NOT NULL
   ) STRICT, WITHOUT ROWID`,
  // How often, and when last, a session was begun anew because something could not be read: it gets rarer, so that two broken apps do not chase each other.
  `CREATE TABLE session_repair (
     account_id TEXT PRIMARY KEY,
     times INTEGER NOT NULL,
     last_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  // What was settled of the relay's envelopes, so that none is read twice.
  `CREATE TABLE seen_envelope (id TEXT PRIMARY KEY, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE INDEX seen_envelope_age ON seen_envelope (seen_at)`,
];

/** The relay keeps mail for 30 days and accepts ids up to 48 hours old; past 33 days nothing can come again. */
const SEEN_FOR_S = 33 * 86_400;

function asPreKey(row: Row): KeptPreKey {
  return {
    kind: row.text('kind') as PreKeyKind,
    id: row.integer('id'),
    record: row.blob('record'),
    publicKey: row.blob('public_key'),
    signature: row.blobOrNull('signature'),
    state: row.text('state') as KeyState,
    since: row.integer('since'),
  };
}

export class KeyArea extends Area {
  session(account: string): Promise<Uint8Array | null> {
    return this.row((row) => row.blob('record'), 'SELECT record FROM session WHERE account_id = :account', { account });
  }

  saveSession(account: string, record: Uint8Array): Statement {
    return {
      sql: 'INSERT INTO session VALUES (:account, :record) ON CONFLICT (account_id) DO UPDATE SET record = excluded.record',
      params: { account, record },
    };
  }

  dropSession(account: string): Statement {
    return { sql: 'DELETE FROM session WHERE account_id = :account', params: { account } };
  }

  repairs(account: string): Promise<{ readonly times: number; readonly lastAt: number } | null> {
    const sql = 'SELECT times, last_at FROM session_repair WHERE account_id = :account';
    return this.row((row) => ({ times: row.integer('times'), lastAt: row.integer('last_at') }), sql, { account });
  }

  repairing(account: string, times: number, at: number): Statement {
    return {
      sql: `INSERT INTO session_repair VALUES (:account, :times, :at)
            ON CONFLICT (account_id) DO UPDATE SET times = excluded.times, last_at = excluded.last_at`,
      params: { account, times, at },
    };
  }

  preKey(kind: PreKeyKind, id: number): Promise<KeptPreKey | null> {
    return this.row(asPreKey, 'SELECT * FROM prekey WHERE kind = :kind AND id = :id', { kind, id });
  }

  /** Of one kind, in the order of their ids. */
  preKeys(kind: PreKeyKind, state?: KeyState): Promise<readonly KeptPreKey[]> {
    return state === undefined
      ? this.rows(asPreKey, 'SELECT * FROM prekey WHERE kind = :kind ORDER BY id', { kind })
      : this.rows(asPreKey, 'SELECT * FROM prekey WHERE kind = :kind AND state = :state ORDER BY id', { kind, state });
  }

  addPreKey(key: StoredPreKey, state: KeyState, since: number): Statement {
    const { kind, id, record, publicKey, signature } = key;
    return {
      sql: 'INSERT INTO prekey VALUES (:kind, :id, :record, :publicKey, :signature, :state, :since)',
      params: { kind, id, record, publicKey, signature, state, since },
    };
  }

  /** The relay has taken the pending keys of this kind: they are the current ones, and those before them grow old. */
  promotePreKeys(kind: 'signed' | 'kyber_last_resort', now: number): readonly Statement[] {
    const params = { kind, now };
    return [
      {
        sql: `UPDATE prekey SET state = 'old', since = :now WHERE kind = :kind AND state = 'current'
              AND EXISTS (SELECT 1 FROM prekey newer WHERE newer.kind = :kind AND newer.state = 'pending')`,
        params,
      },
      { sql: `UPDATE prekey SET state = 'current', since = :now WHERE kind = :kind AND state = 'pending'`, params },
    ];
  }

  /** Private halves that were replaced before `before`: what was encrypted to them can no longer come. */
  forgetOldPreKeys(before: number): readonly Statement[] {
    return [
      {
        sql: `DELETE FROM last_resort_use WHERE kyber_id IN
              (SELECT id FROM prekey WHERE kind = 'kyber_last_resort' AND state = 'old' AND since < :before)`,
        params: { before },
      },
      { sql: `DELETE FROM prekey WHERE state = 'old' AND since < :before`, params: { before } },
    ];
  }

  dropPreKey(kind: 'ec' | 'kyber', id: number): Statement {
    return { sql: 'DELETE FROM prekey WHERE kind = :kind AND id = :id', params: { kind, id } };
  }

  baseKeySeen(kyberId: number, signedId: number, baseKey: Uint8Array): Promise<boolean> {
    const sql = 'SELECT 1 FROM last_resort_use WHERE kyber_id = :kyberId AND signed_id = :signedId AND base_key = :baseKey';
    return this.exists(sql, { kyberId, signedId, baseKey });
  }

  useLastResort(kyberId: number, signedId: number, baseKey: Uint8Array): Statement {
    return { sql: 'INSERT INTO last_resort_use VALUES (:kyberId, :signedId, :baseKey)', params: { kyberId, signedId, baseKey } };
  }

  envelopeSeen(id: string): Promise<boolean> {
    return this.exists('SELECT 1 FROM seen_envelope WHERE id = :id', { id });
  }

  envelopeIsSeen(id: string, now: number): readonly Statement[] {
    return [
      { sql: 'INSERT INTO seen_envelope VALUES (:id, :now) ON CONFLICT DO NOTHING', params: { id, now } },
      { sql: 'DELETE FROM seen_envelope WHERE seen_at < :before', params: { before: now - SEEN_FOR_S } },
    ];
  }
}
