"""A short run of every injury, and each planted bug convicted. The long run is `make faults`."""

from __future__ import annotations

import pytest

from tests.faults.injuries import INJURIES
from tests.faults.run import Plan, Result, run, schedule


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
        Plan(seed=3, injuries=("fail_over",), pair=True, synchronous=False, heal_within_s=4, restart_at_end=False)
    )
    assert "lost" in result.verdict.charges, described(result)


CONVICTED = {
    "ack_before_commit": (("kill_all_relays",) * 2, "lost", {}),
    "delete_before_delivery": ((), "lost", {}),
    "lost_wake_up": ((), "late", {}),
    "superseded_acks_honoured": ((), "lost", {}),
    "trim_when_full": ((), "lost", {"mailbox_envelopes": 20}),
}


@pytest.mark.parametrize("bug", CONVICTED)
async def test_a_planted_bug_is_convicted(bug: str) -> None:
    injuries, charge, settings = CONVICTED[bug]
    plan = Plan(
        seed=5, injuries=injuries, application="tests.faults.bugged_app:app", bug=bug, settings=dict(settings),
        mailboxes=2, lead_in_s=3.0, heal_within_s=4.0, crash_odds=0.15, takeover_odds=0.15, restart_at_end=False,
    )  # fmt: skip
    result = await run(plan)
    assert charge in result.verdict.charges, described(result)


async def test_the_same_runs_without_a_bug_are_acquitted() -> None:
    plan = Plan(
        seed=5, injuries=("kill_all_relays",) * 2, application="tests.faults.bugged_app:app", settings={"mailbox_envelopes": 20},
        mailboxes=2, lead_in_s=3.0, crash_odds=0.15, takeover_odds=0.15,
    )  # fmt: skip
    result = await run(plan)
    assert result.verdict.charges == {}, described(result)
