"""SQL of the operator's commands. None of it runs while a message is on its way; counts are exact and may take a second on a large relay."""

from typing import Final

# One row of counts. $1 today (date).
COUNT_ACCOUNTS: Final = """
SELECT count(*) AS accounts,
       count(*) FILTER (WHERE last_session_on >= $1::date - 1) AS seen_since_yesterday,
       count(*) FILTER (WHERE last_session_on >= $1::date - 7) AS seen_in_a_week,
       count(*) FILTER (WHERE last_session_on >= $1::date - 30) AS seen_in_a_month,
       count(*) FILTER (WHERE last_session_on IS NULL) AS never_seen,
       count(*) FILTER (WHERE phone_token IS NOT NULL) AS with_number
FROM accounts
"""

# One row. octet_length of a body that is stored out of line is known without fetching it.
COUNT_MAIL: Final = """
SELECT count(*) AS envelopes, coalesce(sum(octet_length(body)), 0)::bigint AS bytes,
       count(DISTINCT account_id) AS mailboxes, min(arrived_at) AS oldest_at
FROM envelopes
"""

# One row. $1 now.
COUNT_INVITES: Final = """
SELECT count(*) AS invites, coalesce(sum(uses_left), 0)::bigint AS registrations_left
FROM invites WHERE uses_left > 0 AND expires_at > to_timestamp($1::double precision)
"""

# About: PostgreSQL's running count of live rows, which costs nothing to ask for.
ABOUT_WAITING: Final = """
SELECT coalesce(sum(s.n_live_tup), 0)::bigint
FROM pg_inherits AS i JOIN pg_stat_user_tables AS s ON s.relid = i.inhrelid
WHERE i.inhparent = 'envelopes'::regclass
"""

DATABASE_BYTES: Final = "SELECT pg_database_size(current_database())"

DATABASE_VERSION: Final = "SELECT current_setting('server_version_num')::int"

DATABASE_NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::double precision"

# One row a setting that a relay cares for. $1 names text[].
DATABASE_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"

ACCOUNT_IDS: Final = "SELECT account_id FROM accounts"

# What `relay panic` empties. TRUNCATE gives the files back to the file system at once, where DELETE leaves the rows to a vacuum.
PANIC_QUEUE: Final = """
TRUNCATE envelopes, signals, prekeys, kyber_prekeys, invites, registrations, push_subscriptions, allowances, recovery_tries
"""

PANIC_ACCOUNTS: Final = "TRUNCATE accounts CASCADE"

# Write what is dirty, so that the log before it can be recycled. Needs the role pg_checkpoint; without it, it is left to the server.
CHECKPOINT: Final = "CHECKPOINT"
