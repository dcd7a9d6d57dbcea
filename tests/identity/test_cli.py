"""The operator's commands, run as an operator runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import click
import pytest
import trio

from relay.accounts import Accounts
from relay.cli import COMMANDS, main
from relay.config import Settings
from relay.database import open_database
from relay.errors import BadInvite
from relay.frames import from_b64
from relay.numbers import phone_hash, phone_token
from relay.oprf import NumberOprf
from relay.secret_files import load_keys
from relay.services import open_configured_database
from tests.identity.members import Member
from tests.postgres.server import temporary_directory
from tests.test_import_rules import ROOT

RELAY = Path(sys.executable).with_name("relay")
PUBLIC_URL = "https://relay.example"


@pytest.fixture
def var() -> Iterator[Path]:
    with temporary_directory() as directory:
        yield directory / "var"


async def _relay(*arguments: str, var: Path, **settings: str) -> subprocess.CompletedProcess[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
    environ |= {"SOTTOVOCE_VAR_DIRECTORY": str(var), "SOTTOVOCE_PUBLIC_URL": PUBLIC_URL, "PYTHONIOENCODING": "utf-8"}
    environ |= {f"SOTTOVOCE_{name.upper()}": value for name, value in settings.items()}
    with trio.fail_after(60):
        return await trio.run_process(
            [str(RELAY), *arguments],
            env=environ,
            cwd=var.parent,  # where no sottovoce.toml of a developer lies
            check=False,
            capture_stdout=True,
            capture_stderr=True,
        )


class _Link(NamedTuple):
    address: str
    code: str
    trust_root: bytes
    voprf_public_key: bytes
    app_salt: bytes


def _parts(link: str) -> _Link:
    parts = urlsplit(link)
    fragment = {key: values[0] for key, values in parse_qs(parts.fragment, strict_parsing=True).items()}
    address = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return _Link(address, fragment["c"], *(from_b64(fragment[key]) for key in "tvs"))


async def test_an_invite_is_made_beside_a_running_relay_and_is_good(var: Path) -> None:
    settings = Settings(var_directory=var)
    async with open_configured_database(settings) as database:  # the running relay, with its private PostgreSQL
        done = await _relay("invite", "--uses", "2", var=var)
        assert (done.returncode, done.stderr) == (0, b"")
        match = re.search(r"^https://\S+$", done.stdout.decode(), re.MULTILINE)
        assert match is not None
        link = _parts(match[0])
        assert link.address == f"{PUBLIC_URL}/join"
        keys = load_keys(settings.secrets_directory)
        assert link.trust_root == keys.trust_root
        assert link.voprf_public_key == NumberOprf(keys.oprf_seed).public_key
        assert link.app_salt == (settings.secrets_directory / "app_salt.key").read_bytes()
        assert len(link.app_salt) == 32
        accounts = Accounts(database, wall_clock=time.time)
        for _ in range(2):
            await accounts.register(link.code, Member().registration())


async def test_an_invite_for_one_number_registers_no_other(var: Path) -> None:
    settings = Settings(var_directory=var)
    async with open_configured_database(settings) as database:
        done = await _relay("invite", "--number", "+49 (151) 1234-5678", "--json", var=var)
        assert (done.returncode, done.stderr) == (0, b"")
        (listed,) = json.loads(done.stdout)
        link = _parts(listed["link"])
        accounts = Accounts(database, wall_clock=time.time)
        oprf = NumberOprf(load_keys(settings.secrets_directory).oprf_seed)
        for number in (None, "+4915112345679"):
            other = None if number is None else phone_token(oprf.output(phone_hash(link.app_salt, number)))
            with pytest.raises(BadInvite):
                await accounts.register(link.code, Member(phone_token=other).registration())
        own = phone_token(oprf.output(phone_hash(link.app_salt, "+4915112345678")))
        await accounts.register(link.code, Member(phone_token=own).registration())
        assert b"15112345678" not in done.stdout


async def test_an_invite_for_one_number_has_one_use(var: Path) -> None:
    for wrong in (("--number", "0151 12345678"), ("--number", "+4915112345678", "--uses", "2")):
        done = await _relay("invite", *wrong, var=var)
        assert (done.returncode, done.stdout) == (2, b"")


async def test_json_lists_every_invite(var: Path, schema_database_url: str) -> None:
    done = await _relay(
        "invite", "--count", "3", "--uses", "5", "--expires", "2h", "--json", var=var, database_url=schema_database_url
    )
    listed = json.loads(done.stdout)
    assert len({_parts(one["link"])[1] for one in listed}) == 3
    async with open_database(schema_database_url) as database:
        rows = await database.fetch(
            "SELECT uses_left, extract(epoch FROM expires_at)::bigint AS expires_at FROM invites"
        )
    assert [(row["uses_left"], row["expires_at"]) for row in rows] == [(5, one["expires_at"]) for one in listed]
    assert all(one["uses"] == 5 for one in listed)


async def test_a_qr_code_is_printed_if_wanted(var: Path, schema_database_url: str) -> None:
    plain = await _relay("invite", var=var, database_url=schema_database_url)
    drawn = await _relay("invite", "--qr", var=var, database_url=schema_database_url)
    assert "█" not in plain.stdout.decode()
    assert len(re.findall("^[█▀▄ \xa0]{40,}$", drawn.stdout.decode(), re.MULTILINE)) > 20


async def test_a_link_that_nobody_can_follow_is_remarked_upon(var: Path, schema_database_url: str) -> None:
    done = await _relay(
        "invite", "--json", var=var, database_url=schema_database_url, public_url="http://127.0.0.1:8000"
    )
    assert done.returncode == 0
    assert "SOTTOVOCE_PUBLIC_URL" in done.stderr.decode()
    json.loads(done.stdout)
    onion = f"http://{'a' * 55}d.onion"
    done = await _relay("invite", "--json", var=var, database_url=schema_database_url, public_url=onion)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_exit_codes_and_what_to_do_next(var: Path, database_url: str) -> None:
    wrong = await _relay("invite", "--expires", "soon", var=var)
    assert (wrong.returncode, b"7d" in wrong.stderr) == (2, True)

    setting = await _relay("invite", var=var, takes_burst="many")
    assert (setting.returncode, b"takes_burst" in setting.stderr) == (os.EX_CONFIG, True)

    nobody_there = await _relay("invite", var=var, database_url="postgresql://relay@127.0.0.1:1/relay")
    assert (nobody_there.returncode, b"SOTTOVOCE_DATABASE_URL" in nobody_there.stderr) == (os.EX_UNAVAILABLE, True)

    async with open_database(database_url) as other:
        await other.execute("CREATE TABLE somebody_elses (id int)")
    foreign = await _relay("invite", var=var, database_url=database_url)
    assert (foreign.returncode, b"empty database" in foreign.stderr) == (os.EX_CONFIG, True)

    (var / "secrets" / "server.key").chmod(0o644)
    read_by_others = await _relay("invite", var=var, database_url=database_url)
    assert (read_by_others.returncode, b"chmod 600" in read_by_others.stderr) == (os.EX_NOPERM, True)

    for done in (wrong, setting, nobody_there, foreign, read_by_others):
        assert done.stdout == b""
        assert b"Traceback" not in done.stderr


async def test_version(var: Path) -> None:
    assert (await _relay("--version", var=var)).stdout == b"relay, version 0.1.0\n"


def test_help_loads_no_driver() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, relay.cli; print([m for m in ('trio', 'triopg', 'quart', 'pydantic') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "[]\n"


def test_every_command_is_there_and_help_says_what_it_says_itself() -> None:
    modules = {path.stem for path in (ROOT / "relay/commands").glob("*.py")} - {"__init__", "shared"}
    assert modules >= {name.replace("-", "_") for name in COMMANDS}
    context = click.Context(main)
    for name, told in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").splitlines()[0] == told
        assert any("--json" in option.opts for option in command.params)
    assert main.get_command(context, "shared") is None
