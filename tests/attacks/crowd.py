"""`make crowd`: how long honest members wait from a post to its delivery, before, during and after a crowd of hostile connections.

It measures and asserts nothing: the figures belong to the machine. The hostile clients run in another process, and open again what the relay
sends away, so that the crowd stays as large as it is said to be.
"""

# ruff: noqa: T201  # it talks to a terminal
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from tests.attacks.test_crowds_and_races import allow_files, resident_kib
from tests.live.app import App, post
from tests.live.relay_process import running_relay
from tests.postgres.server import temporary_directory

ROOT = Path(__file__).parents[2]


@dataclass
class Figures:
    """Of one part: seconds from a post to its delivery, and from connecting to the first word of a mailbox; the relay's memory."""

    waits: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    resident_kib: int = 0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def as_record(self) -> dict[str, Any]:
        return {
            "messages": len(self.waits),
            "p50_ms": round(1000 * self.quantile(0.5), 1),
            "p99_ms": round(1000 * self.quantile(0.99), 1),
            "arrivals": len(self.arrivals),
            "arrival_p50_ms": round(1000 * sorted(self.arrivals)[len(self.arrivals) // 2], 1),
            "arrival_worst_ms": round(1000 * max(self.arrivals), 1),
            "resident_mib": round(self.resident_kib / 1024),
        }


async def honest(app: App, figures: Figures, every_s: float, stop: trio.Event) -> None:
    """Writes to itself: one envelope, its delivery, its acknowledgement, a pause."""
    async with app.mailbox() as mailbox, app.posting() as posting:
        while not stop.is_set():
            envelope = app.envelope()
            began = trio.current_time()
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
            while (frame := await mailbox.next())["type"] != "deliver":
                pass
            figures.waits.append(trio.current_time() - began)
            await mailbox.say({"type": "ack", "ids": [one["id"] for one in frame["envelopes"]]})
            await trio.sleep(every_s)


async def newcomer(app: App, figures: Figures, every_s: float, stop: trio.Event) -> None:
    """Connects, says who it is, hears its first frame, leaves; and again."""
    while not stop.is_set():
        began = trio.current_time()
        async with app.mailbox():
            figures.arrivals.append(trio.current_time() - began)
        await trio.sleep(every_s)


async def measured(apps: list[App], seconds: float, every_s: float) -> Figures:
    figures, stop = Figures(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(newcomer, apps[-1], figures, 3 * every_s, stop)
        for app in apps[:-1]:
            nursery.start_soon(honest, app, figures, every_s, stop)
        await trio.sleep(seconds)
        stop.set()
    return figures


async def run(connections: int, members: int, seconds: float, every_s: float) -> dict[str, Any]:
    """Figures by part, and how many connections the crowd has opened in all."""
    allow_files(connections)
    parts: dict[str, Any] = {"connections": connections, "members": members}
    with (
        temporary_directory() as directory,
        running_relay(
            directory, posts_burst=1_000_000, session_posts_per_s=100_000, max_sessions=2 * connections + 1000
        ) as relay,
    ):
        links = await trio.to_thread.run_sync(relay.invite, members + 1)
        apps = [await App.join(relay.url, link) for link in links]

        async def part(name: str) -> None:
            figures = await measured(apps, seconds, every_s)
            figures.resident_kib = resident_kib(relay)
            parts[name] = figures.as_record()

        await measured(apps, min(seconds, 3), every_s)  # warm
        await part("before")
        command = [sys.executable, "-m", "tests.attacks.hostile", str(relay.port), str(connections)]
        with subprocess.Popen(  # noqa: ASYNC220  # forks once
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as crowd:
            assert crowd.stdin is not None
            assert crowd.stdout is not None
            try:
                with trio.fail_after(300):
                    line = await trio.to_thread.run_sync(crowd.stdout.readline, abandon_on_cancel=True)
                assert line == "as large as it gets\n", line
                await part("during")
                crowd.stdin.close()
                told = (await trio.to_thread.run_sync(crowd.stdout.readline)).split()
                parts["opened"], parts["held_least"], parts["held_average"] = map(int, told)
            finally:
                crowd.kill()
        await part("after")
    parts["p99_ratio"] = round(parts["during"]["p99_ms"] / parts["before"]["p99_ms"], 2)
    return parts


def table(parts: dict[str, Any]) -> str:
    """Markdown, as in docs/attacks.md."""
    rows = [
        f"| {name} | {one['messages']:,} | {one['p50_ms']} ms | {one['p99_ms']} ms | "
        f"{one['arrival_p50_ms']} ms | {one['arrival_worst_ms']} ms | {one['resident_mib']} MiB |"
        for name, one in ((name, parts[name]) for name in ("before", "during", "after"))
    ]
    return "\n".join(
        [
            f"{parts['held_average']:,} hostile connections at a time on the average, {parts['held_least']:,} at least, of "
            f"{parts['connections']:,} that were tried; {parts['opened']:,} opened in all; {parts['members']} honest members; "
            f"p99 during the crowd is {parts['p99_ratio']} times that before.",
            "",
            "| | messages | p50 of post to delivery | p99 | p50 of a member who connects | the slowest | memory of the relay |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.crowd", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each part")
    parser.add_argument("--every", type=float, default=0.1, metavar="S", help="between two messages of a member")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    parts = trio.run(run, asked.connections, asked.members, asked.seconds, asked.every)
    print(json.dumps(parts, indent=2) if asked.json else table(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
