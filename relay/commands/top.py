"""`relay top`: the relay at work, live in a terminal."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import Any, Final

import click
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live
from rich.table import Table

from relay.commands.shared import bytes_in_words, json_option, print_json, settings_or_stop, stop
from relay.probe import Probe, ProbeError
from relay.secret_files import SecretFileError, load_metrics_token

_RATES: Final = {
    "posts/s": "sottovoce_posts_total",
    "batches/s": "sottovoce_commit_seconds_count",
    "pushes/s": "sottovoce_pushes_total",
}


@click.command()
@click.option("--url", help="Another address of this relay.  [default: public_url]")
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(0.5, 60), help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Look once (for a second) and end. --json does so too.")
@json_option
def top(url: str | None, every: float, once: bool, as_json: bool) -> None:
    """Watch the relay at work: sessions, posts, commits, lag. Ctrl-C ends it."""
    settings = settings_or_stop()
    try:
        token = load_metrics_token(settings.secrets_directory)
    except SecretFileError as error:
        stop(os.EX_NOPERM, str(error))
    probe = Probe(url or settings.public_url)
    before = _sample(probe, token)
    if once or as_json:
        time.sleep(1.0)
        shown = _numbers(before, _sample(probe, token))
        if as_json:
            print_json(shown)
        else:
            Console().print(_table(shown))
        return
    with Live(_table(_numbers(before, before)), auto_refresh=False, screen=Console().is_terminal) as live:
        try:
            while True:
                time.sleep(every)
                now = _sample(probe, token)
                live.update(_table(_numbers(before, now)), refresh=True)
                before = now
        except KeyboardInterrupt:
            return


class _Sample:
    """The sums of one scrape: by name, and by name and one label."""

    def __init__(self, text: str) -> None:
        self.at = time.monotonic()
        self.total: dict[str, float] = defaultdict(float)
        self.by: dict[tuple[str, str], float] = defaultdict(float)
        self.processes: set[str] = set()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self.total[sample.name] += sample.value
                self.processes.add(sample.labels.get("process", ""))
                for label in ("kind", "lane", "outcome"):
                    if label in sample.labels:
                        self.by[sample.name, sample.labels[label]] += sample.value


def _sample(probe: Probe, token: str) -> _Sample:
    try:
        answer = probe.call("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
    except ProbeError as error:
        stop(os.EX_UNAVAILABLE, f"the relay does not answer: {error}")
    if answer.status != 200:
        stop(
            os.EX_UNAVAILABLE,
            f"/metrics was answered with {answer.status}; does the proxy hide it? Name the relay's own address by --url",
        )
    return _Sample(answer.body.decode())


def _numbers(before: _Sample, now: _Sample) -> dict[str, Any]:
    seconds = max(now.at - before.at, 0.001)

    def grown(name: str) -> float:
        return max(now.total[name] - before.total[name], 0.0)

    def mean(name: str) -> float | None:
        count = grown(name + "_count")
        return grown(name + "_sum") / count if count else None

    refused = sum(
        now.by[name, outcome] - before.by[name, outcome]
        for name, outcome in now.by
        if name == "sottovoce_posts_total" and outcome not in ("stored", "mail", "signals")
    )
    return {
        "processes": len(now.processes),
        "mailbox sessions": int(now.by["sottovoce_sessions", "mailbox"]),
        "post sessions": int(now.by["sottovoce_sessions", "post"]),
        **{title: round(grown(name) / seconds, 1) for title, name in _RATES.items()},
        "refused/s": round(refused / seconds, 1),
        "posts in a batch": mean("sottovoce_batch_items"),
        "commit ms": _milliseconds(mean("sottovoce_commit_seconds")),
        "notify ms": _milliseconds(mean("sottovoce_notify_seconds")),
        "posts waiting": int(now.total["sottovoce_posts_waiting"]),
        "envelopes waiting": int(
            max((v for k, v in now.total.items() if k == "sottovoce_envelopes_waiting"), default=0)
        ),
        "memory bytes": int(now.total["process_resident_memory_bytes"]),
        "open files": int(now.total["process_open_fds"]),
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _table(numbers: dict[str, Any]) -> Table:
    table = Table(title=f"relay, {time.strftime('%H:%M:%S')}", show_header=False, box=None, padding=(0, 2))
    table.add_column(justify="left", style="dim")
    table.add_column(justify="right", style="bold")
    for name, value in numbers.items():
        table.add_row(name.removesuffix(" bytes"), _written(name, value))
    return table


def _written(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith(" bytes"):
        return bytes_in_words(value)
    return f"{value:.1f}" if isinstance(value, float) else str(value)
