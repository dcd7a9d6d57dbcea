"""/metrics and `relay top`: what is counted, who may look, several workers, and that nobody is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from nursery_tasks.lag_probe import EVERY_S, LagProbe
from relay.errors import DatabaseUnavailable, Refusal
from relay.metrics import Metrics
from relay.records import Outcome, Stored
from tests.commands.operator_shell import Shell, run_relay
from tests.live.app import App, call, post
from tests.live.relay_process import ROOT, RelayProcess, running_relay
from tests.postgres.server import temporary_directory

DASHBOARD = ROOT / "deploy/grafana/sottovoce.json"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with temporary_directory() as directory, running_relay(directory, "-w", "2") as running:
        yield running


def token(relay: RelayProcess) -> str:
    return (Path(relay.environ["SOTTOVOCE_VAR_DIRECTORY"]) / "secrets/metrics.token").read_text()


async def scrape(relay: RelayProcess) -> str:
    answer = await call(relay.url, "GET", "/metrics", None, {"Authorization": f"Bearer {token(relay)}"})
    assert answer.status == 200
    return answer.body.decode()


def total(text: str, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def until(relay: RelayProcess, name: str, value: float, **labels: str) -> str:
    """Numbers of the other worker come a few seconds late."""
    with trio.fail_after(40):
        while total(text := await scrape(relay), name, **labels) != value:  # noqa: ASYNC110 - another process changes it
            await trio.sleep(0.3)
    return text


async def test_what_happened_is_counted_whichever_worker_it_happened_in(relay: RelayProcess) -> None:
    alice, bob = [await App.join(relay.url, link, one_time=25) for link in relay.invite(2)]
    async with alice.mailbox(), bob.mailbox(), alice.posting() as posting:
        for _ in range(3):
            assert set((await post(posting, alice.envelope(), alice.envelope())).values()) == {"posted"}
        assert set((await post(posting, alice.envelope(access="A" * 22))).values()) == {"no_access"}
        await until(relay, "sottovoce_sessions", 2, kind="mailbox")
        await until(relay, "sottovoce_sessions", 1, kind="post")
    text = await until(relay, "sottovoce_posts_total", 6, lane="mail", outcome="stored")
    text = await until(relay, "sottovoce_posts_total", 1, lane="mail", outcome="no_access")
    assert total(text, "sottovoce_commit_seconds_count", lane="mail") == total(text, "sottovoce_batch_items_count") == 4
    assert total(text, "sottovoce_batch_items_sum", lane="mail") == 7
    assert total(text, "sottovoce_notify_seconds_count") >= 1
    assert total(text, "process_max_fds") > 0
    processes = set(re.findall(r'process="(\d+)"', text))
    assert len(processes) == 2

    for canary in (alice.account_id, bob.account_id, "127.0.0.1", str(relay.port)):
        assert canary not in text
    names = {label for sample in re.findall(r"\{(.*?)\}", text) for label in re.findall(r'(\w+)="', sample)}
    assert names <= {"process", "kind", "lane", "outcome", "le", "version"}


async def test_it_takes_the_token(relay: RelayProcess) -> None:
    good = token(relay)
    for shown in ("", "Bearer", "Bearer x", f"Basic {good}", f"Bearer {good}x", f"Bearer {good[:-1]}"):
        answer = await call(relay.url, "GET", "/metrics", None, {"Authorization": shown})
        assert (answer.status, answer.code) == (401, "unauthorized"), shown
    assert (await call(relay.url, "GET", "/metrics")).status == 401
    assert good not in relay.logged()


async def test_the_dashboard_asks_for_what_is_there(relay: RelayProcess) -> None:
    expressions = [
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]
    ]
    asked = set(re.findall(r"\b(?:sottovoce|process)_\w+", " ".join(expressions)))
    served = {
        sample.name for family in text_string_to_metric_families(await scrape(relay)) for sample in family.samples
    }
    # What has not happened yet has no sample: it is in the code.
    source = (ROOT / "relay/metrics.py").read_text()
    for name in asked - served:
        assert f'"{re.sub("^sottovoce_|_(?:total|sum|count|bucket)$", "", name)}"' in source, name
    assert len(asked) > 8


def test_top_shows_it(relay: RelayProcess, tmp_path: Path) -> None:
    shell = Shell(tmp_path, environ=relay.environ)
    done = run_relay(shell, "top", "--json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
    assert numbers["processes"] == 2
    assert numbers["memory bytes"] > 10**7
    table = run_relay(shell, "top", "--once")
    assert (table.returncode, "mailbox sessions" in table.stdout) == (0, True)
    away = run_relay(shell, "top", "--once", "--url", "http://127.0.0.1:1")
    assert (away.returncode, away.stdout) == (69, "")


def test_each_post_of_a_batch_is_counted_by_what_came_of_it() -> None:
    metrics = Metrics()
    outcomes: list[Outcome] = [
        Stored.NEW,
        Refusal.NO_ACCESS,
        Stored.AGAIN,
        Refusal.NO_ACCESS,
        Stored.NEW,
        Refusal.CONFLICT,
    ]
    metrics.batch("mail", outcomes, 0.001)
    metrics.batch("mail", [Refusal.CONFLICT], 0.001)
    text = metrics.text().decode()
    counted = {
        outcome: total(text, "sottovoce_posts_total", lane="mail", outcome=outcome)
        for outcome in ("stored", "no_access", "conflict", "rate_limited")
    }
    assert counted == {"stored": 3, "no_access": 2, "conflict": 2, "rate_limited": 0}
    assert total(text, "sottovoce_batch_items_sum", lane="mail") == 7


def test_a_worker_that_ends_takes_its_numbers_along() -> None:
    with temporary_directory() as directory, running_relay(directory) as relay:
        assert len(list((directory / "var/metrics").glob("*.prom"))) == 1
        relay.stop()
        assert list((directory / "var/metrics").iterdir()) == []


async def test_the_lag_is_measured_by_ones_own_notifications(autojump_clock: MockClock) -> None:
    measured: list[float] = []
    said: list[str] = []

    async def say(payload: str) -> None:
        said.append(payload)
        if len(said) == 2:
            raise DatabaseUnavailable

    probe = LagProbe(say, measured.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(probe.run)
        await trio.sleep(0.25)
        probe.heard("1 1")  # another process's
        assert measured == []
        probe.heard(said[0])
        probe.heard(said[0])  # again
        await trio.sleep(2.5 * EVERY_S)
        nursery.cancel_scope.cancel()
    assert measured == [0.25]
    assert len(set(said)) == len(said) == 3
