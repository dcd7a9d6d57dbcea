"""`python -m bench.shards`: how many cores, servers and disks so many accounts need, from what a message was measured to cost.

An estimate. What is measured comes from docs/benchmarks/results.json; everything else is an assumption, and is printed with the answer.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import click

from bench.results import OURS, Results, load, medians
from bench.systems import ROOT

PUBLISHED = ROOT / "docs" / "benchmarks" / "results.json"
DAY_S = 86400
MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
KIB_BODY = 1024
ROW_BYTES = 110
"""Of heap and of the two indexes, besides the body."""
HELD_CONNECTIONS = 5
"""A process holds so many on each server: mailbox and signals, one that stores and one that deletes each, and one that begins sessions."""
SAMPLE = 200_000
"""Accounts whose activity is drawn, so that the busiest server can be compared with the mean."""


@dataclass(frozen=True)
class Costs:
    """What was measured, with bodies of 1 KiB. Rough defaults, in case nothing was published yet."""

    server_cpu_s_per_1000: float = 0.20
    postgres_cpu_s_per_1000: float = 0.05
    wal_bytes_per_message: float = 1600.0
    kib_per_session: float = 32.0
    heartbeat_cpu_s_per_1000_and_minute: float = 0.2
    connect_cpu_s_per_1000: float = 2.0
    measured: tuple[str, ...] = ()
    """Which of these are from results.json; the others are guesses."""

    @staticmethod
    def of(results: Results) -> Costs:
        """From what is published: 50 pairs with one frame unanswered each, and the most sessions that were held idle."""
        found: dict[str, float] = {}
        online = medians(results.get("online", {}).get("rows", ())).get(("1x1", OURS), {})
        idle = [row for (_, system), row in medians(results.get("idle", {}).get("rows", ())).items() if system == OURS]
        for numbers, names in (
            (online, {"server_cpu": "server_cpu_s_per_1000", "postgres_cpu": "postgres_cpu_s_per_1000"}),
            (online, {"wal_bytes": "wal_bytes_per_message"}),
            *((row, {"kib": "kib_per_session", "connect_cpu": "connect_cpu_s_per_1000"}) for row in idle),
            *((row, {"beat_cpu": "heartbeat_cpu_s_per_1000_and_minute"}) for row in idle),
        ):
            found |= {name: numbers[key] for key, name in names.items() if key in numbers}
        return Costs(**found, measured=tuple(sorted(found)))


@dataclass(frozen=True)
class Assumptions:
    """What nobody has measured. Shares sum up to one."""

    accounts: int = 10_000_000
    messages_per_account_and_day: float = 40.0
    """With receipts, which are messages as well."""
    peak_factor: float = 4.0
    """The busiest minutes by the mean of the day."""
    connected_share: float = 0.3
    body_shares: dict[int, float] = field(default_factory=lambda: {1024: 0.85, 4096: 0.10, 16384: 0.04, 65536: 0.01})
    waits: dict[float, float] = field(default_factory=lambda: {0: 0.60, 0.5: 0.25, 8: 0.13, 72: 0.015, 35 * 24: 0.005})
    """Hours a message waits for its recipient -> share of messages. The last are never fetched: 30 days, and some until the partition goes."""
    bloat: float = 1.5
    """Disk by what waits: rows that are dead until they are vacuumed."""
    full_pages: float = 1.5
    """WAL by what was measured within one checkpoint."""
    cpu_per_mib_s: float = 0.004
    """Of the relay, for what is larger than 1 KiB: read, copied, written."""
    utilisation: float = 0.5
    """Of cores, disks and networks at the peak; the rest is for bad days."""
    crossing: float = 1.25
    """CPU of a message whose recipient is at another process, by one whose is not."""
    hear_us: float = 3.0
    """CPU microseconds for each account that a process is told to look for."""
    activity_sigma: float = 1.5
    """Of the log-normal distribution of messages over accounts: the top 1 % get a fifth of all."""
    postgres_cores: int = 8
    """Of one server."""
    disk_mb_per_s: float = 200.0
    """That one server can write, sustained."""
    syncs_per_s: float = 2000.0
    """That one disk can promise."""
    replicas: int = 1
    """Standbys of each server."""
    wal_kept_hours: float = 24.0
    """For standbys that fall behind and for restores."""
    max_connections: int = 400
    reconnect_minutes: float = 10.0
    """Within which all who are connected come again after a restart."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("body_shares", "waits"):
            if not math.isclose(sum(getattr(self, name).values()), 1, abs_tol=1e-6):
                raise ValueError(f"{name} do not sum up to one")
        if not 0 < self.utilisation <= 1:
            raise ValueError("utilisation is between 0 and 1")


def busiest(servers: int, assumed: Assumptions) -> float:
    """The busiest server's load by the mean, with accounts dealt by hash: drawn for SAMPLE accounts, scaled to all.

    What the law of large numbers leaves of it shrinks with the root of accounts per server.
    """
    if servers == 1:
        return 1.0
    draw = random.Random(assumed.seed)  # noqa: S311 (an estimate that can be had again)
    loads = [0.0] * servers
    count = min(SAMPLE, assumed.accounts)
    for _ in range(count):
        loads[draw.randrange(servers)] += draw.lognormvariate(0, assumed.activity_sigma)
    return 1 + (max(loads) * servers / sum(loads) - 1) * math.sqrt(count / assumed.accounts)


def simulate(assumed: Assumptions, costs: Costs) -> dict[str, Any]:
    """What is needed, by name and unit.

    Relay processes: their CPU is that of messages, of heartbeats and of hearing whom the others got mail for; the last grows with their
    number, since each hears all, so the smallest number that suffices is looked for.
    """
    a = assumed
    mean_rate = a.accounts * a.messages_per_account_and_day / DAY_S
    rate = mean_rate * a.peak_factor
    body = sum(size * share for size, share in a.body_shares.items())
    sessions = a.accounts * a.connected_share

    post_cpu = costs.server_cpu_s_per_1000 / 1000 + max(body - KIB_BODY, 0) / MIB * a.cpu_per_mib_s
    beats = sessions / 1000 * costs.heartbeat_cpu_s_per_1000_and_minute / 60
    hearing = 0.0

    def cores(processes: int) -> float:
        nonlocal hearing
        elsewhere = 1 - 1 / processes
        # Who is not connected here is named to all others, whether he is connected there or not at all.
        hearing = rate * elsewhere * a.hear_us / 1e6 * (processes - 1)
        return rate * post_cpu * (1 + (a.crossing - 1) * elsewhere) + beats + hearing

    processes = 1
    while cores(processes) > processes * a.utilisation:
        processes += 1
        if rate * a.hear_us / 1e6 > a.utilisation or processes > 100_000:
            raise ValueError(
                "each process would be busy with hearing alone: notifications must be split before this many accounts"
            )
    relay_cores = cores(processes)
    connect_cores = sessions / (a.reconnect_minutes * 60) * costs.connect_cpu_s_per_1000 / 1000

    wal = (costs.wal_bytes_per_message + max(body - KIB_BODY, 0)) * a.full_pages
    waiting = sum(mean_rate * share * hours * 3600 for hours, share in a.waits.items())
    held = waiting * (body + ROW_BYTES) * a.bloat
    kept = mean_rate * wal * a.wal_kept_hours * 3600

    def fits(servers: int) -> dict[str, float]:
        """Each resource of the busiest server, as a share of what one has."""
        most = busiest(servers, a) / servers
        each_process = HELD_CONNECTIONS + -(-6 // servers)  # the pool of 6 is divided, one at least
        return {
            "cores": rate * costs.postgres_cpu_s_per_1000 / 1000 * most / (a.postgres_cores * a.utilisation),
            "disk writes": rate * (wal + body + ROW_BYTES) * most / (a.disk_mb_per_s * 1e6 * a.utilisation),
            "connections": (processes * each_process + 10) / a.max_connections,
        }

    servers = 1
    while max(share for name, share in fits(servers).items() if name != "connections") > 1:
        servers += 1
    shares = fits(servers)
    per_process = HELD_CONNECTIONS + -(-6 // servers)
    limit = max(shares, key=lambda name: shares[name])
    return {
        "messages_per_s": mean_rate,
        "peak_messages_per_s": rate,
        "mean_body_bytes": body,
        "sessions": sessions,
        "relay_processes": processes,
        "sessions_per_process": sessions / processes,
        "relay_cores_busy_at_peak": relay_cores,
        "relay_cores_for": {
            "messages": relay_cores - beats - hearing,
            "heartbeats": beats,
            "hearing_of_others": hearing,
        },
        "relay_cores_busy_while_all_reconnect": connect_cores,
        "relay_memory_gib": sessions * costs.kib_per_session * 1024 / GIB,
        "postgres_servers": servers,
        "postgres_servers_with_replicas": servers * (1 + a.replicas),
        "postgres_is_limited_by": limit,
        "busiest_server_uses": {name: round(share, 3) for name, share in shares.items()},
        "busiest_server_by_mean": busiest(servers, a),
        "least_messages_a_commit_at_peak": max(1.0, rate / servers / a.syncs_per_s),
        "waiting_envelopes": waiting,
        "waiting_gib": held / GIB,
        "disk_tib_with_wal_and_replicas": (held + kept) * (1 + a.replicas) / TIB,
        "wal_mb_per_s_at_peak": rate * wal / 1e6,
        "replication_mb_per_s_at_peak": rate * wal * a.replicas / 1e6,
        "connections_per_process_and_server": per_process,
        "connections_per_server": processes * per_process,
        "needs_pooler": processes * per_process + 10 > a.max_connections,
        "names_heard_per_s_and_process": rate * (1 - 1 / processes),
    }


def explained(assumed: Assumptions, costs: Costs, answer: dict[str, Any]) -> str:
    """As text: the answer, then what it stands on."""

    def lines(values: dict[str, Any]) -> list[str]:
        shown = []
        for name, value in values.items():
            text = str(value)
            if isinstance(value, dict):
                text = ", ".join(f"{key}: {one:,.3g}" for key, one in value.items())
            elif isinstance(value, float):
                text = f"{value:,.1f}" if value >= 10 else f"{value:.3g}"
            elif isinstance(value, int) and not isinstance(value, bool):
                text = f"{value:,}"
            shown.append(f"  {name.replace('_', ' '):<46} {text}")
        return shown

    of_costs = {name: value for name, value in asdict(costs).items() if name != "measured"}
    marked = {f"{name}{'' if name in costs.measured else ' (a guess)'}": value for name, value in of_costs.items()}
    parts = (("Needed", answer), ("A message, bodies of 1 KiB", marked), ("Assumed", asdict(assumed)))
    return "\n\n".join("\n".join([title, *lines(values)]) for title, values in parts)


NUMBERS = [one for one in fields(Assumptions) if one.name not in ("body_shares", "waits")]


def shares(text: str | None) -> dict[float, float]:
    """`1024=0.9,4096=0.1` as a mapping. Raises click.BadParameter."""
    try:
        pairs = [pair.split("=") for pair in (text or "").split(",") if pair]
        return {float(key): float(value) for key, value in pairs}
    except ValueError:
        raise click.BadParameter("pairs with = between, commas between the pairs: 1024=0.9,4096=0.1") from None


def run(json_: bool, results_path: Path, body_shares: str | None, waits: str | None, **numbers: Any) -> None:
    given = {name: value for name, value in numbers.items() if value is not None}
    if body_shares:
        given["body_shares"] = {int(size): share for size, share in shares(body_shares).items()}
    if waits:
        given["waits"] = shares(waits)
    try:
        assumed, costs = Assumptions(**given), Costs.of(load(results_path))
        answer = simulate(assumed, costs)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if json_:
        said = {"needed": answer, "costs": asdict(costs), "assumed": asdict(assumed)}
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo(explained(assumed, costs, answer))


def options() -> Sequence[click.Option]:
    """One option for each assumption."""
    defaults = Assumptions()
    return [
        click.Option(["--json", "json_"], is_flag=True, help="One object instead of text."),
        click.Option(
            ["--results", "results_path"], type=click.Path(path_type=Path), default=PUBLISHED, help="What was measured."
        ),
        click.Option(["--body-shares"], help="Body bytes = share of messages, with commas between."),
        click.Option(["--waits"], help="Hours a message waits = share of messages, with commas between."),
        *(
            click.Option(
                [f"--{one.name.replace('_', '-')}", one.name],
                type=click.IntRange(0) if isinstance(getattr(defaults, one.name), int) else click.FloatRange(0),
                help=f"By default {getattr(defaults, one.name):,}.",
            )
            for one in NUMBERS
        ),
    ]


main = click.Command(
    "bench.shards",
    callback=run,
    params=[*options()],
    help="What a relay for so many accounts needs, estimated from what a message costs.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

if __name__ == "__main__":
    sys.exit(main())
