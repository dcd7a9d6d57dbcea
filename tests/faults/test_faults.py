"""A short run of every injury, and each planted bug convicted. The long run is `make faults`."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import trio
from trio_websocket import ConnectionClosed

from tests.faults.cluster import running_cluster
from tests.faults.injuries import INJURIES
from tests.faults.run import Plan, Result, run, schedule
from tests.live.app import App, post
from tests.postgres.server import temporary_directory

pytestmark = pytest.mark.timeout(400)  # a slow machine starts a dozen relays here


def described(result: Result) -> str:
    return (
        f"{result.verdict.charges} {result.verdict.counts}\n"
        + "\n".join(result.history.injuries)
        + "\n"
        + result.log[-4000:]
    )


async def test_every_injury_once_and_nothing_is_lost() -> None:
    result = await run(Plan(seed=11, injuries=schedule(11, list(INJURIES), len(INJURIES))))
    assert result.verdict.charges == {}, described(result)
    assert result.verdict.counts["ok"] > 300, described(result)
    assert result.verdict.counts["redelivered"] > 0, described(result)


async def test_failover_to_the_standby_loses_nothing_and_the_old_primary_can_do_no_harm() -> None:
    result = await run(Plan(seed=3, injuries=("fail_over", "kill_relay"), pair=True))
    assert result.verdict.charges == {}, described(result)
    assert result.verdict.counts["ok"] > 100, described(result)


async def test_a_standby_that_nobody_waits_for_loses_mail_and_is_convicted() -> None:
    result = await run(
        Plan(
            seed=3,
            injuries=("fail_over",),
            pair=True,
            synchronous=False,
            away=True,
            heal_within_s=4,
            restart_at_end=False,
        )
    )
    assert "lost" in result.verdict.charges, described(result)


async def test_a_relay_that_starts_with_its_clock_weeks_ahead_drops_no_mail() -> None:
    """A machine without a battery boots in another year; time servers set it right some seconds later."""
    with (
        temporary_directory() as directory,
        running_cluster(directory, faked_time=True) as cluster,
    ):
        (node,) = cluster.nodes
        bob = await App.join(node.url, (await trio.to_thread.run_sync(node.invite))[0])
        envelope = bob.envelope()
        async with bob.posting() as posting:
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
        assert cluster.clock is not None
        cluster.clock.write_text(str(400 * 86400))
        node.kill()
        await cluster.revive()
        node.kill()
        cluster.clock.write_text("0")
        await cluster.revive()
        assert [one["id"] for one in await bob.drain()] == [envelope["id"]]


async def test_mail_of_a_node_that_died_before_it_told_anybody_comes_when_it_runs_again() -> None:
    """The recipient's session is at the other node, and stays open and healthy: nothing but a wake-up makes it look."""
    with (
        temporary_directory() as directory,
        running_cluster(
            directory,
            nodes=2,
            application="tests.faults.altered_app:app",
            environ={"DIE_FILE": str(directory / "die")},
        ) as cluster,
    ):
        here, there = cluster.nodes
        bob = await App.join(there.url, (await trio.to_thread.run_sync(there.invite))[0])
        envelope = bob.envelope()
        async with bob.mailbox() as mailbox:
            await mailbox.expect("drained")
            (directory / "die").touch()
            try:
                async with replace(bob, url=here.url).posting() as posting:
                    await post(posting, envelope)
            except* (ConnectionClosed, OSError, trio.BrokenResourceError):
                pass
            assert here.process is not None
            assert await trio.to_thread.run_sync(here.process.wait, 20) == -signal.SIGKILL
            await cluster.revive()
            while (frame := await mailbox.next())["type"] != "deliver":
                pass
            assert [one["id"] for one in frame["envelopes"]] == [envelope["id"]]


CONVICTED = {
    "ack_before_commit": (("kill_all_relays",) * 2, "lost", {}),
    "delete_before_delivery": ((), "lost", {}),
    "lost_wake_up": ((), "late", {}),
    "superseded_acks_honoured": ((), "lost", {}),
    "trim_when_full": ((), "lost", {"mailbox_envelopes": 20}),
}


def guilty(bug: str) -> Plan:
    injuries, _charge, settings = CONVICTED[bug]
    return Plan(
        seed=5, injuries=injuries, application="tests.faults.altered_app:app", bug=bug, settings=dict(settings),
        mailboxes=2, lead_in_s=3.0, heal_within_s=4.0, crash_odds=0.15, takeover_odds=0.15, restart_at_end=False,
        fates={"crash": 8, "takeover": 4},
    )  # fmt: skip


INNOCENT = Plan(
    seed=5, injuries=("kill_all_relays",) * 2, application="tests.faults.altered_app:app", settings={"mailbox_envelopes": 20},
    mailboxes=2, lead_in_s=3.0, crash_odds=0.15, takeover_odds=0.15,
)  # fmt: skip


async def test_each_planted_bug_is_convicted_and_the_same_without_a_bug_is_acquitted() -> None:
    """All at the same time, since they mostly wait."""
    results: dict[str, Result] = {}

    async def carry_out(name: str, plan: Plan) -> None:
        results[name] = await run(plan)

    async with trio.open_nursery() as nursery:
        for bug in CONVICTED:
            nursery.start_soon(carry_out, bug, guilty(bug))
        nursery.start_soon(carry_out, "innocent", INNOCENT)
    for bug, (_injuries, charge, _settings) in CONVICTED.items():
        assert charge in results[bug].verdict.charges, f"{bug} got away: {described(results[bug])}"
    assert results["innocent"].verdict.charges == {}, described(results["innocent"])
