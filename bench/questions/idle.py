"""Question 3: what sessions cost in which nothing happens but heartbeats."""

from __future__ import annotations

import trio

from bench.generator import LoadFailed, generating
from bench.questions import Bench, Column, Question, Row
from bench.systems import System

LEVELS = (1_000, 5_000, 10_000)
QUICK_LEVELS = (500, 1_000)
BEAT_S = 25.0
"""One heartbeat of each session."""
MOST_ROUNDS = 2


class Idle(Question):
    name = "idle"
    title = "Idle sessions"
    ratio = "kib"
    better = "less"
    unit = "KiB a session"
    columns = (
        Column("kib", "KiB a session", 1),
        Column("connect_rate", "connected/s"),
        Column("refused", "refused at first"),
        Column("connect_cpu", "CPU s/1000 connected", 2),
        Column("beat_cpu", "heartbeats: CPU s/1000 sessions and minute", 3),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        kinds = [kind for kind in bench.systems if kind.holds]
        for round_ in range(min(bench.rounds, MOST_ROUNDS)):
            for kind in kinds:
                # A new process each time: one that has held thousands does not give all of it back.
                async with bench.all_running([kind]) as systems:
                    for system in systems:
                        try:
                            await self._hold(bench, system, round_, rows)
                        except (LoadFailed, trio.TooSlowError) as error:
                            why = str(error) or type(error).__name__
                            bench.failures.append({"system": system.name, "variant": "", "round": round_, "why": why})
                            bench.tell(f"  {system.name} FAILED: {why}")
        return rows

    async def _hold(self, bench: Bench, system: System, round_: int, rows: list[Row]) -> None:
        levels = QUICK_LEVELS if bench.quick else LEVELS
        people = await system.people(levels[-1])
        job = {
            "scenario": "idle",
            "target": system.target,
            "people": people,
            "levels": levels,
            "core": bench.generator_core,
        }
        before, cpu, connected = system.pss_bytes(), system.cpu_seconds(), 0
        async with generating(job, within_s=600) as generator:
            for level in levels:
                opened = await generator.expect("open")
                row = {
                    "system": system.name,
                    "variant": f"{level:,}",
                    "round": round_,
                    "kib": (system.pss_bytes() - before) / 1024 / level,
                    "connect_rate": opened["connect_rate"],
                    "refused": opened["refused"],
                    "connect_cpu": 1000 * (system.cpu_seconds() - cpu) / (level - connected),
                }
                if level == levels[-1]:
                    seconds, cpu = BEAT_S / 5 if bench.quick else BEAT_S, system.cpu_seconds()
                    await trio.sleep(seconds)
                    row["beat_cpu"] = 60 * 1000 * (system.cpu_seconds() - cpu) / seconds / level
                rows.append(row)
                bench.tell(f"  {level} {system.name}: {row['kib']:.1f} KiB, {row['connect_rate']:.0f} connected/s")
                connected, cpu = level, system.cpu_seconds()
                await generator.say()
            await generator.expect("result")
