"""SQL of recovering an account with its recovery code.

Who asks has proved nothing yet, so the first statement does the same for an account that there is and one that there is not: it charges a
slot, which is a row either way, and reads at most one account.
"""

from typing import Final

# $1 slot, $2 now, $3 seconds in which one try comes back, $4 seconds in which all of them do, $5 account_id or null, $6 phone token or null.
# One row: whether the try was covered, and when the allowance is full again (before this try; null if it was full). The rest is null if there
# is no such account.
TRY: Final = """
WITH covered AS (
    INSERT INTO recovery_tries AS t (slot, full_at)
    VALUES ($1, to_timestamp($2::double precision + $3::double precision))
    ON CONFLICT (slot) DO UPDATE
    SET full_at = greatest(t.full_at, to_timestamp($2::double precision)) + make_interval(secs => $3::double precision)
    WHERE greatest(t.full_at, to_timestamp($2::double precision)) + make_interval(secs => $3::double precision)
          <= to_timestamp($2::double precision + $4::double precision)
    RETURNING 1
)
SELECT EXISTS (SELECT FROM covered) AS covered,
       (SELECT extract(epoch FROM full_at)::double precision FROM recovery_tries WHERE slot = $1) AS full_at,
       a.account_id, a.recovery_hash, a.recovered_by
FROM (SELECT) AS always LEFT JOIN accounts AS a ON a.account_id = $5::uuid OR a.phone_token = $6::bytea
"""

# Gives the account to whoever knows the code: everything that the old phone held is void. The high half of session_epoch counts recoveries, so
# every session that is older ends as revoked, and one that is about to begin with the old token does not. $1 account_id, $2 recovery hash as it
# is, $3 token_hash, $4 recovery_hash, $5 identity_key, $6 registration_id, $7 contact hash, $8 number hash or null, $9 recovered_by.
# No row if the code is another meanwhile.
RECOVER: Final = """
UPDATE accounts
SET token_hash = $3, recovery_hash = $4, identity_key = $5, registration_id = $6, contact_access_hash = $7,
    number_access_hash = $8, recovered_by = $9, session_epoch = ((session_epoch >> 32) + 1) << 32,
    mailbox_was_full = false
WHERE account_id = $1 AND recovery_hash = $2
RETURNING account_id
"""

# $1 account_id.
RECOVERED_BY: Final = "SELECT recovered_by FROM accounts WHERE account_id = $1"

# $1 now.
FORGET_TRIES: Final = "DELETE FROM recovery_tries WHERE full_at <= to_timestamp($1::double precision)"
"""A slot that is full again needs no row."""
