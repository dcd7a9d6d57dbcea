"""What a relay holds: its tables, its files, its log. For showing it, and for searching it for what must not be there."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from relay.database import Database


class WaitingRow(NamedTuple):
    """One envelope as the relay's table has it: every column of it, the body by its size."""

    account_id: str
    envelope_id: str
    seq: int
    arrived_at: int
    by_number: bool
    body_bytes: int


async def waiting(database: Database) -> list[WaitingRow]:
    rows = await database.fetch(
        "SELECT account_id, envelope_id, seq, arrived_at, by_number, octet_length(body) AS size FROM envelopes ORDER BY seq"
    )
    return [WaitingRow(str(r[0]), str(r[1]), r[2], r[3], r[4], r[5]) for r in rows]


async def columns(database: Database, table: str) -> list[str]:
    rows = await database.fetch(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
        table,
    )
    return [row[0] for row in rows]


async def dump(database: Database) -> dict[str, str]:
    """Every table's rows as text, bytes in hexadecimal: what a dump of the database would show."""
    tables = await database.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1"
    )
    dumped = {}
    for (name,) in tables:
        rows = await database.fetch(f"SELECT t::text FROM {name} t")  # a name from the catalogue, quoted there
        dumped[name] = "\n".join(row[0] for row in rows)
    return dumped


def spellings(secret: str | bytes) -> set[bytes]:
    """The ways in which bytes may lie about: as they are, in hexadecimal, in base64 at each of the three alignments."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {raw, raw.hex().encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + raw)
            # The first and last groups mix with their neighbours; what lies between is the same whatever stands around.
            found.add(whole[4 if shift else 0 : len(whole) - 4])
    return {spelling for spelling in found if len(spelling) >= 6}


def found_in(text: bytes, secrets: Iterable[str | bytes]) -> list[str | bytes]:
    """Which of the secrets occur in `text`, in any spelling."""
    return [secret for secret in secrets if any(spelling in text for spelling in spellings(secret))]


def found_in_files(directory: Path, secrets: Iterable[str | bytes]) -> list[tuple[Path, str | bytes]]:
    """The same over every file below a directory: tables, indexes, write-ahead log, whatever a seized disk would show.

    PostgreSQL's own configuration, whose comments name loopback addresses, is left out.
    """
    secrets = list(secrets)
    return [
        (path, secret)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in (".conf", ".sample")
        for secret in found_in(path.read_bytes(), secrets)
    ]
