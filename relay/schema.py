"""Put schema.sql into an empty database, or make sure that the one found is the same."""

from __future__ import annotations

import hashlib
import re

from relay.database import Database, Queries
from relay.errors import SchemaMismatch

SCHEMA_VERSION = 1
APPLY_TIMEOUT_S = 60  # includes waiting for another worker that is applying it
ADVISORY_LOCK = 0x50770_0CE  # any number, the same in every relay

_RECORD = """
CREATE TABLE relay_schema (
    version      integer NOT NULL,
    fingerprint  text NOT NULL
);
COMMENT ON TABLE relay_schema IS 'Which schema this is; one row.';
COMMENT ON COLUMN relay_schema.version IS 'version of schema.sql';
COMMENT ON COLUMN relay_schema.fingerprint IS 'SHA-256 of schema.sql without comments and white space';
"""

# Tables, views and sequences that are neither PostgreSQL's nor an extension's.
_RELATIONS = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""

_TOKENS = re.compile(
    r"""
      (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | (?P<tag>\$\w*\$).*?(?P=tag) )
    | (?P<comment> --[^\n]* | /\* (?: /\*.*?\*/ | . )*? \*/ )
    | (?P<space> \s+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def fingerprint(schema_sql_text: str) -> str:
    """SHA-256 of the text without comments and with every run of white space as one blank, except inside quotes."""
    words: list[str] = []
    for token in _TOKENS.finditer(schema_sql_text):
        if token.lastgroup == "comment" or token["space"] is not None:
            if words and words[-1] != " ":
                words.append(" ")
        else:
            words.append(token[0])
    return hashlib.sha256("".join(words).strip().encode()).hexdigest()


async def apply_schema(database: Database, schema_sql_text: str) -> None:
    """Apply the text to an empty database, or compare its fingerprint with the one recorded there.

    One transaction under an advisory lock, so that workers that start together agree. The text must not contain
    transaction commands.

    Raises:
        SchemaMismatch: another schema is there, or tables that are not a relay's.
        DatabaseUnavailable: nothing has changed, or all of it.
    """
    wanted = fingerprint(schema_sql_text)
    async with database.transaction() as tx:
        await tx.fetchval("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK, timeout_s=APPLY_TIMEOUT_S)
        if await tx.fetchval("SELECT to_regclass('relay_schema') IS NOT NULL"):
            await _compare(tx, wanted)
            return
        foreign = [row["name"] for row in await tx.fetch(_RELATIONS)]
        if foreign:
            raise SchemaMismatch(f"of something else ({len(foreign)} tables, {foreign[0]} among them)", _name(wanted))
        await tx.execute(schema_sql_text, timeout_s=APPLY_TIMEOUT_S)
        await tx.execute(_RECORD)
        await tx.execute("INSERT INTO relay_schema (version, fingerprint) VALUES ($1, $2)", SCHEMA_VERSION, wanted)


async def _compare(tx: Queries, wanted: str) -> None:
    row = await tx.fetchrow("SELECT version, fingerprint FROM relay_schema")
    if row is None:
        raise SchemaMismatch("without a record", _name(wanted))
    if row["fingerprint"] != wanted:
        raise SchemaMismatch(_name(row["fingerprint"], row["version"]), _name(wanted))


def _name(wanted: str, version: int = SCHEMA_VERSION) -> str:
    return f"version {version} ({wanted[:12]})"
