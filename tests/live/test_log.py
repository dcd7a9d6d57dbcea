"""The log of a relay through good and bad times: in both formats it says what happened, and in neither who it happened to."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from relay.log_lines import JsonLines
from tests.live.app import App, call, post
from tests.live.relay_process import RelayProcess, running_relay

GONE = "PostgreSQL is gone; starting it again"
ADDRESS = "203.0.113.77"
TEXT_LINE = re.compile(
    r"[0-9-]+ [0-9:,]+ (INFO|WARNING|ERROR) relay[\w.]*: |\[[0-9-]+ [0-9:]+ [+-]\d{4}\] \[\d+\] \[\w+\] "
)


async def live_through_much(relay: RelayProcess) -> list[str]:
    """Two people write, strangers ask for nonsense, and the database is killed. What nobody may find of it in the log."""
    link_a, link_b = await trio.to_thread.run_sync(relay.invite, 2)
    alice, bob = await App.join(relay.url, link_a), await App.join(relay.url, link_b)
    sent = [alice.envelope(), bob.envelope()]
    async with alice.mailbox(), alice.posting() as posting:
        await post(posting, sent[0])
    async with bob.posting() as posting:
        await post(posting, sent[1])
    forged = {"CF-Connecting-IP": ADDRESS, "X-Forwarded-For": ADDRESS, "Authorization": "Bearer my-own-secret"}
    for path in (f"/v1/prekeys/{alice.account_id}/take", f"/v1/{ADDRESS}", "/v1/account"):
        await call(relay.url, "POST", path, b"{", forged)
    postmaster = Path(relay.environ["SOTTOVOCE_VAR_DIRECTORY"]) / "postgres/data/postmaster.pid"
    os.kill(int(postmaster.read_text().split()[0]), signal.SIGKILL)
    with trio.fail_after(60):
        while GONE not in relay.logged():
            await call(relay.url, "GET", "/v1/account", None, alice.bearer)
            await trio.sleep(0.1)
        while (await call(relay.url, "GET", "/readyz")).status != 200:  # noqa: ASYNC110 - another process changes it
            await trio.sleep(0.1)
    return [
        ADDRESS,
        "my-own-secret",
        parse_qs(urlsplit(link_a).fragment)["c"][0],
        *(secret for app in (alice, bob) for secret in (app.account_id, app.bearer["Authorization"].split()[1])),
        *(str(envelope[name]) for envelope in sent for name in ("id", "body", "access")),
    ]


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_it_says_what_happened_and_not_to_whom(relay_directory: Path, log_format: str) -> None:
    with running_relay(relay_directory, "-w", "2", log_format=log_format) as relay:
        canaries = await live_through_much(relay)
        relay.stop()
        log = relay.logged()
    assert all(len(canary) >= 8 for canary in canaries)
    assert [canary for canary in canaries if canary in log] == []
    lines = log.splitlines()
    if log_format == "text":
        assert [line for line in lines if not TEXT_LINE.match(line)] == []
        return
    told = [json.loads(line) for line in lines]
    assert all(one.keys() == {"time", "level", "logger", "process", "event", "message"} for one in told)
    assert {("error", "relay.embedded_postgres", GONE)} <= {(one["level"], one["logger"], one["event"]) for one in told}
    assert {one["logger"].split(".")[0] for one in told} == {"relay", "hypercorn"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) for one in told)


def test_a_wrong_format_is_named() -> None:
    from relay.config import ConfigError, load_settings

    with pytest.raises(ConfigError, match="log_format: Input should be 'text' or 'json'"):
        load_settings({"SOTTOVOCE_LOG_FORMAT": "xml"})


def test_of_what_was_raised_only_the_type_is_told_and_a_line_stays_a_line() -> None:
    try:
        raise ValueError("from alice to bob")
    except ValueError:
        record = logging.LogRecord("relay", logging.ERROR, "x", 1, "%d of\n%s", (2, "three\u2028\n"), sys.exc_info())
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1
    told = json.loads(line)
    assert (told["event"], told["message"], told["error"]) == ("%d of\n%s", "2 of\nthree\u2028\n", "ValueError")
    assert "alice" not in line
