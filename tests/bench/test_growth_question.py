"""The question of growth, on a small scale: that the mail is there while others are measured, and that what is told of it is so."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from bench.postgres import running_postgres
from bench.questions import Bench, growth
from bench.systems.ours import RAISED, Ours
from bench.targets import TARGETS
from relay.headroom import Headroom
from relay.records import Stored
from tests.contract.worlds import posting

ACCOUNTS, LEVEL, CHURNED = 200, 1000, 1280
STAYED = CHURNED // 50 + CHURNED // 100


@pytest.mark.timeout(300)
async def test_mail_waits_while_others_are_measured(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"ACCOUNTS": ACCOUNTS, "LEVELS": (LEVEL,), "CHURNED": CHURNED, "WAIT_AT_A_TIME": 200, "PAIRS": 2}
    for name, value in {**small, "WARM_S": 0.1, "MEASURE_S": 0.3}.items():
        monkeypatch.setattr(growth, name, value)
    said: list[str] = []
    async with running_postgres(place, {"fsync": "off"}) as postgres:
        bench = Bench(place.parent, postgres, (Ours,), 1, False, said.append, None, None, waiting=2 * LEVEL)
        rows = await growth.Growth().run(bench)
        too_much = Bench(place.parent, postgres, (Ours,), 1, False, said.append, None, None, waiting=10**12)
        assert await growth.Growth().run(too_much) == []
        assert "GiB are needed" in too_much.left_out["ours"]
        assert await postgres.admin.fetchval("SHOW autovacuum_naptime") == "1min"
    assert (bench.failures, bench.left_out) == ([], {})
    found = {row["variant"]: row for row in rows}
    measured = ["nothing waits", "1,000 wait", "2,000 wait", "1,000 wait, each post counted", "after churn"]
    assert list(found) == [*measured, "before churn", "the expired week dropped"]
    assert found["nothing waits"]["times_empty"] == 1
    for variant in measured:
        assert found[variant]["messages"] > 0
        assert found[variant]["times_empty"] > 0
    assert [found[variant]["waiting"] for variant in measured[:4]] == [0, LEVEL, 2 * LEVEL, LEVEL]
    assert found["before churn"]["waiting"] == ACCOUNTS
    assert ACCOUNTS < found["after churn"]["waiting"] <= ACCOUNTS + STAYED + 4
    # What stayed of the expired week went with it; what stayed of this week did not.
    assert ACCOUNTS < found["the expired week dropped"]["waiting"] < found["after churn"]["waiting"]
    assert found["the expired week dropped"]["table_mib"] < found["after churn"]["table_mib"]
    target = next(one for one in TARGETS if one.question == "growth")
    found["1,000 wait, each post counted"]["times_empty"] = 1000.0  # beside the target
    of_target = [found[variant]["times_empty"] for variant in measured if "counted" not in variant]
    assert target.measured({"growth": {"rows": rows}}) == max(of_target)


def test_limits_of_the_counting_relay_leave_no_room_for_what_is_not_counted() -> None:
    posts = [posting(uuid4())]
    headroom = Headroom(growth.Counting.settings["mailbox_envelopes"], RAISED["mailbox_bytes"])  # type: ignore[arg-type]
    headroom.give([posts[0].account_id.int], [False], [Stored.NEW], [])
    assert headroom.take(posts, [posts[0].account_id.int], one_each=True) == [False]


def test_costs_are_compared_within_a_round_as_they_were_and_at_one_pace() -> None:
    empty = {"variant": growth.EMPTY, "round": 0, "cpu": 0.1, "server_cpu": 0.08, "postgres_cpu": 0.02}
    full = {"variant": "9 wait", "round": 0, "cpu": 0.3, "server_cpu": 0.24, "postgres_cpu": 0.06}
    other = {**full, "round": 1}
    rows = [
        empty | {"server_loop_ns": 100, "postgres_loop_ns": 50},
        full | {"server_loop_ns": 300, "postgres_loop_ns": 50},
        other,
    ]
    growth.compare(rows)
    assert rows[1]["times_empty"] == pytest.approx(3)
    assert rows[1]["times_empty_at_one_pace"] == pytest.approx((0.24 / 300 + 0.06 / 50) / (0.08 / 100 + 0.02 / 50))
    assert "times_empty" not in rows[2]
    unseen = [empty, full]
    growth.compare(unseen)
    assert unseen[1]["times_empty"] == pytest.approx(3)
    assert "times_empty_at_one_pace" not in unseen[1]
