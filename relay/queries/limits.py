"""SQL of what is scarce: allowances in the database, shared by all processes.

Each is a GCRA (ITU-T I.371): full_at is when the allowance would be full again; taking moves that time on, and is covered while it lies no
further ahead than the whole allowance takes to come back. Times are seconds since 1970 from the relay's own clock.
"""

from typing import Final

# Takes from an allowance, or finds that it does not cover it: atomic, since the row is locked by whoever changes it, and READ COMMITTED judges
# it again for who waited. $1 account_id, $2 what, $3 now, $4 seconds in which what is taken comes back, $5 seconds in which all of it does.
# No row if there is no such account, else (taken).
TAKE: Final = """
WITH taken AS (
    INSERT INTO allowances AS a (account_id, what, full_at)
    SELECT account_id, $2, to_timestamp($3::double precision + $4::double precision)
    FROM accounts WHERE account_id = $1 AND $4::double precision <= $5::double precision
    ON CONFLICT (account_id, what) DO UPDATE
    SET full_at = greatest(a.full_at, to_timestamp($3::double precision)) + make_interval(secs => $4::double precision)
    WHERE greatest(a.full_at, to_timestamp($3::double precision)) + make_interval(secs => $4::double precision)
          <= to_timestamp($3::double precision + $5::double precision)
    RETURNING 1
)
SELECT EXISTS (SELECT FROM taken) AS taken FROM accounts WHERE account_id = $1
"""

# When it will be full again, for who was refused: a statement of its own, since the one before does not see what others took while it waited
# for them. $1 account_id, $2 what. No row: it is full.
FULL_AT: Final = """
SELECT extract(epoch FROM full_at)::double precision FROM allowances WHERE account_id = $1 AND what = $2
"""

# An allowance that is full again needs no row. $1 now.
FORGET_FULL: Final = "DELETE FROM allowances WHERE full_at <= to_timestamp($1::double precision)"
