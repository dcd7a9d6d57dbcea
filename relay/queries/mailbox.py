"""Every statement of the mailbox and of its partitions.

The hot ones take arrays, one element an envelope, so that a batch is one round trip and one commit. Access, rate and quota are judged inside
the statement: an unknown account costs the same as a wrong key, and nobody without access can learn that a mailbox is full or busy.

Their shape leaves the planner no way but the primary keys. It plans them once, while the tables may be nearly empty, and then any order of
joins looks as cheap: so a look-up stands behind LATERAL and OFFSET 0, a delete compares whole rows, which cannot be merged on, and the
index in order of arrival is partial (seq > 0 always holds), so that only a page, which says so, can use it. docs/decisions/0032 has more.
"""

# $1 recipients, $2 ids, $3 access hashes, $4 bodies, $5 arrival times, $6 over rate, $7 max envelopes, $8 max bytes, $9 max from strangers,
# $10 has room (relay/headroom.py): its mailbox need not be counted, unless a stranger posts
# -> a row for each posting that was not inserted: its number (from 1) and its verdict. `store` means that it was there already. And a row
# `crowded` for each mailbox that was counted and more than half full before, with the number of its first posting.
# Inserted rows are compared with the batch only if some are missing: that takes their product in time.
# Rows go in by key, numbered before in order of arrival: two processes with the same retries in another order would deadlock.
# Left open is how postings of a batch for one mailbox are counted: `place` is a posting's number among those that may go in, and `items`,
# `size` and `strangers` are what the mailbox would hold with it.
_PUT = """
WITH judged AS (
    SELECT i.*,
           coalesce(a.contact_access_hash = i.access_hash, false) AS by_contact,
           coalesce(a.number_access_hash = i.access_hash, false) AS by_number
    FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::boolean[], $10::boolean[])
        WITH ORDINALITY AS i (account_id, envelope_id, access_hash, body, arrived_at, over_rate, has_room, n)
    LEFT JOIN LATERAL (
        SELECT contact_access_hash, number_access_hash FROM accounts WHERE account_id = i.account_id OFFSET 0
    ) a ON true
), placed AS (
    SELECT j.*, j.by_number AND NOT j.by_contact AS stranger, (j.by_contact OR j.by_number) AND NOT j.over_rate AS open,
           {place} AS place
    FROM judged j
), decided AS (
    SELECT p.n, p.account_id, p.envelope_id, p.body, p.arrived_at, p.stranger,
           h.items * 2 > $7 OR h.bytes * 2 > $8 AS crowded,
           CASE WHEN NOT (p.by_contact OR p.by_number) THEN 'no_access'
                WHEN p.over_rate THEN 'rate_limited'
                WHEN {items} > $7 THEN 'mailbox_full'
                WHEN {size} > $8 THEN 'mailbox_full'
                WHEN p.stranger AND {strangers} > $9 THEN 'mailbox_full'
                ELSE 'store' END AS verdict
    FROM placed p LEFT JOIN LATERAL (
        SELECT count(*) AS items, coalesce(sum(e.size), 0) AS bytes, count(*) FILTER (WHERE e.by_number) AS strangers
        FROM (
            SELECT octet_length(w.body) AS size, w.by_number FROM envelopes w
            WHERE w.account_id = p.account_id AND p.open AND p.place = 1 AND (p.stranger OR NOT p.has_room) LIMIT $7
        ) e
    ) h ON true
    {window}
), stored AS (
    INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
    SELECT q.account_id, q.envelope_id, q.seq, q.arrived_at, q.stranger, q.body
    FROM (
        SELECT o.*, nextval('envelope_seq') AS seq
        FROM (SELECT * FROM decided WHERE verdict = 'store' ORDER BY n) o OFFSET 0
    ) q
    ORDER BY q.account_id, q.envelope_id
    ON CONFLICT (account_id, envelope_id) DO NOTHING
    RETURNING account_id, envelope_id
)
SELECT d.n, d.verdict FROM decided d
WHERE d.verdict <> 'store'
   OR (SELECT count(*) FROM stored) < (SELECT count(*) FROM decided WHERE verdict = 'store')
      AND NOT EXISTS (SELECT FROM stored s WHERE s.account_id = d.account_id AND s.envelope_id = d.envelope_id)
UNION ALL SELECT d.n, 'crowded' FROM decided d WHERE d.crowded
"""

# A mailbox is counted once a batch, at its first posting that may go in, and only as far as its limit. Envelopes of one batch count on
# top of each other (window w).
PUT = _PUT.format(
    place="row_number() OVER (PARTITION BY j.account_id, (j.by_contact OR j.by_number) AND NOT j.over_rate ORDER BY j.n)",
    items="first_value(h.items) OVER w + p.place",
    size="first_value(h.bytes) OVER w + sum(octet_length(p.body)) OVER w",
    strangers="first_value(h.strangers) OVER w + count(*) FILTER (WHERE p.stranger) OVER w",
    window="WINDOW w AS (PARTITION BY p.account_id, p.open ORDER BY p.n)",
)

# The same for a batch in which nobody gets two. Most are such, and to sort and number them takes a fifth of the time.
PUT_ONE_EACH = _PUT.format(
    place="1",
    items="h.items + 1",
    size="h.bytes + octet_length(p.body)",
    strangers="h.strangers + 1",
    window="",
)

# $1 recipients, $2 ids, $3 bodies -> one row a posting, in order: null if no such envelope waits, else whether the body is the same.
COMPARE = """
SELECT e.body = i.body AS same
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) WITH ORDINALITY AS i (account_id, envelope_id, body, n)
LEFT JOIN LATERAL (
    SELECT body FROM envelopes WHERE account_id = i.account_id AND envelope_id = i.envelope_id OFFSET 0
) e ON true
ORDER BY i.n
"""

# $1 accounts. Locked in the order of BEGIN_SESSIONS.
NOTE_FULL = """
UPDATE accounts SET mailbox_was_full = true
WHERE account_id = ANY(ARRAY(
    SELECT l.account_id
    FROM (SELECT unnest($1::uuid[]) AS account_id ORDER BY 1) k, LATERAL (
        SELECT account_id FROM accounts WHERE account_id = k.account_id AND NOT mailbox_was_full
        FOR NO KEY UPDATE
    ) l
))
"""

# $1 accounts, $2 epochs, $3 ids: deletes under the newest epoch of each account only.
REMOVE = """
DELETE FROM envelopes e
USING unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS k (account_id, epoch, envelope_id),
      LATERAL (SELECT session_epoch FROM accounts WHERE account_id = k.account_id OFFSET 0) a
WHERE a.session_epoch = k.epoch AND e.envelope_id = k.envelope_id
  AND (e.account_id, e.envelope_id) >= (k.account_id, k.envelope_id)
  AND (e.account_id, e.envelope_id) <= (k.account_id, k.envelope_id)
"""

# A page an element: $1 accounts, $2 most items, $3 most bytes, $4 and $5 the first and the last of its ids to skip in $6
# -> pages in order of asking, each in order of arrival; each row with the number of its page (from 1) and of its candidates: one more than
# the page has if something is left.
PAGES = """
SELECT r.n, t.envelope_id, t.arrived_at, t.body, t.candidates
FROM (
    SELECT i.*, ($6::uuid[])[i.first_skip : i.last_skip] AS skip
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::int[], $5::int[])
        WITH ORDINALITY AS i (account_id, most_items, most_bytes, first_skip, last_skip, n)
    OFFSET 0
) r, LATERAL (
    SELECT c.*, sum(octet_length(c.body)) OVER w AS total, row_number() OVER w AS place, count(*) OVER () AS candidates
    FROM (
        SELECT envelope_id, seq, arrived_at, body FROM envelopes
        WHERE account_id = r.account_id AND seq > 0 AND envelope_id <> ALL(r.skip)
        ORDER BY seq LIMIT r.most_items + 1
    ) c
    WINDOW w AS (ORDER BY c.seq)
) t
WHERE t.place <= r.most_items AND (t.total <= r.most_bytes OR t.place = 1)
ORDER BY r.n, t.seq
"""

# $1 accounts, $2 SHA-256 of the secrets that were shown, $3 today
# -> a row for each whose token that is: its number (from 1), the new epoch, and what there is to tell. Rows are locked by account id, since
# two processes may begin sessions of the same accounts; and before they are changed, since a recovery may change the token meanwhile.
BEGIN_SESSIONS = """
WITH known AS (
    SELECT k.n, l.account_id
    FROM (
        SELECT * FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS i (account_id, token_hash, n) ORDER BY i.account_id
    ) k, LATERAL (
        SELECT account_id FROM accounts WHERE account_id = k.account_id AND token_hash = k.token_hash
        FOR NO KEY UPDATE
    ) l
), begun AS (
    UPDATE accounts SET session_epoch = session_epoch + 1, last_session_on = $3
    WHERE account_id = ANY(ARRAY(SELECT account_id FROM known))
    RETURNING account_id, session_epoch, mailbox_was_full
)
SELECT k.n, b.session_epoch, b.mailbox_was_full,
       (SELECT count(*) FROM (SELECT FROM envelopes WHERE account_id = b.account_id AND seq > 0 LIMIT 1) w) AS mail,
       (SELECT count(*) FROM (
           SELECT FROM (SELECT expires_at FROM signals WHERE account_id = b.account_id OFFSET 0) s WHERE s.expires_at > now() LIMIT 1
       ) w) AS signals,
       (SELECT count(*) FROM prekeys WHERE account_id = b.account_id) AS prekeys,
       (SELECT count(*) FROM kyber_prekeys WHERE account_id = b.account_id) AS kyber_prekeys
FROM known k JOIN begun b ON b.account_id = k.account_id
"""

# $1 accounts
EPOCHS = "SELECT account_id, session_epoch FROM accounts WHERE account_id = ANY($1::uuid[])"

# $1 account. The outer SELECT sees the flag as it was before `told` cleared it: one statement, one snapshot.
NOTICES = """
WITH told AS (UPDATE accounts SET mailbox_was_full = false WHERE account_id = $1 AND mailbox_was_full)
SELECT a.mailbox_was_full,
       (SELECT count(*) FROM prekeys WHERE account_id = $1) AS prekeys,
       (SELECT count(*) FROM kyber_prekeys WHERE account_id = $1) AS kyber_prekeys
FROM accounts a WHERE a.account_id = $1
"""

# $1 topic, $2 payload
NOTIFY = "SELECT pg_notify($1, $2)"

# -- partitions: one a week of the time in the envelope id. Identifiers cannot be parameters; relay/partitions.py makes them from numbers. --

PARTITION_LOCK = "SELECT pg_advisory_xact_lock(hashtext('sottovoce partitions'))"

PARTITIONS = """
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'envelopes'::regclass ORDER BY c.relname
"""

PARTITION_MAKE = "CREATE TABLE {name} (LIKE envelopes INCLUDING ALL)"

PARTITION_ATTACH = "ALTER TABLE envelopes ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{end}')"

PARTITION_DROP = "DROP TABLE {name}"
