"""The demo's search must find what it looks for: each spelling, planted."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from relay.database import Database
from relay.partitions import keep_partitions
from tests.demo import held

SECRET = "we meet at the old mill"


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET.encode(),
        SECRET.encode().hex().encode(),
        base64.b64encode(b"x" + SECRET.encode() + b"yz"),
        base64.b64encode(b"xy" + SECRET.encode()),
        base64.urlsafe_b64encode(b"xyz" + SECRET.encode() + b"1"),
    ],
)
def test_every_spelling_is_found(spelled: bytes, tmp_path: Path) -> None:
    assert held.found_in(b"before " + spelled + b" after", [SECRET]) == [SECRET]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * 100_000 + spelled)
    assert held.found_in_files(tmp_path, [SECRET]) == [(tmp_path / "deep" / "file", SECRET)]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    assert held.found_in_files(tmp_path, [SECRET]) == []


async def test_a_dump_shows_every_table_and_what_is_in_it(database: Database) -> None:
    await keep_partitions(database, 1_789_000_000, 86400)
    await database.execute("CREATE TABLE gossip (said text, raw bytea)")
    await database.execute("INSERT INTO gossip VALUES ($1, $2)", SECRET, SECRET.encode())
    dumped = await held.dump(database)
    assert held.found_in(dumped["gossip"].encode(), [SECRET]) == [SECRET]
    assert {"accounts", "invites", "prekeys", "signals"} < set(dumped)
    assert any(name.startswith("envelopes_week_") for name in dumped)
