"""Numbers and recovery at real relays: two processes on one database, and what a relay opens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from relay.app_salt import APP_SALT
from relay.frames import from_b64, to_b64
from relay.secret_files import OPRF_SEED
from relay.xeddsa_signatures import make_private_key
from tests.identity import rfc9497
from tests.live.app import App, answers, call, registration
from tests.live.relay_process import RelayProcess, running_relay

WITHIN_S = 5.0
"""The promise is a second; a machine that is busy gets more."""


@pytest.fixture
def two_relays(relay_directory: Path, schema_database_url: str) -> Iterator[tuple[RelayProcess, RelayProcess]]:
    """Two processes with the same keys on the same database, each at its own address."""
    with (
        running_relay(relay_directory, database_url=schema_database_url) as one,
        running_relay(relay_directory, database_url=schema_database_url) as other,
    ):
        yield one, other


async def _join(relay: RelayProcess, recovery_code: bytes) -> App:
    code = parse_qs(urlsplit(relay.invite()[0]).fragment)["c"][0]
    secret, contact_key = os.urandom(32), os.urandom(16)
    body = registration(make_private_key(), secret, contact_key)
    body["recovery_hash"] = to_b64(sha256(recovery_code).digest())
    answer = await call(relay.url, "POST", "/v1/accounts", body, {"Authorization": f"Invite {code}"})
    assert answer.status == 201, answer
    return App(relay.url, answer.json()["account_id"], secret, contact_key)


async def _recover(relay: RelayProcess, old: App, recovery_code: bytes) -> App:
    secret, contact_key = os.urandom(32), os.urandom(16)
    body = registration(make_private_key(), secret, contact_key)
    body |= {"account_id": old.account_id, "recovery_code": to_b64(recovery_code)}
    answer = await call(relay.url, "POST", "/v1/accounts/recover", body)
    assert (answer.status, answer.json()) == (200, {"account_id": old.account_id})
    return App(relay.url, old.account_id, secret, contact_key)


@pytest.mark.parametrize("what", ["delete", "recover"])
async def test_a_session_ends_on_whichever_process_it_is(
    two_relays: tuple[RelayProcess, RelayProcess], what: str
) -> None:
    here, there = two_relays
    recovery_code = os.urandom(32)
    app = await _join(here, recovery_code)
    async with app.mailbox() as mailbox:
        await mailbox.expect("drained")
        if what == "delete":
            assert (await call(there.url, "DELETE", "/v1/account", None, app.bearer)).status == 204
        else:
            await _recover(there, app, recovery_code)
        with trio.fail_after(WITHIN_S):
            assert await mailbox.close_code() == 4401
    for relay in two_relays:
        assert (await call(relay.url, "GET", "/v1/account", None, app.bearer)).status == 401


async def test_after_a_recovery_mail_goes_to_the_new_phone_alone(
    two_relays: tuple[RelayProcess, RelayProcess],
) -> None:
    here, there = two_relays
    recovery_code = os.urandom(32)
    old = await _join(here, recovery_code)
    async with old.posting() as posting:
        envelope = old.envelope()
        await posting.say({"type": "post", "envelopes": [envelope]})
        assert await answers(posting, 1) == {envelope["id"]: "posted"}
    new = await _recover(there, old, recovery_code)
    assert await new.drain() == []  # it was sealed to the old identity
    async with new.mailbox() as mailbox, old.posting() as posting:
        await mailbox.expect("drained")
        for_the_old, for_the_new = old.envelope(), new.envelope()
        await posting.say({"type": "post", "envelopes": [for_the_old, for_the_new]})
        assert await answers(posting, 2) == {for_the_old["id"]: "no_access", for_the_new["id"]: "posted"}
        while (frame := await mailbox.next())["type"] != "deliver":  # it has few prekeys, and hears of that too
            assert frame["type"] == "prekeys_low"
        assert [one["id"] for one in frame["envelopes"]] == [for_the_new["id"]]


async def test_a_relay_opens_the_seed_and_never_the_salt(relay_directory: Path) -> None:
    """Not when it starts, and not for anything that has to do with numbers."""
    opened = relay_directory / "opened"
    with running_relay(
        relay_directory, application="tests.live.audited_app:app", extra_environ={"OPENED_SECRETS": str(opened)}
    ) as relay:
        recovery_code = os.urandom(32)
        app = await _join(relay, recovery_code)
        assert (relay_directory / "var/secrets" / APP_SALT).stat().st_size == 32  # `relay invite` made it
        element = rfc9497.hash_to_group(b"anything").encode()
        body = {"elements": [to_b64(element)]}
        evaluated = await call(app.url, "POST", "/v1/discovery/evaluate", body, app.bearer)
        assert evaluated.status == 200
        proof = from_b64(evaluated.json()["proof"])
        public_key = from_b64((await call(app.url, "GET", "/v1/relay")).json()["voprf_public_key"])
        sent, received = [rfc9497.decode(element)], [rfc9497.decode(from_b64(evaluated.json()["evaluated"][0]))]
        assert rfc9497.verify_proof(rfc9497.decode(public_key), sent, received, proof)
        tokens = [to_b64(os.urandom(32)) for _ in range(100)]
        assert (await call(app.url, "POST", "/v1/discovery/lookup", {"tokens": tokens})).status == 200
        await _recover(relay, app, recovery_code)
    names = {Path(line).name for line in opened.read_text().splitlines()}
    assert OPRF_SEED in names
    assert APP_SALT not in names


def test_the_hook_would_see_the_salt(relay_directory: Path) -> None:
    """What the test above relies on."""
    opened = relay_directory / "opened"
    script = (
        "import tests.live.audited_app, pathlib, sys\n"
        "from relay.app_salt import load_app_salt\n"
        "load_app_salt(pathlib.Path(sys.argv[1]) / 'secrets')\n"
    )
    environ = os.environ | {"OPENED_SECRETS": str(opened), "SOTTOVOCE_VAR_DIRECTORY": str(relay_directory)}
    subprocess.run([sys.executable, "-c", script, str(relay_directory)], env=environ, check=True)
    assert APP_SALT in {Path(line).name for line in opened.read_text().splitlines()}
