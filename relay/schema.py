"""Put schema.sql into an empty database, bring an older one up to it, or make sure that the one found can be worked with.

Expand, then contract: a version that only adds says that the relays before it can go on (`compatible_from`), so it may come while they
run, and they may start again afterwards. One that takes something away is applied by hand (`relay migrate`), with those relays stopped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from relay.database import Database, Queries, Row
from relay.errors import RelaysAreRunning, SchemaMismatch

APPLY_TIMEOUT_S = 60  # includes waiting for another worker that is applying it
BY_HAND_TIMEOUT_S = 3600  # a rewrite of a large table, with somebody watching
LOCK_TIMEOUT = "5s"  # beside running relays: who waits for a table's lock holds up everybody behind
ADVISORY_LOCK = 0x50770_0CE  # any number, the same in every relay


class Migration(NamedTuple):
    """One step, as relay/migrations/ describes it. `before` is the fingerprint of the schema that it starts from."""

    version: int
    what: str
    compatible_from: int
    before: str
    sql: str

    @property
    def fingerprint(self) -> str:
        """Of everything in it that counts."""
        return fingerprint(f"{self.compatible_from} {self.before}\n{self.sql}")


@dataclass(frozen=True, slots=True)
class Schema:
    """A text like schema.sql, which version it is, and every step from version 1 on."""

    text: str
    version: int = 1
    migrations: tuple[Migration, ...] = ()

    @property
    def compatible_from(self) -> int:
        """The oldest version whose relays can work with it."""
        return self.migrations[-1].compatible_from if self.migrations else self.version


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found in a database: its version (None: nothing was in it), and the steps that lead from there to this relay's."""

    version: int | None
    pending: tuple[Migration, ...] = ()

    @property
    def needs_a_stop(self) -> bool:
        """Whether relays of the version that was found cannot go on after the steps."""
        return bool(self.pending) and self.version is not None and self.pending[-1].compatible_from > self.version


# As the steps leave it; no part of schema.sql.
RECORD = """
CREATE TABLE relay_schema (
    version          integer NOT NULL,
    fingerprint      text NOT NULL,
    compatible_from  integer NOT NULL
);
COMMENT ON TABLE relay_schema IS 'Which schema this is; one row.';
COMMENT ON COLUMN relay_schema.version IS 'version of schema.sql';
COMMENT ON COLUMN relay_schema.fingerprint IS 'SHA-256 of schema.sql without comments and white space';
COMMENT ON COLUMN relay_schema.compatible_from IS 'the oldest version whose relays can work with it';

CREATE TABLE relay_migrations (
    version      integer PRIMARY KEY,
    fingerprint  text NOT NULL
);
COMMENT ON TABLE relay_migrations IS 'The steps that were taken here, from one version of the schema to the next.';
COMMENT ON COLUMN relay_migrations.version IS 'version that the step leads to';
COMMENT ON COLUMN relay_migrations.fingerprint IS 'SHA-256 of the step without comments and white space';
"""

# Relays and commands that have this database open, but for whoever asks.
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> current_setting('application_name')
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


async def apply_schema(database: Database, schema: Schema) -> Standing:
    """Apply it to an empty database, or bring an older one up to it while relays run. Answers what was found, and the steps that were taken.

    One transaction under an advisory lock, so that workers that start together agree. A newer database is left as it is, when it says
    that this version can work with it.

    Raises:
        SchemaMismatch: something else is there, a version that cannot be worked with, or one that takes `relay migrate` to go on from.
        DatabaseUnavailable: nothing has changed, or all of it.
    """
    async with database.transaction() as tx:
        standing = await _look(tx, schema)
        if standing.needs_a_stop:
            raise SchemaMismatch(
                _name(None, standing.version), _name(schema), "stop every relay that uses it, then: relay migrate"
            )
        await _bring(tx, schema, standing, APPLY_TIMEOUT_S)
    return standing


async def look_at_schema(database: Database, schema: Schema) -> Standing:
    """What `migrate` would find. Changes nothing.

    Raises:
        SchemaMismatch
        DatabaseUnavailable
    """
    async with database.transaction() as tx:
        return await _look(tx, schema)


async def migrate(database: Database, schema: Schema) -> Standing:
    """Takes every step, also those that older relays cannot go on after. `database` must have been opened under an application name of its own.

    Raises:
        RelaysAreRunning: such a step is due, and others have the database open. Nothing has changed.
        SchemaMismatch: something else is there, or a version that there is no way from.
        DatabaseUnavailable: nothing has changed, or all of it.
    """
    async with database.transaction() as tx:
        standing = await _look(tx, schema)
        if standing.needs_a_stop:
            others = await tx.fetchval(_OTHERS)
            if others:
                raise RelaysAreRunning(others)
        await _bring(tx, schema, standing, BY_HAND_TIMEOUT_S)
    return standing


async def _look(tx: Queries, schema: Schema) -> Standing:
    """Waits for whoever is at it. The lock goes with the transaction."""
    await tx.fetchval("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK, timeout_s=APPLY_TIMEOUT_S)
    if not await tx.fetchval("SELECT to_regclass('relay_schema') IS NOT NULL"):
        foreign = [row["name"] for row in await tx.fetch(_RELATIONS)]
        if foreign:
            raise SchemaMismatch(f"of something else ({len(foreign)} tables, {foreign[0]} among them)", _name(schema))
        return Standing(None)
    row = await tx.fetchrow(
        "SELECT version, fingerprint, to_jsonb(s) ->> 'compatible_from' AS oldest FROM relay_schema s"
    )
    if row is None:
        raise SchemaMismatch("without a record", _name(schema))
    version, found = row["version"], row["fingerprint"]
    if await tx.fetchval("SELECT to_regclass('relay_migrations') IS NOT NULL"):
        _no_step_was_changed(await tx.fetch("SELECT version, fingerprint FROM relay_migrations"), schema)
    if version > schema.version:
        if int(row["oldest"] or version) > schema.version:
            raise SchemaMismatch(
                _name(found, version),
                _name(schema),
                f"run a relay whose schema is version {row['oldest'] or version} or later",
            )
        return Standing(version)
    pending = tuple(step for step in schema.migrations if step.version > version)
    if found != (pending[0].before if pending else fingerprint(schema.text)):
        raise SchemaMismatch(_name(found, version), _name(schema))
    return Standing(version, pending)


def _no_step_was_changed(taken: Iterable[Row], schema: Schema) -> None:
    ours = {step.version: step.fingerprint for step in schema.migrations}
    for row in taken:
        if ours.get(row["version"], row["fingerprint"]) != row["fingerprint"]:
            raise SchemaMismatch(
                f"that came by another step to {_name(row['fingerprint'], row['version'])}",
                f"the one that it ships ({ours[row['version']][:12]})",
                "install the relay again: a step that was published does not change",
            )


async def _bring(tx: Queries, schema: Schema, standing: Standing, timeout_s: float) -> None:
    record = (schema.version, fingerprint(schema.text), schema.compatible_from)
    if standing.version is None:
        await tx.execute(schema.text, timeout_s=timeout_s)
        await tx.execute(RECORD)
        await tx.execute(
            "INSERT INTO relay_schema (version, fingerprint, compatible_from) VALUES ($1, $2, $3)", *record
        )
    elif standing.pending:
        if not standing.needs_a_stop:
            await tx.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        for step in standing.pending:
            await tx.execute(step.sql, timeout_s=timeout_s)
            await tx.execute(
                "INSERT INTO relay_migrations (version, fingerprint) VALUES ($1, $2)", step.version, step.fingerprint
            )
        await tx.execute("UPDATE relay_schema SET version = $1, fingerprint = $2, compatible_from = $3", *record)


def _name(found: Schema | str | None, version: int | None = None) -> str:
    if isinstance(found, Schema):
        return _name(fingerprint(found.text), found.version)
    return f"version {version}" if found is None else f"version {version} ({found[:12]})"
