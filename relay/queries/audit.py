"""What there is in the database besides PostgreSQL's own: read from the catalogue, for `relay audit`."""

from __future__ import annotations

from typing import Final

# Every column of every table and of whatever looks like one, partitions included. Temporary tables are gone with their session.
COLUMNS: Final = """
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       parent.relname::text AS partition_of,
       a.attname::text AS column, format_type(a.atttypid, a.atttypmod) AS type,
       obj_description(c.oid, 'pg_class') AS table_comment, col_description(c.oid, a.attnum) AS comment
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2, a.attnum
"""

# Everything else that could hold or pass on data: kind and name. What an extension brought is named by its extension; indexes of a
# partition by that of its table.
OTHERS: Final = """
WITH extension_members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
ours AS (SELECT oid, nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
SELECT 'schema' AS kind, nspname AS name FROM ours
UNION ALL
SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'index' END, c.relname::text
FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
WHERE c.relkind IN ('S', 'i', 'I') AND NOT c.relispartition
  AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM extension_members)
UNION ALL
SELECT 'type', t.typname::text
FROM pg_type AS t JOIN ours ON ours.oid = t.typnamespace
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.typelem = 0 AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm'
  AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM extension_members)
UNION ALL
SELECT 'function', p.proname::text FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM extension_members)
UNION ALL
SELECT 'trigger', tgrelid::regclass::text || '.' || tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'rule', r.ev_class::regclass::text || '.' || r.rulename
FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
UNION ALL
SELECT 'event trigger', evtname::text FROM pg_event_trigger
UNION ALL
SELECT 'extension', extname::text FROM pg_extension
UNION ALL
SELECT 'publication', pubname::text FROM pg_publication
UNION ALL
SELECT 'replication slot', slot_name::text FROM pg_replication_slots WHERE slot_type = 'logical'
UNION ALL
SELECT 'foreign server', srvname::text FROM pg_foreign_server
UNION ALL
SELECT 'statistics', stxname::text FROM pg_statistic_ext
UNION ALL
SELECT 'large object', oid::text FROM pg_largeobject_metadata
ORDER BY 1, 2
"""
