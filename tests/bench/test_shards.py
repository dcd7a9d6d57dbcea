"""The estimate for many accounts: its arithmetic, held against sums done by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.shards import ROW_BYTES, Assumptions, Costs, busiest, main, simulate

PLAIN = Assumptions(
    accounts=864_000, messages_per_account_and_day=10, body_shares={1024: 1}, waits={0: 0.5, 1: 0.5}, bloat=1
)
"""A hundred messages a second in the mean, half of which wait for an hour."""


def test_small_sums_by_hand() -> None:
    got = simulate(
        replace(PLAIN, full_pages=1), Costs(wal_bytes_per_message=2000, heartbeat_cpu_s_per_1000_and_minute=0.6)
    )
    assert got["messages_per_s"] == pytest.approx(100)
    assert got["peak_messages_per_s"] == pytest.approx(400)
    assert got["waiting_envelopes"] == pytest.approx(50 * 3600)
    assert got["waiting_gib"] * 2**30 == pytest.approx(50 * 3600 * (1024 + ROW_BYTES))
    assert got["wal_mb_per_s_at_peak"] == pytest.approx(0.8)
    assert got["relay_cores_for"]["heartbeats"] == pytest.approx(864 * 0.3 * 0.01)
    assert got["relay_cores_busy_at_peak"] == pytest.approx(sum(got["relay_cores_for"].values()))
    assert (got["postgres_servers"], got["postgres_servers_with_replicas"]) == (1, 2)


def test_more_of_everything_needs_more() -> None:
    costs = Costs()
    small, large = (simulate(replace(PLAIN, accounts=PLAIN.accounts * times), costs) for times in (1, 20))
    assert large["waiting_gib"] == pytest.approx(20 * small["waiting_gib"])
    assert large["relay_processes"] > 10 * small["relay_processes"]
    # Each process hears of all mail, so cores grow faster than accounts.
    assert large["relay_cores_busy_at_peak"] > 20 * small["relay_cores_busy_at_peak"]
    slow_disk = simulate(replace(PLAIN, disk_mb_per_s=1), costs)
    assert slow_disk["postgres_is_limited_by"] == "disk writes"
    assert slow_disk["postgres_servers"] > 1
    assert max(share for name, share in slow_disk["busiest_server_uses"].items() if name != "connections") <= 1
    assert simulate(replace(PLAIN, max_connections=10), costs)["needs_pooler"]
    with pytest.raises(ValueError, match="hearing alone"):
        simulate(replace(PLAIN, accounts=10**9), costs)


def test_the_busiest_server_is_busier_than_the_mean_and_less_so_with_more_accounts() -> None:
    few, many = (busiest(16, replace(PLAIN, accounts=accounts)) for accounts in (20_000, 20_000_000))
    assert 1 < many < few < 2
    assert busiest(1, PLAIN) == 1


def results(**numbers: float) -> dict[str, object]:
    row = {"system": "ours", "variant": "1x1", "round": 0, **numbers}
    return {
        "online": {
            "rows": [row, {**row, "system": "peer", "server_cpu": 9}, {**row, "variant": "4x1", "server_cpu": 7}]
        }
    }


def test_what_was_measured_is_used_and_the_rest_is_called_a_guess(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results(server_cpu=0.125, postgres_cpu=0.03, wal_bytes=1500)))
    said = CliRunner().invoke(
        main, ["--json", "--results", str(path), "--accounts", "1000000", "--waits", "0=0.9,2=0.1"]
    )
    assert said.exit_code == 0, said.output
    told = json.loads(said.output)
    assert told["costs"]["server_cpu_s_per_1000"] == 0.125
    assert "server_cpu_s_per_1000" in told["costs"]["measured"]
    assert (told["assumed"]["accounts"], told["assumed"]["waits"]) == (1_000_000, {"0.0": 0.9, "2.0": 0.1})
    text = CliRunner().invoke(main, ["--results", str(path)]).output
    assert "server cpu s per 1000  " in text
    assert "kib per session (a guess)" in text
    assert "accounts  " in text.partition("Assumed")[2]


def test_shares_that_are_no_whole_are_refused() -> None:
    for option in (["--waits", "0=0.5"], ["--body-shares", "1024=0.5,x"], ["--utilisation", "2"]):
        said = CliRunner().invoke(main, option)
        assert said.exit_code == 2, said.output
