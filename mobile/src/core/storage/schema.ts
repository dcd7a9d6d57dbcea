import type { Database, Statement } from '../ports.ts';
import { CannotDo } from '../errors.ts';
import { ACCOUNT_TABLES } from './account.ts';
import { CALL_TABLES } from './calls.ts';
import { CONVERSATION_TABLES } from './conversations.ts';
import { DISCOVERY_TABLES } from './discovery_store.ts';
import { KEY_TABLES } from './keys.ts';
import { LIFECYCLE_TABLES } from './lifecycle.ts';
import { MESSAGE_TABLES } from './messages.ts';
import { OUTBOX_TABLES } from './outbox.ts';
import { PEOPLE_TABLES } from './people.ts';
import { RECOVERY_TABLES } from './recovery_store.ts';

/** Counts up with every change of the tables after a release; each older version then needs a step in `openSchema`. */
export const SCHEMA_VERSION = 1;

/** The whole database of the app, each area's tables beside the statements on them. Times are seconds since 1970 by the relay's clock where known. */
const TABLES: readonly string[] = [
  ...ACCOUNT_TABLES,
  ...KEY_TABLES,
  ...PEOPLE_TABLES,
  ...MESSAGE_TABLES,
  ...CONVERSATION_TABLES,
  ...OUTBOX_TABLES,
  ...CALL_TABLES,
  ...DISCOVERY_TABLES,
  ...RECOVERY_TABLES,
  ...LIFECYCLE_TABLES,
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
  const statements: Statement[] = TABLES.map((sql) => ({ sql: sql.replace(/^CREATE (TABLE|INDEX|UNIQUE INDEX|VIRTUAL TABLE|TRIGGER) /, 'CREATE $1 IF NOT EXISTS ') }));
  await database.write([...statements, { sql: `PRAGMA user_version = ${SCHEMA_VERSION}` }]);
}
