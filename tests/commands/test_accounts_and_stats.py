"""relay accounts, relay stats, relay panic: numbers of everybody, names of nobody; and what is gone is gone."""

from __future__ import annotations

import os
import time
from uuid import UUID

import pytest
import trio

from relay.accounts import Accounts
from relay.config import Settings
from relay.database import Database, open_database
from relay.invites import Invites
from relay.mailbox import PostgresMailbox
from relay.partitions import keep_partitions
from relay.records import Posting, Stored
from relay.secret_files import load_keys
from tests.commands.operator_shell import Shell
from tests.identity.members import Member, sha256
from tests.live.app import new_body, new_id


@pytest.fixture
async def database(schema_database_url: str) -> Database:  # type: ignore[misc]
    async with open_database(schema_database_url) as opened:
        yield opened


async def _member_with_mail(database: Database, envelopes: int = 2) -> UUID:
    member = Member(phone_token=os.urandom(32))
    (invite,) = await Invites(database, wall_clock=time.time).mint(ttl_s=3600)
    account_id = await Accounts(database, wall_clock=time.time).register(invite.code, member.registration())
    await keep_partitions(database, int(time.time()), 30 * 86400)
    async with PostgresMailbox.open(Settings(), database) as mailbox:
        posts = [
            Posting(account_id, UUID(new_id()), sha256(member.contact_key), new_body(), int(time.time()))
            for _ in range(envelopes)
        ]
        assert await mailbox.put(posts) == [Stored.NEW] * envelopes
    return account_id


async def test_counts(shell: Shell, database: Database) -> None:
    await _member_with_mail(database)
    await _member_with_mail(database, 1)
    await shell.relay("invite", "--uses", "7")
    counts = (await shell.relay("accounts", "--json")).json()
    assert (counts["accounts"], counts["never_seen"], counts["with_number"]) == (2, 2, 2)
    stats = await shell.relay("stats", "--json")
    found = stats.json()
    assert (found["accounts"], found["envelopes"], found["bytes"], found["mailboxes"]) == (2, 3, 3072, 2)
    assert (found["invites"], found["registrations_left"]) == (1, 7)
    assert found["database_bytes"] > 10**6
    table = await shell.relay("stats")
    assert "envelopes" in table.out
    ids = [str(row[0]) for row in await database.fetch("SELECT account_id FROM accounts")]
    assert not any(one in stats.out + table.out for one in ids)


async def test_an_account_is_deleted_with_all_that_is_its(shell: Shell, database: Database) -> None:
    account_id, other = await _member_with_mail(database), await _member_with_mail(database)
    heard: list[str] = []
    somebody_heard = trio.Event()

    def hear(_topic: str, payload: str) -> None:
        heard.append(payload)
        somebody_heard.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(database.listen, ["sottovoce_sessions"], hear, lambda: None)
        kept = await shell.relay("accounts", "delete", str(account_id), typed="n\n")
        assert kept.code == 1
        assert await database.fetchval("SELECT count(*) FROM accounts") == 2
        done = await shell.relay("accounts", "delete", str(account_id), typed="y\n")
        assert (done.code, done.out.strip()) == (0, f"Deleted {account_id}.")
        with trio.fail_after(20):
            await somebody_heard.wait()
        nursery.cancel_scope.cancel()
    assert heard == [str(account_id)]  # so that its session ends, on whichever node it is
    for table in ("accounts", "prekeys", "envelopes"):
        assert {row[0] for row in await database.fetch(f"SELECT DISTINCT account_id FROM {table}")} == {other}
    again = await shell.relay("accounts", "delete", str(account_id), "--yes")
    assert (again.code, again.out) == (os.EX_NOINPUT, "")
    assert (await shell.relay("accounts", "delete", "Alice", "--yes")).code == 2


async def test_panic_asks_first(shell: Shell, database: Database) -> None:
    await _member_with_mail(database)
    keys = load_keys(shell.secrets)
    for typed in ("", "yes\n", "y\n"):
        assert (await shell.relay("panic", typed=typed)).code != 0
    assert (await shell.relay("panic", "--confirm", "other")).code == 2
    assert load_keys(shell.secrets) == keys
    assert await database.fetchval("SELECT count(*) FROM envelopes") == 2


async def test_panic_leaves_accounts_and_nothing_else(shell: Shell, database: Database) -> None:
    await _member_with_mail(database)
    server_key = load_keys(shell.secrets).server_key
    (shell.secrets / "server.key").rename(shell.directory / "moved")
    (shell.secrets / "server.key").symlink_to(shell.directory / "moved")  # what is elsewhere is not ours to destroy
    done = await shell.relay("panic", typed="sottovoce\n")
    assert done.code == 0
    assert "write-ahead log" in done.out
    assert list(shell.secrets.iterdir()) == []
    assert (shell.directory / "moved").read_bytes() == server_key
    for table in ("envelopes", "prekeys", "kyber_prekeys", "invites", "registrations", "push_subscriptions"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_panic_with_accounts(shell: Shell, database: Database) -> None:
    await _member_with_mail(database)
    gone = (await shell.relay("panic", "--accounts", "--confirm", "sottovoce", "--json")).json()
    assert "accounts" in gone["gone"]["tables"]
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0
    assert await database.fetchval("SELECT count(*) FROM standing_prekeys") == 0


async def test_panic_destroys_the_keys_also_when_the_database_is_away(bare_shell: Shell) -> None:
    bare_shell.settings = {"var_directory": str(bare_shell.var), "database_url": "postgresql://relay@127.0.0.1:1/relay"}
    load_keys(bare_shell.secrets)
    done = await bare_shell.relay("panic", "--confirm", "sottovoce")
    assert done.code == os.EX_UNAVAILABLE
    assert list(bare_shell.secrets.iterdir()) == []
