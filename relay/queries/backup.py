"""SQL of backup and restore. Identifiers cannot be parameters; relay/backup.py takes them from its own list and from the catalogue."""

from typing import Final

SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# Rows as JSON, bytes as \\x and hexadecimal. {table}: a name from relay.backup.KEPT.
EXPORT: Final = "SELECT row_to_json(t)::text FROM {table} AS t"

# Columns that a row brings; what is not brought takes its default. $1 a JSON array of rows.
IMPORT: Final = "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1::json)"

# $1 table. Names, quoted where SQL needs it.
COLUMNS: Final = """
SELECT quote_ident(attname) FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

HAS_ACCOUNTS: Final = "SELECT EXISTS (SELECT FROM accounts)"

SCHEMA: Final = "SELECT version, fingerprint FROM relay_schema"
