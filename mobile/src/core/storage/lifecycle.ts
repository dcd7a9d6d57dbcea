/** What is half done with this copy of an account as a whole; it never moves to another phone. */
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';

/**
 * `importing`: an archive is being read in, nothing of it counts yet. `renewing`: it counts, the relay still gives out the other
 * phone's prekeys. `moved`: an archive was made, this copy rests. `deleting`: the account is to go, here and at the relay.
 */
export type Lifecycle = 'importing' | 'renewing' | 'moved' | 'deleting';

export const LIFECYCLE_TABLES: readonly string[] = [
  // At most one row; none in ordinary life.
  `CREATE TABLE lifecycle (
     only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
     stage TEXT NOT NULL CHECK (stage IN ('importing', 'renewing', 'moved', 'deleting')),
     since INTEGER NOT NULL
   ) STRICT`,
];

export class LifecycleArea extends Area {
  get(): Promise<Lifecycle | null> {
    return this.row((row) => row.text('stage') as Lifecycle, 'SELECT stage FROM lifecycle');
  }

  /** `now` in seconds since 1970. */
  set(stage: Lifecycle, now: number): Statement {
    return {
      sql: 'INSERT INTO lifecycle VALUES (1, :stage, :now) ON CONFLICT (only_row) DO UPDATE SET stage = excluded.stage, since = excluded.since',
      params: { stage, now },
    };
  }

  clear(): Statement {
    return { sql: 'DELETE FROM lifecycle' };
  }
}
