"""SQL of push subscriptions."""

from typing import Final

# $1 account_id, $2 sealed. No row when the account is gone.
SUBSCRIBE: Final = """
INSERT INTO push_subscriptions (account_id, sealed)
SELECT account_id, $2 FROM accounts WHERE account_id = $1
ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed
RETURNING account_id
"""

# $1 account_id.
UNSUBSCRIBE: Final = "DELETE FROM push_subscriptions WHERE account_id = $1"

# Only the subscription that was found dead: the member may have made another meanwhile. $1 account_id, $2 sealed.
FORGET: Final = "DELETE FROM push_subscriptions WHERE account_id = $1 AND sealed = $2"

# Of these accounts, those that something waits for. $1 account_ids uuid[].
WAITING: Final = """
SELECT p.account_id, p.sealed FROM push_subscriptions AS p
WHERE p.account_id = ANY($1::uuid[])
  AND (EXISTS (SELECT FROM envelopes AS e WHERE e.account_id = p.account_id)
       OR EXISTS (SELECT FROM signals AS s WHERE s.account_id = p.account_id AND s.expires_at > now()))
"""
