"""SQL of finding members by number."""

from typing import Final

# An account that is closed to strangers (number_access_hash is null) is not found: nobody could write to it by its number. $1 phone tokens
# bytea[]. One row for each, in order: account_id, or null.
LOOK_UP: Final = """
SELECT a.account_id
FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (phone_token, place)
LEFT JOIN accounts AS a ON a.phone_token = asked.phone_token AND a.number_access_hash IS NOT NULL
ORDER BY asked.place
"""
