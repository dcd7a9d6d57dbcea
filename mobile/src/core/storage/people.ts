/** Those this member knows: keys, names and how they stand to each other. */
import type { Statement } from '../ports.ts';
import { Area } from './row.ts';
import type { Row } from './row.ts';

/** `same`: as first seen. `changed`: another one came, shown as a banner. `unconfirmed`: so too, and nothing is sent until confirmed. */
export type IdentityState = 'same' | 'changed' | 'unconfirmed';

export interface Contact {
  readonly account: string;
  /** The member's own choice, or what the contact link said. */
  readonly name: string | null;
  readonly profileName: string | null;
  readonly identityKey: Uint8Array | null;
  readonly identityState: IdentityState;
  /** The key came over another channel than the relay: a contact link or their screen. */
  readonly pinned: boolean;
  /** Safety numbers were compared. */
  readonly verified: boolean;
  readonly accessKey: Uint8Array | null;
  /** They answered within a session that we began or replied in: they hold our profile. */
  readonly answered: boolean;
  /** A stranger's first message, not accepted yet: no receipts, no typing. */
  readonly request: boolean;
  readonly blocked: boolean;
  readonly mutedUntil: number | null;
}

export const PEOPLE_TABLES: readonly string[] = [
  `CREATE TABLE contact (
     account_id TEXT PRIMARY KEY,
     name TEXT,
     profile_name TEXT,
     identity_key BLOB,                      -- null until known; never replaced silently
     identity_state TEXT NOT NULL DEFAULT 'same' CHECK (identity_state IN ('same', 'changed', 'unconfirmed')),
     pinned INTEGER NOT NULL DEFAULT 0,      -- 1 when the key came over another channel than the relay
     verified INTEGER NOT NULL DEFAULT 0,    -- 1 when safety numbers were compared
     access_key BLOB,                        -- what lets me write to them; null until they told me
     answered INTEGER NOT NULL DEFAULT 0,    -- 1 once they answered within a session that I began or replied in: they then hold my profile
     request INTEGER NOT NULL DEFAULT 0,     -- 1 for a stranger who is not accepted yet
     blocked INTEGER NOT NULL DEFAULT 0,
     muted_until INTEGER
   ) STRICT, WITHOUT ROWID`,
];

export function asContact(row: Row): Contact {
  return {
    account: row.text('account_id'),
    name: row.textOrNull('name'),
    profileName: row.textOrNull('profile_name'),
    identityKey: row.blobOrNull('identity_key'),
    identityState: row.text('identity_state') as IdentityState,
    pinned: row.flag('pinned'),
    verified: row.flag('verified'),
    accessKey: row.blobOrNull('access_key'),
    answered: row.flag('answered'),
    request: row.flag('request'),
    blocked: row.flag('blocked'),
    mutedUntil: row.integerOrNull('muted_until'),
  };
}

export type ContactChange = Pick<Contact, 'account'> &
  Partial<Pick<Contact, 'name' | 'profileName' | 'identityKey' | 'accessKey' | 'answered' | 'pinned' | 'request'>>;

export class PeopleArea extends Area {
  get(account: string): Promise<Contact | null> {
    return this.row(asContact, 'SELECT * FROM contact WHERE account_id = :account', { account });
  }

  all(): Promise<readonly Contact[]> {
    return this.rows(asContact, 'SELECT * FROM contact ORDER BY coalesce(name, profile_name), account_id');
  }

  /**
   * Fields that are absent or null leave what is there. An identity key, once known, stays; `answered` and `pinned` never go
   * back; `request` is only for somebody new, and false accepts.
   */
  save(contact: ContactChange): Statement {
    return {
      sql: `INSERT INTO contact (account_id, name, profile_name, identity_key, access_key, answered, pinned, request)
            VALUES (:account, :name, :profileName, :identityKey, :accessKey, :answered, :pinned, coalesce(:request, 0))
            ON CONFLICT (account_id) DO UPDATE SET
              name = coalesce(excluded.name, name), profile_name = coalesce(excluded.profile_name, profile_name),
              identity_key = coalesce(identity_key, excluded.identity_key),
              access_key = coalesce(excluded.access_key, access_key), answered = max(answered, excluded.answered),
              pinned = max(pinned, excluded.pinned), request = min(request, coalesce(:request, request))`,
      params: {
        account: contact.account,
        name: contact.name ?? null,
        profileName: contact.profileName ?? null,
        identityKey: contact.identityKey ?? null,
        accessKey: contact.accessKey ?? null,
        answered: contact.answered === true ? 1 : 0,
        pinned: contact.pinned === true ? 1 : 0,
        request: contact.request === undefined ? null : Number(contact.request),
      },
    };
  }

  /** Another identity came. Whoever was pinned or verified is not written to until a person has confirmed it. */
  changeIdentity(account: string, identityKey: Uint8Array): Statement {
    return {
      sql: `UPDATE contact SET identity_key = :identityKey, verified = 0, pinned = 0,
              identity_state = iif(pinned = 1 OR verified = 1 OR identity_state = 'unconfirmed', 'unconfirmed', 'changed')
            WHERE account_id = :account`,
      params: { account, identityKey },
    };
  }

  /** Null takes the own choice back. */
  setName(account: string, name: string | null): Statement {
    return { sql: 'UPDATE contact SET name = :name WHERE account_id = :account', params: { account, name } };
  }

  /** Safety numbers were compared for this very key; under another one nothing happens. A key that was compared is confirmed. */
  verify(account: string, identityKey: Uint8Array): Statement {
    return {
      sql: `UPDATE contact SET verified = 1, identity_state = 'same' WHERE account_id = :account AND identity_key = :identityKey`,
      params: { account, identityKey },
    };
  }

  unverify(account: string): Statement {
    return { sql: 'UPDATE contact SET verified = 0 WHERE account_id = :account', params: { account } };
  }

  accept(account: string): Statement {
    return { sql: 'UPDATE contact SET request = 0 WHERE account_id = :account', params: { account } };
  }

  setBlocked(account: string, blocked: boolean): Statement {
    return { sql: 'UPDATE contact SET blocked = :blocked WHERE account_id = :account', params: { account, blocked: blocked ? 1 : 0 } };
  }

  /** Seconds since 1970; null ends it. */
  setMuted(account: string, until: number | null): Statement {
    return { sql: 'UPDATE contact SET muted_until = :until WHERE account_id = :account', params: { account, until } };
  }

  confirmIdentity(account: string): Statement {
    return { sql: `UPDATE contact SET identity_state = 'same' WHERE account_id = :account`, params: { account } };
  }
}
