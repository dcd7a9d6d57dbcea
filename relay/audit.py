"""What a live database holds, column by column: what it is, why it is there, for how long; and what is there that should not be.

What a column is comes from its comment in the database, so from schema.sql. Why and for how long stand in HELD below. A table, column,
type of a column, index, sequence or anything else that HELD does not know is a finding, and so is what HELD knows and the database lacks:
whoever adds a column must come here and give a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from relay.database import Database
from relay.queries import audit as sql


class Why(NamedTuple):
    """Of one column: the type it must have, and the reason for it."""

    type: str
    reason: str


class Table(NamedTuple):
    """Of one table: for how long a row stays, and each column."""

    kept: str
    columns: Mapping[str, Why]


_MEMBERSHIP: Final = "until the member deletes the account"
_WHOSE: Final = Why("uuid", "the account it belongs to")

HELD: Final[Mapping[str, Table]] = {
    "accounts": Table(
        _MEMBERSHIP,
        {
            "account_id": Why("uuid", "envelopes need an address; this one is random"),
            "token_hash": Why("bytea", "to know the member again; the token itself is with the member"),
            "recovery_hash": Why("bytea", "to know the member again when the phone is lost"),
            "phone_token": Why("bytea", "to be found by people who know the number; absent without a number"),
            "identity_key": Why("bytea", "public: others encrypt to it"),
            "registration_id": Why("smallint", "part of a prekey bundle; libsignal tells installations apart by it"),
            "contact_access_hash": Why("bytea", "to let in whom the member gave the key"),
            "number_access_hash": Why("bytea", "to let in who knows the number; absent: nobody is let in by it"),
            "registered_on": Why("date", "to judge abandoned accounts; a day, not a time"),
            "last_session_on": Why("date", "to judge abandoned accounts; a day, not a time"),
            "session_epoch": Why("bigint", "so that only the newest session's acknowledgements count"),
            "recovered_by": Why(
                "bytea", "so that a lost answer to a recovery can be given again; absent: never recovered"
            ),
            "mailbox_was_full": Why("boolean", "to tell the member that somebody's message was refused"),
            "takes_full_at": Why(
                "timestamp with time zone", "limits how fast one-time keys are used up; no older than minutes of use"
            ),
        },
    ),
    "invites": Table(
        "until a day after they expire",
        {
            "code_hash": Why("bytea", "to know a code again without holding it"),
            "expires_at": Why("timestamp with time zone", "when the invite is void"),
            "uses_left": Why("integer", "how many may still register with it"),
            "evaluations_left": Why(
                "integer", "bounds the numbers that somebody without an account may have evaluated"
            ),
            "phone_token": Why("bytea", "an invite for one number is for nobody else; absent in others"),
            "registrations_full_at": Why(
                "timestamp with time zone", "an invite that went astray registers only so many an hour"
            ),
        },
    ),
    "registrations": Table(
        "until a day after the invite expired",
        {
            "code_hash": Why("bytea", "which invite it was, so that a lost answer can be given again"),
            "identity_key": Why("bytea", "who asked, for the same reason"),
            "account_id": Why("uuid", "what the answer was, for the same reason"),
            "expires_at": Why("timestamp with time zone", "when this is forgotten"),
        },
    ),
    "allowances": Table(
        "until the allowance is full again",
        {
            "account_id": _WHOSE,
            "what": Why("text", "which allowance"),
            "full_at": Why("timestamp with time zone", "so that limits hold across processes and restarts"),
        },
    ),
    "recovery_tries": Table(
        "until the allowance is full again",
        {
            "slot": Why("integer", "limits tries without telling accounts from names that are none"),
            "full_at": Why("timestamp with time zone", "so that the limit holds across processes and restarts"),
        },
    ),
    "standing_prekeys": Table(
        "until replaced; then the old ones are gone",
        {
            "account_id": _WHOSE,
            "signed_id": Why("integer", "part of a prekey bundle"),
            "signed_key": Why("bytea", "public: part of a prekey bundle"),
            "signed_signature": Why("bytea", "so that others can check it"),
            "kyber_id": Why("integer", "part of a prekey bundle"),
            "kyber_key": Why("bytea", "public: handed out when the one-time keys are used up"),
            "kyber_signature": Why("bytea", "so that others can check it"),
        },
    ),
    "prekeys": Table(
        "until handed out, once",
        {
            "account_id": _WHOSE,
            "prekey_id": Why("integer", "part of a prekey bundle"),
            "public_key": Why("bytea", "public: part of a prekey bundle"),
        },
    ),
    "kyber_prekeys": Table(
        "until handed out, once",
        {
            "account_id": _WHOSE,
            "prekey_id": Why("integer", "part of a prekey bundle"),
            "public_key": Why("bytea", "public: part of a prekey bundle"),
            "signature": Why("bytea", "so that others can check it"),
        },
    ),
    "envelopes": Table(
        "until the recipient acknowledges it, at most about five weeks",
        {
            "account_id": Why("uuid", "the recipient; there is no sender"),
            "envelope_id": Why("uuid", "so that a retry is known; random but for the hour"),
            "seq": Why("bigint", "order within a mailbox"),
            "arrived_at": Why("bigint", "certificates are judged by it; whole seconds"),
            "by_number": Why("boolean", "strangers may fill only part of a mailbox"),
            "body": Why("bytea", "sealed and padded to one of four sizes; the relay has no key to it"),
        },
    ),
    "signals": Table(
        "until acknowledged, at most a minute; not in the write-ahead log",
        {
            "account_id": Why("uuid", "the recipient; there is no sender"),
            "signal_id": Why("uuid", "so that a retry is known; random but for the hour"),
            "seq": Why("bigint", "order within a mailbox"),
            "expires_at": Why("timestamp with time zone", "when it is worthless"),
            "body": Why("bytea", "sealed and padded to one of four sizes; the relay has no key to it"),
        },
    ),
    "push_subscriptions": Table(
        "until the member takes it back, the push service forgets it, or the account is deleted or recovered",
        {
            "account_id": _WHOSE,
            "sealed": Why(
                "bytea", "where to knock when mail waits; the key to it lies in a file apart from the database"
            ),
        },
    ),
    "relay_schema": Table(
        "as long as the database",
        {
            "version": Why("integer", "so that a relay does not run on tables it does not know"),
            "fingerprint": Why("text", "for the same reason"),
            "compatible_from": Why("integer", "so that it may run on newer ones that it can work with"),
        },
    ),
    "relay_migrations": Table(
        "as long as the database",
        {
            "version": Why("integer", "which steps were taken here"),
            "fingerprint": Why("text", "so that a step that was changed later is noticed"),
        },
    ),
}

OTHERS: Final = frozenset(
    {
        ("schema", "public"),
        ("extension", "plpgsql"),
        ("sequence", "envelope_seq"),
        ("index", "accounts_pkey"),
        ("index", "allowances_pkey"),
        ("index", "recovery_tries_pkey"),
        ("index", "accounts_phone_token_key"),
        ("index", "invites_pkey"),
        ("index", "relay_migrations_pkey"),
        ("index", "registrations_pkey"),
        ("index", "registrations_by_account"),
        ("index", "push_subscriptions_pkey"),
        ("index", "standing_prekeys_pkey"),
        ("index", "prekeys_pkey"),
        ("index", "kyber_prekeys_pkey"),
        ("index", "envelopes_pkey"),
        ("index", "envelopes_in_order"),
        ("index", "signals_pkey"),
        ("index", "signals_by_expiry"),
    }
)
"""Indexes repeat columns that are explained above; the rest holds nothing about anybody."""

_WEEK: Final = re.compile(r"envelopes_week_\d+")


class Column(NamedTuple):
    """One column as found, with its explanation."""

    name: str
    type: str
    holds: str
    why: str


class Found(NamedTuple):
    """One table as found. `partitions` are the weeks of the envelopes, which hold the same columns."""

    name: str
    holds: str
    kept: str
    columns: list[Column]
    partitions: list[str]


class Report(NamedTuple):
    """All of it. `findings` are sentences; none of them: the database holds what it should and nothing else."""

    tables: list[Found]
    others: list[tuple[str, str]]
    findings: list[str]


async def audit(database: Database) -> Report:
    """Reads the catalogue of the database, no row of any table.

    Raises:
        DatabaseUnavailable
    """
    columns = [dict(row.items()) for row in await database.fetch(sql.COLUMNS)]
    others = [(row["kind"], row["name"]) for row in await database.fetch(sql.OTHERS)]
    return judge(columns, others)


def judge(columns: Iterable[Mapping[str, Any]], others: Iterable[tuple[str, str]]) -> Report:
    """From rows of the catalogue to what they mean."""
    others = list(others)
    relations: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in columns:
        relations.setdefault((row["schema"], row["name"]), []).append(row)
    findings = list(_unknown_relations(relations))
    partitions = [name for (_, name), rows in relations.items() if _is_week(rows[0])]
    tables = []
    for name, table in HELD.items():
        rows = relations.get(("public", name))
        if rows is None:
            findings.append(f"table {name} is missing")
            continue
        findings += _unlike(name, table, rows)
        known = [row for row in rows if row["column"] in table.columns]
        tables.append(
            Found(
                name,
                rows[0]["table_comment"] or "",
                table.kept,
                [Column(r["column"], r["type"], r["comment"] or "", table.columns[r["column"]].reason) for r in known],
                partitions if name == "envelopes" else [],
            )
        )
    for week in partitions:
        findings += _unlike(week, HELD["envelopes"], relations["public", week], comments=False)
    findings += [f"{kind} {name} is not known" for kind, name in others if (kind, name) not in OTHERS]
    findings += [f"{kind} {name} is missing" for kind, name in sorted(OTHERS - set(others))]
    return Report(tables, others, findings)


def _is_week(row: Mapping[str, Any]) -> bool:
    return row["schema"] == "public" and row["partition_of"] == "envelopes" and bool(_WEEK.fullmatch(row["name"]))


_KINDS: Final = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table"}


def _unknown_relations(relations: Mapping[tuple[str, str], list[Mapping[str, Any]]]) -> Iterator[str]:
    for (schema, name), rows in relations.items():
        if _is_week(rows[0]):
            continue
        if schema != "public" or name not in HELD or rows[0]["kind"] not in ("r", "p"):
            held = ", ".join(str(row["column"]) for row in rows if row["column"] is not None)
            yield f"{_KINDS[rows[0]['kind']]} {schema}.{name} is not known (columns: {held or 'none'})"


def _unlike(name: str, table: Table, rows: list[Mapping[str, Any]], *, comments: bool = True) -> Iterator[str]:
    """How the columns of a known table differ from what is known of them."""
    found = {row["column"]: row for row in rows if row["column"] is not None}
    for column, row in found.items():
        if column not in table.columns:
            yield f"column {name}.{column} ({row['type']}) is not known"
        elif row["type"] != table.columns[column].type:
            yield f"column {name}.{column} is {row['type']}, not {table.columns[column].type}"
        elif comments and not row["comment"]:
            yield f"column {name}.{column} does not say what it holds"
    for column in table.columns:
        if column not in found:
            yield f"column {name}.{column} is missing"
