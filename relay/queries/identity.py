"""SQL of accounts, invites and prekeys.

Times come in as seconds since 1970 (double precision) from the relay's own clock, so that a test can turn it. Every statement that touches an
account is keyed by account_id alone; invites have a key of their own, since they exist before any account does.

Locks are taken in one order, so that none of these can deadlock with another: invites, accounts, standing_prekeys, then one-time keys.
"""

from typing import Final

# -- invites ---------------------------------------------------------------------------------------------------------

# $1 hashes bytea[], $2 expires_at, $3 uses, $4 evaluations, $5 phone token or null.
MINT_INVITES: Final = """
INSERT INTO invites (code_hash, expires_at, uses_left, evaluations_left, phone_token)
SELECT code_hash, to_timestamp($2::double precision), $3::int, $4::int, $5::bytea FROM unnest($1::bytea[]) AS code_hash
"""

# $1 code_hash, $2 how many. No row if there is no such invite, else (spent, expires_at as seconds).
SPEND_EVALUATIONS: Final = """
WITH spent AS (
    UPDATE invites SET evaluations_left = evaluations_left - $2
    WHERE code_hash = $1 AND evaluations_left >= $2
    RETURNING 1
)
SELECT EXISTS (SELECT FROM spent) AS spent, extract(epoch FROM expires_at)::double precision AS expires_at
FROM invites WHERE code_hash = $1
"""

# Whether a request that shows this code is worth reading: the code can still be spent, or was, and the answer may be asked for again.
# $1 code_hash, $2 now. One boolean.
INVITE_IS_KNOWN: Final = """
SELECT EXISTS (SELECT FROM invites WHERE code_hash = $1 AND uses_left > 0 AND expires_at > to_timestamp($2::double precision))
    OR EXISTS (SELECT FROM registrations WHERE code_hash = $1 AND expires_at > to_timestamp($2::double precision))
"""

# Registrations under one code wait for each other here, so a retry that overtakes its first try still finds its outcome.
# $1 code_hash. No row, or (expires_at and registrations_full_at as seconds; the latter may be null).
LOCK_INVITE: Final = """
SELECT extract(epoch FROM expires_at)::double precision AS expires_at,
       extract(epoch FROM registrations_full_at)::double precision AS registrations_full_at
FROM invites WHERE code_hash = $1 FOR UPDATE
"""

# $1 code_hash, $2 now, $3 phone token or null, $4 registrations_full_at. A row if there was a use left for that token, which is gone now.
SPEND_INVITE: Final = """
UPDATE invites SET uses_left = uses_left - 1, registrations_full_at = to_timestamp($4::double precision)
WHERE code_hash = $1 AND uses_left > 0 AND expires_at > to_timestamp($2::double precision)
  AND (phone_token IS NULL OR phone_token = $3::bytea)
RETURNING uses_left
"""

# $1 now, $2 seconds that a row outlives its expiry.
FORGET_INVITES: Final = """
DELETE FROM invites WHERE expires_at <= to_timestamp($1::double precision - $2::double precision)
"""

# $1 now.
FORGET_REGISTRATIONS: Final = """
DELETE FROM registrations WHERE expires_at <= to_timestamp($1::double precision)
"""

# -- accounts --------------------------------------------------------------------------------------------------------

# $1 code_hash, $2 identity_key, $3 now. No row, or what came of it: (account_id, token_hash).
FIND_REGISTRATION: Final = """
SELECT r.account_id, a.token_hash
FROM registrations AS r JOIN accounts AS a USING (account_id)
WHERE r.code_hash = $1 AND r.identity_key = $2 AND r.expires_at > to_timestamp($3::double precision)
"""

# $1 account_id, $2 token_hash, $3 recovery_hash, $4 phone_token or null, $5 identity_key, $6 registration_id, $7 contact_access_hash,
# $8 number_access_hash or null, $9 now. No row if the phone token is taken.
INSERT_ACCOUNT: Final = """
INSERT INTO accounts (account_id, token_hash, recovery_hash, phone_token, identity_key, registration_id, contact_access_hash,
                      number_access_hash, registered_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (to_timestamp($9::double precision) AT TIME ZONE 'UTC')::date)
ON CONFLICT (phone_token) DO NOTHING
RETURNING account_id
"""

# $1 code_hash, $2 identity_key, $3 account_id, $4 expires_at.
INSERT_REGISTRATION: Final = """
INSERT INTO registrations (code_hash, identity_key, account_id, expires_at)
VALUES ($1, $2, $3, to_timestamp($4::double precision))
"""

# $1 account_id. The token's hash, and how often the account was recovered: the token is void once that number is another.
BEARER: Final = "SELECT token_hash FROM accounts WHERE account_id = $1"

# $1 account_id.
IDENTITY_KEY: Final = "SELECT identity_key FROM accounts WHERE account_id = $1"

# Everything that is stored about an account, besides bodies and keys that it uploaded itself. octet_length of a body that is stored out of line
# is known without fetching it. $1 account_id.
DESCRIBE_ACCOUNT: Final = """
SELECT a.identity_key, a.registration_id, a.phone_token, a.number_access_hash IS NOT NULL AS open_to_number,
       (a.session_epoch >> 32)::integer AS recoveries, (a.session_epoch & 4294967295)::bigint AS sessions,
       a.mailbox_was_full,
       (SELECT max(extract(epoch FROM r.expires_at)::bigint) FROM registrations AS r
        WHERE r.account_id = $1) AS registration_kept_until,
       (SELECT coalesce(jsonb_object_agg(u.what, ceil(extract(epoch FROM u.full_at))::bigint), '{}')::text
        FROM (SELECT what, full_at FROM allowances AS l WHERE l.account_id = $1
              UNION ALL SELECT 'prekey bundles', a.takes_full_at WHERE a.takes_full_at IS NOT NULL) AS u) AS allowances,
       EXISTS (SELECT FROM push_subscriptions AS s WHERE s.account_id = $1) AS push,
       a.registered_on, a.last_session_on,
       (SELECT count(*) FROM prekeys AS p WHERE p.account_id = $1) AS prekeys,
       (SELECT count(*) FROM kyber_prekeys AS k WHERE k.account_id = $1) AS kyber_prekeys,
       mail.envelopes, mail.bytes,
       (SELECT count(*) FROM signals AS g WHERE g.account_id = $1) AS signals
FROM accounts AS a,
     (SELECT count(*) AS envelopes, coalesce(sum(octet_length(e.body)), 0) AS bytes
      FROM envelopes AS e WHERE e.account_id = $1) AS mail
WHERE a.account_id = $1
"""

# $1 account_id, $2 contact hash or null (stays), $3 whether the number hash changes, $4 number hash or null (closed to strangers).
CHANGE_ACCESS: Final = """
UPDATE accounts
SET contact_access_hash = coalesce($2, contact_access_hash),
    number_access_hash = CASE WHEN $3::boolean THEN $4::bytea ELSE number_access_hash END
WHERE account_id = $1
RETURNING account_id
"""

# $1 phone token. A row if an account had it.
RELEASE_NUMBER: Final = """
UPDATE accounts SET phone_token = NULL, number_access_hash = NULL WHERE phone_token = $1 RETURNING account_id
"""

# Keys and registrations go with it (ON DELETE CASCADE). $1 account_id.
DELETE_ACCOUNT: Final = "DELETE FROM accounts WHERE account_id = $1 RETURNING account_id"

# Envelopes and signals carry no foreign key, for the speed of posting. $1 account_ids uuid[].
DELETE_ENVELOPES: Final = "DELETE FROM envelopes WHERE account_id = ANY($1::uuid[])"
DELETE_SIGNALS: Final = "DELETE FROM signals WHERE account_id = ANY($1::uuid[])"

# -- prekeys ---------------------------------------------------------------------------------------------------------

# $1 account_id, $2 $3 $4 id, key and signature of the signed prekey, $5 $6 $7 the same of the last-resort Kyber prekey.
INSERT_STANDING_PREKEYS: Final = """
INSERT INTO standing_prekeys (account_id, signed_id, signed_key, signed_signature, kyber_id, kyber_key, kyber_signature)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

# Uploads of one account wait for each other here, so that the count after them is the whole count; the account cannot go meanwhile.
# $1 account_id. The identity key, which the lock keeps as it is.
LOCK_STANDING_PREKEYS: Final = """
SELECT a.identity_key
FROM accounts AS a JOIN standing_prekeys AS s USING (account_id)
WHERE a.account_id = $1
FOR SHARE OF a FOR NO KEY UPDATE OF s
"""

# Null leaves a key as it is. Parameters as in INSERT_STANDING_PREKEYS.
REPLACE_STANDING_PREKEYS: Final = """
UPDATE standing_prekeys
SET signed_id = coalesce($2, signed_id), signed_key = coalesce($3, signed_key),
    signed_signature = coalesce($4, signed_signature),
    kyber_id = coalesce($5, kyber_id), kyber_key = coalesce($6, kyber_key), kyber_signature = coalesce($7, kyber_signature)
WHERE account_id = $1
"""

# $1 account_id.
DELETE_PREKEYS: Final = "DELETE FROM prekeys WHERE account_id = $1"
DELETE_KYBER_PREKEYS: Final = "DELETE FROM kyber_prekeys WHERE account_id = $1"

# $1 account_id, $2 ids int[], $3 keys bytea[] of the same length. What is held stays.
INSERT_PREKEYS: Final = """
INSERT INTO prekeys (account_id, prekey_id, public_key)
SELECT $1, id, key FROM unnest($2::int[], $3::bytea[]) AS new (id, key)
ON CONFLICT DO NOTHING
"""

# $1 account_id, $2 ids int[], $3 keys bytea[], $4 signatures bytea[] of the same length. What is held stays.
INSERT_KYBER_PREKEYS: Final = """
INSERT INTO kyber_prekeys (account_id, prekey_id, public_key, signature)
SELECT $1, id, key, signature FROM unnest($2::int[], $3::bytea[], $4::bytea[]) AS new (id, key, signature)
ON CONFLICT DO NOTHING
"""

# Counts of one-time keys, and what the digest is made of. $1 account_id. No row if the account is gone.
HELD_PREKEYS: Final = """
SELECT a.identity_key, s.signed_id, s.signed_key, s.kyber_id, s.kyber_key,
       (SELECT count(*) FROM prekeys AS p WHERE p.account_id = $1) AS prekeys,
       (SELECT count(*) FROM kyber_prekeys AS k WHERE k.account_id = $1) AS kyber_prekeys
FROM accounts AS a JOIN standing_prekeys AS s USING (account_id)
WHERE a.account_id = $1
"""

# One bundle. $1 account_id, $2 SHA-256 of the access key, $3 now, $4 seconds in which one take comes back to the allowance, $5 seconds in which
# all of it does. No row if there is no such account or the key does not open it: every later part is then empty for either reason.
#
# The allowance is a GCRA (ITU-T I.371): takes_full_at is when it would be full again; a take moves that time by $4 and is
# covered while it lies no further than $5 ahead. What is not covered takes no one-time key. The update also makes takers of one account
# wait for each other, and whoever waited does not find what the other deleted: READ COMMITTED looks at the row again.
#
# The counts are of the statement's own start, so a taker that waited may report a few too many.
TAKE_BUNDLE: Final = """
WITH opened AS MATERIALIZED (
    SELECT account_id, identity_key, registration_id
    FROM accounts
    WHERE account_id = $1 AND (contact_access_hash = $2 OR number_access_hash = $2)
), charged AS (
    UPDATE accounts AS a
    SET takes_full_at = greatest(a.takes_full_at, to_timestamp($3::double precision))
                        + make_interval(secs => $4::double precision)
    FROM opened
    WHERE a.account_id = opened.account_id
      AND greatest(a.takes_full_at, to_timestamp($3::double precision)) + make_interval(secs => $4::double precision)
          <= to_timestamp($3::double precision) + make_interval(secs => $5::double precision)
    RETURNING a.account_id
), next_prekey AS MATERIALIZED (
    SELECT p.account_id, p.prekey_id
    FROM prekeys AS p JOIN charged USING (account_id)
    ORDER BY p.prekey_id LIMIT 1
    FOR UPDATE OF p SKIP LOCKED
), next_kyber_prekey AS MATERIALIZED (
    SELECT k.account_id, k.prekey_id
    FROM kyber_prekeys AS k JOIN charged USING (account_id)
    ORDER BY k.prekey_id LIMIT 1
    FOR UPDATE OF k SKIP LOCKED
), prekey AS (
    DELETE FROM prekeys AS p USING next_prekey AS n
    WHERE p.account_id = n.account_id AND p.prekey_id = n.prekey_id
    RETURNING p.prekey_id AS id, p.public_key
), kyber_prekey AS (
    DELETE FROM kyber_prekeys AS k USING next_kyber_prekey AS n
    WHERE k.account_id = n.account_id AND k.prekey_id = n.prekey_id
    RETURNING k.prekey_id AS id, k.public_key, k.signature
)
SELECT opened.identity_key, opened.registration_id, s.signed_id, s.signed_key, s.signed_signature,
       prekey.id AS prekey_id, prekey.public_key AS prekey_key,
       coalesce(kyber_prekey.id, s.kyber_id) AS kyber_id,
       coalesce(kyber_prekey.public_key, s.kyber_key) AS kyber_key,
       coalesce(kyber_prekey.signature, s.kyber_signature) AS kyber_signature,
       (SELECT count(*) FROM prekeys AS p WHERE p.account_id = $1) - (prekey.id IS NOT NULL)::int AS prekeys_left,
       (SELECT count(*) FROM kyber_prekeys AS k WHERE k.account_id = $1)
           - (kyber_prekey.id IS NOT NULL)::int AS kyber_prekeys_left
FROM opened
JOIN standing_prekeys AS s USING (account_id)
LEFT JOIN prekey ON true
LEFT JOIN kyber_prekey ON true
"""

# -- health ----------------------------------------------------------------------------------------------------------

DATABASE_ANSWERS: Final = "SELECT 1"
