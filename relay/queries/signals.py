"""Every statement of the signals: the mailbox's shape, on an UNLOGGED table, with an expiry instead of a quota in bytes.

What has not expired yet is asked for outside of the look-up by account (OFFSET 0), so that the index by expiry is the sweep's alone: when the
table was looked at full and then empty, either index looked as cheap, and the one by expiry leads through the signals of everybody.
"""

# $1 recipients, $2 ids, $3 access hashes, $4 bodies, $5 expiry times, $6 over rate, $7 most signals an account
# -> as relay/queries/mailbox.py _PUT, and left open is the same
_PUT = """
WITH judged AS (
    SELECT i.*, coalesce(a.contact_access_hash = i.access_hash, false)
                OR coalesce(a.number_access_hash = i.access_hash, false) AS access
    FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::boolean[])
        WITH ORDINALITY AS i (account_id, signal_id, access_hash, body, expires_at, over_rate, n)
    LEFT JOIN LATERAL (
        SELECT contact_access_hash, number_access_hash FROM accounts WHERE account_id = i.account_id OFFSET 0
    ) a ON true
), placed AS (
    SELECT j.*, j.access AND NOT j.over_rate AS open,
           {place} AS place
    FROM judged j
), decided AS (
    SELECT p.n, p.account_id, p.signal_id, p.body, p.expires_at,
           CASE WHEN NOT p.access THEN 'no_access'
                WHEN p.over_rate THEN 'rate_limited'
                WHEN {items} > $7 THEN 'mailbox_full'
                ELSE 'store' END AS verdict
    FROM placed p LEFT JOIN LATERAL (
        SELECT count(*) AS items FROM (
            SELECT 1 FROM (
                SELECT expires_at FROM signals WHERE account_id = p.account_id AND p.open AND p.place = 1 OFFSET 0
            ) w WHERE w.expires_at > now() LIMIT $7
        ) e
    ) h ON true
    {window}
), stored AS (
    INSERT INTO signals (account_id, signal_id, seq, expires_at, body)
    SELECT q.account_id, q.signal_id, q.seq, to_timestamp(q.expires_at), q.body
    FROM (
        SELECT o.*, nextval('envelope_seq') AS seq
        FROM (SELECT * FROM decided WHERE verdict = 'store' ORDER BY n) o OFFSET 0
    ) q
    ORDER BY q.account_id, q.signal_id
    ON CONFLICT (account_id, signal_id) DO NOTHING
    RETURNING account_id, signal_id
)
SELECT d.n, d.verdict FROM decided d
WHERE d.verdict <> 'store'
   OR (SELECT count(*) FROM stored) < (SELECT count(*) FROM decided WHERE verdict = 'store')
      AND NOT EXISTS (SELECT FROM stored s WHERE s.account_id = d.account_id AND s.signal_id = d.signal_id)
"""

PUT = _PUT.format(
    place="row_number() OVER (PARTITION BY j.account_id, j.access AND NOT j.over_rate ORDER BY j.n)",
    items="first_value(h.items) OVER w + p.place",
    window="WINDOW w AS (PARTITION BY p.account_id, p.open ORDER BY p.n)",
)

# The same for a batch in which nobody gets two.
PUT_ONE_EACH = _PUT.format(place="1", items="h.items + 1", window="")

# $1 recipients, $2 ids, $3 bodies -> as relay/queries/mailbox.py COMPARE
COMPARE = """
SELECT e.body = i.body AS same
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) WITH ORDINALITY AS i (account_id, signal_id, body, n)
LEFT JOIN LATERAL (
    SELECT body FROM signals WHERE account_id = i.account_id AND signal_id = i.signal_id OFFSET 0
) e ON true
ORDER BY i.n
"""

# $1 accounts, $2 epochs, $3 ids
REMOVE = """
DELETE FROM signals e
USING unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS k (account_id, epoch, signal_id),
      LATERAL (SELECT session_epoch FROM accounts WHERE account_id = k.account_id OFFSET 0) a
WHERE a.session_epoch = k.epoch AND e.signal_id = k.signal_id
  AND (e.account_id, e.signal_id) >= (k.account_id, k.signal_id)
  AND (e.account_id, e.signal_id) <= (k.account_id, k.signal_id)
"""

# $1 account, $2 ids to skip, $3 most items, $4 most bytes -> the page in order of arrival, with candidates as in relay/queries/mailbox.py PAGES
PAGE = """
SELECT t.signal_id, t.expires_at, t.body, t.candidates
FROM (
    SELECT c.*, sum(octet_length(c.body)) OVER (ORDER BY c.seq) AS total, count(*) OVER () AS candidates
    FROM (
        SELECT w.signal_id, w.seq, extract(epoch FROM w.expires_at)::bigint AS expires_at, w.body
        FROM (SELECT signal_id, seq, expires_at, body FROM signals WHERE account_id = $1 OFFSET 0) w
        WHERE w.signal_id <> ALL($2::uuid[]) AND w.expires_at > now()
        ORDER BY w.seq LIMIT $3::bigint + 1
    ) c
) t
WHERE t.total <= $4::bigint OR t.total = octet_length(t.body)
ORDER BY t.seq LIMIT $3
"""

SWEEP = "DELETE FROM signals WHERE expires_at <= now()"
