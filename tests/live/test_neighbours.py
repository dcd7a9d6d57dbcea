"""Two versions of the relay on one database: the newer one expands it under the older one, and both go on.

The older one is this checkout with the schema that came before: the newest frozen copy, and no step that leads on from it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import trio

from relay.database import Database, open_database
from relay.migrations import read_schema
from tests.live.app import App, post
from tests.live.relay_process import ROOT, running_relay
from tests.live.test_survival import on_thread
from tests.postgres.frozen import PLACE


def _checkout_before(directory: Path) -> Path:
    """This code with the schema one version back."""
    before = read_schema().version - 1
    for package in ("relay", "nursery_tasks"):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "coturn.conf", directory)
    shutil.copy(PLACE / f"{before:04}.sql", directory / "schema.sql")
    (last,) = (directory / "relay" / "migrations").glob(f"{before + 1:04}_*.sql")
    last.unlink()
    return directory


async def _version(database: Database) -> object:
    return await database.fetchval("SELECT version FROM relay_schema")


async def test_the_newer_one_comes_beside_the_older_one_and_mail_crosses(
    relay_directory: Path, database_url: str
) -> None:
    older_root = _checkout_before(relay_directory / "older")
    newest = read_schema()
    with running_relay(relay_directory, database_url=database_url, root=older_root) as older:
        async with open_database(database_url) as database:
            assert await _version(database) == newest.version - 1  # it is indeed the older one
            ada, bob = [
                await App.join(older.url, link, one_time=25) for link in await trio.to_thread.run_sync(older.invite, 2)
            ]
            async with bob.mailbox() as connected_all_along:
                await connected_all_along.expect("drained")
                waiting = ada.envelope()
                async with ada.posting() as posting:
                    assert await post(posting, waiting) == {waiting["id"]: "posted"}

                with running_relay(relay_directory, database_url=database_url) as newer:
                    assert await _version(database) == newest.version
                    at_newer = App(newer.url, ada.account_id, ada.secret, ada.contact_key)
                    assert [one["id"] for one in await at_newer.drain()] == [waiting["id"]]
                    for through in (newer, older):
                        envelope = bob.envelope()
                        async with App(through.url, "", b"").posting() as posting:
                            assert await post(posting, envelope) == {envelope["id"]: "posted"}
                        delivered = await connected_all_along.expect("deliver")
                        assert [one["id"] for one in delivered["envelopes"]] == [envelope["id"]]
                        await connected_all_along.say({"type": "ack", "ids": [envelope["id"]]})
                    await on_thread(older.stop)
                    await on_thread(older.start)  # again, on the database that is newer than it
                    assert await _version(database) == newest.version
                    envelope = ada.envelope()
                    async with ada.posting() as posting:
                        assert await post(posting, envelope) == {envelope["id"]: "posted"}
                    assert [one["id"] for one in await at_newer.drain()] == [envelope["id"]]
