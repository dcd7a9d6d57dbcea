import type { Database, Statement } from '../ports.ts';
import { CannotDo } from '../errors.ts';
import { DISCOVERY_TABLES } from './discovery_store.ts';

/** Counts up with every change of the tables below; each older version then needs a step in `openSchema`. */
export const SCHEMA_VERSION = 1;

/** The whole database of the app. Times are seconds since 1970 by the relay's clock where known. */
const TABLES: readonly string[] = [
  // One row: this member. Everything is written before the first request, so that a lost answer can be asked for again.
  `CREATE TABLE account (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     relay_url TEXT NOT NULL,
     trust_root BLOB NOT NULL,
     invite_code TEXT NOT NULL,
     name TEXT NOT NULL,
     account_id TEXT,                        -- null until the relay answered
     secret BLOB NOT NULL,                   -- of the bearer token, 32 bytes
     recovery_code BLOB NOT NULL,            -- 32 bytes
     identity BLOB NOT NULL,                 -- the serialized key pair
     identity_key BLOB NOT NULL,             -- its public half
     registration_id INTEGER NOT NULL,
     contact_access_key BLOB NOT NULL,       -- 16 bytes
     next_key_id INTEGER NOT NULL,
     certificate BLOB,
     certificate_expires_at INTEGER
   ) STRICT`,
  // Both halves of every prekey. kind: signed, ec, kyber, kyber_last_resort.
  `CREATE TABLE prekey (
     kind TEXT NOT NULL,
     id INTEGER NOT NULL,
     record BLOB NOT NULL,
     public_key BLOB NOT NULL,
     signature BLOB,
     PRIMARY KEY (kind, id)
   ) STRICT, WITHOUT ROWID`,
  // Base keys that used a last-resort Kyber key: it is not deleted after use, so a replayed first message is known by this.
  `CREATE TABLE last_resort_use (
     kyber_id INTEGER NOT NULL,
     signed_id INTEGER NOT NULL,
     base_key BLOB NOT NULL,
     PRIMARY KEY (kyber_id, signed_id, base_key)
   ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE contact (
     account_id TEXT PRIMARY KEY,
     name TEXT,
     identity_key BLOB,                      -- null until known; never replaced silently
     access_key BLOB,                        -- what lets me write to them; null until they told me
     answered INTEGER NOT NULL DEFAULT 0     -- 1 once they answered within a session that I began or replied in: they then hold my profile
   ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE session (account_id TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID`,
  // What a person sees, in the order this app came to know it: seq. peer is null when the sender could not be established.
  `CREATE TABLE message (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     content_id TEXT NOT NULL,
     peer TEXT,
     direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
     kind TEXT NOT NULL CHECK (kind IN ('text', 'undecryptable')),
     text TEXT,
     sent_at INTEGER NOT NULL,
     arrived_at INTEGER,
     state TEXT NOT NULL CHECK (state IN ('received', 'queued', 'sent', 'blocked', 'failed')),
     reason TEXT                             -- a code: why it is undecryptable, blocked or failed
   ) STRICT`,
  `CREATE UNIQUE INDEX message_content ON message (direction, peer, content_id)`,
  // stage: queued (only the message row), encrypted (session ciphertext), sealed (body and envelope id: what is retried).
  `CREATE TABLE outbox (
     seq INTEGER PRIMARY KEY REFERENCES message (seq),
     peer TEXT NOT NULL,
     stage TEXT NOT NULL CHECK (stage IN ('queued', 'encrypted', 'sealed', 'blocked')),
     message_type INTEGER,
     ciphertext BLOB,
     peer_identity BLOB,
     envelope_id TEXT,
     body BLOB,
     sealed_until INTEGER,                   -- when the certificate within the body expires
     attempts INTEGER NOT NULL DEFAULT 0,
     not_before INTEGER NOT NULL DEFAULT 0
   ) STRICT`,
  `CREATE INDEX outbox_peer ON outbox (peer, seq)`,
  `CREATE TABLE seen_envelope (id TEXT PRIMARY KEY, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE INDEX seen_envelope_age ON seen_envelope (seen_at)`,
  ...DISCOVERY_TABLES,
];

/**
 * Creates the tables in an empty database, or checks that this app can read the ones there are. Two processes may open a new
 * database at the same time (`join` writes, `status` looks): the statements are one transaction, and the later one finds everything there.
 */
export async function openSchema(database: Database): Promise<void> {
  const [row] = await database.read({ sql: 'PRAGMA user_version' });
  const version = row?.['user_version'];
  if (version === SCHEMA_VERSION) return;
  if (version !== 0) {
    throw new CannotDo('newer_database', 'this data was written by a newer version of the app: update the app, nothing was changed');
  }
  const statements: Statement[] = TABLES.map((sql) => ({ sql: sql.replace(/^CREATE (TABLE|INDEX|UNIQUE INDEX) /, 'CREATE $1 IF NOT EXISTS ') }));
  await database.write([...statements, { sql: `PRAGMA user_version = ${SCHEMA_VERSION}` }]);
}
