"""Every statement of the signals: the mailbox's shape, on an UNLOGGED table, with an expiry instead of a quota in bytes."""

# $1 recipients, $2 ids, $3 access hashes, $4 bodies, $5 expiry times, $6 over rate, $7 most signals an account
# -> one row a posting, in order: verdict, whether it was inserted.
PUT = """
WITH incoming AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::boolean[])
        WITH ORDINALITY AS i (account_id, signal_id, access_hash, body, expires_at, over_rate, n)
), judged AS (
    SELECT i.*, coalesce(a.contact_access_hash = i.access_hash, false)
                OR coalesce(a.number_access_hash = i.access_hash, false) AS access
    FROM incoming i LEFT JOIN LATERAL (
        SELECT contact_access_hash, number_access_hash FROM accounts WHERE account_id = i.account_id OFFSET 0
    ) a ON true
), held AS (
    SELECT r.account_id, count(e.one) AS items
    FROM (SELECT DISTINCT account_id FROM judged WHERE access) r
    LEFT JOIN LATERAL (
        SELECT 1 AS one FROM signals w WHERE w.account_id = r.account_id AND w.expires_at > now() LIMIT $7
    ) e ON true
    GROUP BY r.account_id
), decided AS (
    SELECT j.n, j.account_id, j.signal_id, j.body, j.expires_at,
           CASE WHEN NOT j.access THEN 'no_access'
                WHEN j.over_rate THEN 'rate_limited'
                WHEN h.items + count(*) OVER w > $7 THEN 'mailbox_full'
                ELSE 'store' END AS verdict
    FROM judged j LEFT JOIN held h ON h.account_id = j.account_id
    WINDOW w AS (PARTITION BY j.account_id, NOT j.access OR j.over_rate ORDER BY j.n)
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
SELECT d.verdict, s.account_id IS NOT NULL AS inserted
FROM decided d LEFT JOIN stored s ON s.account_id = d.account_id AND s.signal_id = d.signal_id
ORDER BY d.n
"""

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
        SELECT signal_id, seq, extract(epoch FROM expires_at)::bigint AS expires_at, body FROM signals
        WHERE account_id = $1 AND signal_id <> ALL($2::uuid[]) AND expires_at > now()
        ORDER BY seq LIMIT $3::bigint + 1
    ) c
) t
WHERE t.total <= $4::bigint OR t.total = octet_length(t.body)
ORDER BY t.seq LIMIT $3
"""

SWEEP = "DELETE FROM signals WHERE expires_at <= now()"
