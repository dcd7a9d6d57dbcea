"""The measurement of `make crowd`, with a small crowd: that it measures what it says. Its figures are not judged."""

from __future__ import annotations

from tests.attacks.crowd import run, table


async def test_honest_members_are_measured_beside_a_crowd_that_is_really_there() -> None:
    parts = await run(connections=150, members=2, seconds=1.5, every_s=0.05)
    assert parts["opened"] >= 150
    for name in ("before", "during", "after"):
        assert parts[name]["messages"] > 2, parts
        assert parts[name]["arrivals"] > 1
        assert 0 < parts[name]["arrival_p50_ms"] <= parts[name]["arrival_worst_ms"]
        assert 0 < parts[name]["p50_ms"] <= parts[name]["p99_ms"]
    assert parts["during"]["resident_mib"] > 0
    assert f"p99 during the crowd is {parts['p99_ratio']} times" in table(parts)
