"""The systems that are compared, and what the bench asks of each."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import trio

from bench.pace import Watched
from bench.postgres import Postgres
from bench.processes import cpu_seconds, pss_bytes

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 20.0

Person = dict[str, Any]
"""What the load generator needs to be one pair: who receives, and what a sender must show. Its fields are the dialect's."""


class NotStarted(Exception):
    """The end of what it said."""


@dataclass(frozen=True)
class Place:
    """Where a system runs: a directory of its own, the common PostgreSQL, the core it is tied to (None: none), and who watches the cores."""

    directory: Path
    postgres: Postgres
    core: int | None
    watched: Watched | None = None


class System(ABC):
    """One server and how to talk to it. `place.directory` is empty at first and removed afterwards."""

    name: ClassVar[str]
    title: ClassVar[str]
    durable: ClassVar[bool] = True
    dialect: ClassVar[str] = "sottovoce"
    """The module of bench/load that speaks to it."""
    rings: ClassVar[bool] = False
    """Whether it has a lane of signals."""
    holds: ClassVar[bool] = False
    """Whether ten thousand idle sessions are opened on it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.database_name: str | None = None
        """Of its database in the common PostgreSQL, while it runs and if it has one."""

    @classmethod
    def version(cls) -> str:
        """Of the software, for the page."""
        return ""

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot run here, for the table; None if it can."""
        return None

    @asynccontextmanager
    @abstractmethod
    async def running(self) -> AsyncIterator[None]:
        """Started and ready inside, gone outside."""
        yield

    @abstractmethod
    def pids(self) -> list[int]:
        """The roots of the server's process trees, PostgreSQL not among them."""

    @property
    @abstractmethod
    def target(self) -> dict[str, Any]:
        """How the load generator reaches it."""

    @abstractmethod
    async def people(self, count: int) -> list[Person]:
        """Makes so many new recipients."""

    @abstractmethod
    async def mailbox_rows(self) -> int:
        """How many messages wait, all recipients together."""

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pids())

    def pss_bytes(self) -> int:
        return pss_bytes(self.pids())


@asynccontextmanager
async def process(
    command: list[str], *, core: int | None, log: Path, env: dict[str, str] | None = None, cwd: Path = ROOT, **more: Any
) -> AsyncIterator[trio.Process]:
    """A process tied to a core; ended with SIGTERM, then SIGKILL to its session. What it says goes to `log`."""
    with log.open("ab") as output:
        started = await trio.lowlevel.open_process(
            command,
            stdin=-3,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            **more,
        )
    try:
        yield started
    finally:
        with trio.CancelScope(shield=True):
            if started.poll() is None:
                started.terminate()
            with trio.move_on_after(STOP_S):
                await started.wait()
            with suppress(ProcessLookupError):
                os.killpg(started.pid, 9)
            await started.wait()


async def until_it_listens(host: str, port: int, alive: trio.Process, log: Path) -> None:
    """Raises NotStarted, with the end of the log, when the process ends or does not listen within START_S."""
    with trio.move_on_after(START_S):
        while alive.poll() is None:
            try:
                stream = await trio.open_tcp_stream(host, port)
            except OSError:
                await trio.sleep(0.05)
                continue
            await stream.aclose()
            return
    raise NotStarted(log.read_text(errors="replace")[-500:] if log.exists() else "no log")
