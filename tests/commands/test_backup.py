"""Backups: what is in them, who can open them, and a total loss from which members come back as if nothing had been."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pyrage
import pytest
import trio

from relay import backup
from relay.backup import BackupError, Data, Keys, Opening, Sealing, open_sealed, seal
from relay.config import load_settings
from relay.database import open_database
from relay.secret_files import load_keys
from relay.services import open_configured_database
from tests.commands.operator_shell import Shell, run_relay
from tests.commands.test_accounts_and_stats import _member_with_mail
from tests.conftest import SCHEMA
from tests.demo.people import Person
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import FreshDatabases, temporary_directory

PASSPHRASE = "correct horse battery staple"
IDENTITY, RECIPIENT = backup.make_identity()  # a passphrase costs a second of scrypt each time; one test pays it
OPENING = Opening([IDENTITY])
DATA = Data(1, "x", 1, "f", {"accounts": [{"account_id": "a"}], "standing_prekeys": []})


async def _backed_up(shell: Shell) -> tuple[Path, Path]:
    (shell.directory / "identity").write_text(f"# a comment\n{IDENTITY}\n")
    made = (await shell.relay("backup", "out", "--to", RECIPIENT, "--json")).json()
    return shell.directory / made["data"], shell.directory / made["keys"]


async def test_every_table_is_kept_or_left_out_for_a_reason(schema_database_url: str) -> None:
    async with open_database(schema_database_url) as database:
        tables = {
            row[0]
            for row in await database.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind IN ('r', 'p') AND NOT relispartition"
            )
        }
    assert tables == set(backup.KEPT) | set(backup.LEFT_OUT)
    assert set(backup.KEPT).isdisjoint(backup.LEFT_OUT)


async def test_what_is_in_a_backup_and_what_is_not(shell: Shell, schema_database_url: str) -> None:
    async with open_database(schema_database_url) as database:
        await _member_with_mail(database)
        bodies = [row[0] for row in await database.fetch("SELECT body FROM envelopes")]
        one_time = [row[0] for row in await database.fetch("SELECT public_key FROM prekeys")]
        standing = await database.fetchval("SELECT signed_key FROM standing_prekeys")
    keys = load_keys(shell.secrets)
    trust_root_key = (shell.secrets / "trust_root.key").read_bytes()
    data_file, keys_file = await _backed_up(shell)
    assert {path.stat().st_mode & 0o777 for path in (data_file, keys_file)} == {0o600}

    inside = {
        path: gzip.decompress(pyrage.decrypt(path.read_bytes(), [pyrage.x25519.Identity.from_str(IDENTITY)]))
        for path in (data_file, keys_file)
    }
    assert standing.hex().encode() in inside[data_file]
    assert keys.server_key.hex().encode() in inside[keys_file]
    assert keys.server_key.hex().encode() not in inside[data_file]
    for secret in (*bodies, *one_time, trust_root_key):
        assert not any(secret.hex().encode() in one for one in inside.values())
    assert b"account_id" not in inside[keys_file]


async def test_nothing_is_opened_by_somebody_else_or_after_damage(shell: Shell) -> None:
    data_file, _ = await _backed_up(shell)
    good = data_file.read_bytes()
    (shell.directory / "other").write_text(backup.make_identity()[0])
    wrong = await shell.relay("restore", "--verify", str(data_file), "--identity", "other")
    assert (wrong.code, wrong.out, "cannot be opened" in wrong.err) == (os.EX_DATAERR, "", True)
    for bad in (good[:-1], good[:-40] + bytes([good[-40] ^ 1]) + good[-39:], b"", b"age-encryption.org/v1\n"):
        with pytest.raises(BackupError, match="cannot be opened"):
            open_sealed(bad, OPENING)


async def test_a_passphrase_will_do(shell: Shell) -> None:
    made = await shell.relay("backup", "out", "--json", typed=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    (shell.directory / "passphrase").write_text(PASSPHRASE + "\n")
    done = await shell.relay("restore", "--verify", made.json()["data"], "--passphrase-file", "passphrase", "--json")
    assert done.json()["restored"] is False
    with pytest.raises(BackupError, match="cannot be opened"):
        open_sealed((shell.directory / made.json()["keys"]).read_bytes(), Opening(passphrase="another passphrase"))
    short = await shell.relay("backup", "out2", typed="short\nshort\n")
    assert (short.code, (shell.directory / "out2").exists()) == (2, False)


async def test_the_machine_need_not_be_able_to_open_its_backups(shell: Shell) -> None:
    made = (await shell.relay("backup", "--make-identity", "identity", "--json")).json()
    assert (shell.directory / "identity").stat().st_mode & 0o777 == 0o600
    done = (await shell.relay("backup", "out", "--to", made["recipient"], "--json")).json()
    good = await shell.relay("restore", "--verify", done["data"], done["keys"], "--identity", "identity")
    assert (good.code, good.out.count("Good: ")) == (0, 2)
    assert (await shell.relay("backup", "out", "--to", "age1nonsense")).code == os.EX_DATAERR


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([{"format": 2, "holds": "data"}], "format 2"),
        ([{"no": "head"}], "no backup"),
        ([], "no backup"),
        (
            [{"format": 1, "holds": "data", "made_at": 1, "name": "x", "schema_version": 1, "fingerprint": "f", "counts": {"accounts": 2}},
             {"table": "accounts", "row": {}}],
            "numbers of rows",
        ),
    ],
)  # fmt: skip
def test_what_is_no_backup_is_told(lines: list[Any], complaint: str) -> None:
    plain = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    sealed = pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(RECIPIENT)])
    with pytest.raises(BackupError, match=complaint):
        open_sealed(sealed, OPENING)


def test_what_was_sealed_comes_out_again() -> None:
    sealing = Sealing([RECIPIENT])
    assert open_sealed(seal(DATA, sealing), OPENING) == DATA
    keys = Keys(1, "x", {"server.key": b"\0\1"})
    assert open_sealed(seal(keys, sealing), OPENING) == keys


def test_a_file_of_a_backup_does_not_leave_the_directory(tmp_path: Path) -> None:
    for name in ("../evil", "/etc/evil", ".hidden", "a/b"):
        with pytest.raises(BackupError, match="outside"):
            backup.restore_keys(tmp_path / "secrets", Keys(1, "x", {name: b"x"}))
    assert [path.name for path in tmp_path.rglob("*")] == ["secrets"]


async def test_restoring_overwrites_nothing(
    shell: Shell, fresh_databases: FreshDatabases, schema_database_url: str
) -> None:
    async with open_database(schema_database_url) as database:
        account_id = await _member_with_mail(database)
        load_keys(shell.secrets)
        await database.execute("UPDATE accounts SET mailbox_was_full = true, session_epoch = 9, takes_full_at = now()")
        before = await database.fetchrow("SELECT * FROM accounts")
    data_file, keys_file = await _backed_up(shell)
    options = ("--identity", "identity")
    there = await shell.relay("restore", str(data_file), *options)
    assert (there.code, "empty one" in there.err) == (os.EX_DATAERR, True)
    (shell.secrets / "server.key").chmod(0o600)
    (shell.secrets / "server.key").write_bytes(b"k" * 32)
    other_keys = await shell.relay("restore", str(keys_file), *options)
    assert (other_keys.code, "holds something else" in other_keys.err) == (os.EX_DATAERR, True)

    async with fresh_databases.make(SCHEMA) as empty:
        done = await shell.relay("restore", str(data_file), *options, settings={"database_url": empty})
        assert done.code == 0
        async with open_database(empty) as database:
            after = await database.fetchrow("SELECT * FROM accounts")
            assert before is not None
            assert after is not None
            assert after["account_id"] == account_id
            reset = {"mailbox_was_full": False, "takes_full_at": None}
            assert dict(after.items()) == dict(before.items()) | reset
            assert await database.fetchval("SELECT count(*) FROM standing_prekeys") == 1
            for table in backup.LEFT_OUT:
                if table not in ("relay_schema", "relay_migrations"):
                    assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0


def test_after_a_total_loss_members_go_on_talking() -> None:
    with temporary_directory() as directory, running_relay(directory) as relay:
        alice, bob = Person("Alice", directory / "alice"), Person("Bob", directory / "bob")
        for person, invite in zip((alice, bob), relay.invite(2), strict=True):
            person.join(invite)
        alice.run("add", bob.card)
        _talk(alice, bob, "before the loss")
        shell = Shell(directory, environ=relay.environ)
        (directory / "identity").write_text(IDENTITY)
        made = json.loads(_ran(shell, "backup", "out", "--to", RECIPIENT, "--json").stdout)

        relay.stop()
        shutil.rmtree(directory / "var")
        _ran(shell, "restore", made["data"], made["keys"], "--identity", "identity")
        relay.start()

        _talk(alice, bob, "after the loss")
        _talk(bob, alice, "and back")
        assert [m["text"] for m in bob.history(alice) if m["direction"] == "in"] == [
            "before the loss",
            "after the loss",
        ]
        # An app sees that its one-time keys are gone, and uploads new ones.
        online = alice.come_online()
        _until_refilled(relay, alice.account)
        online.leave()
        carol = Person("Carol", directory / "carol")
        carol.join(relay.invite()[0])
        carol.run("add", alice.card)
        _talk(carol, alice, "hello, I am new")


def _ran(shell: Shell, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = run_relay(shell, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def _talk(writer: Person, reader: Person, text: str) -> None:
    writer.run("send", reader.name if writer.name != "Bob" else reader.account, text, "--wait")
    online = reader.come_online()
    try:
        online.wait_for_texts(text)
    finally:
        online.leave()


def _until_refilled(relay: RelayProcess, account: str) -> None:
    async def refilled() -> bool:
        async with open_configured_database(load_settings(relay.environ)) as database:
            return bool(
                await database.fetchval("SELECT count(*) > 20 FROM prekeys WHERE account_id = $1", UUID(account))
            )

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if trio.run(refilled):
            return
        time.sleep(0.5)
    raise AssertionError("one-time keys were not uploaded again")
