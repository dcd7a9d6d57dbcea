"""What is asked of the systems. A question runs systems, interleaved, and leaves rows of numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import trio

from bench.generator import LoadFailed
from bench.pace import Watched
from bench.postgres import Postgres
from bench.systems import NotStarted, Place, System

Row = dict[str, Any]
"""One run: `system`, `variant`, `round`, and numbers by name."""

GIVE_UP_AFTER = 2
EMPTY_WITHIN_S = 30.0
"""After a run; deletes may lag behind acknowledgements."""


class RunFailed(Exception):
    """A run that does not count: something was lost, refused or left over."""


@dataclass(frozen=True)
class Column:
    """A number of the rows, as tables show it: the median over the rounds."""

    key: str
    title: str
    digits: int = 0


@dataclass
class Bench:
    """What a question gets to work with."""

    directory: Path
    postgres: Postgres
    systems: Sequence[type[System]]
    rounds: int
    quick: bool
    tell: Callable[[str], None]
    server_core: int | None
    generator_core: int | None
    waiting: int = 0
    """So many envelopes are waiting in one more relay of question growth; 0: none."""
    watched: Watched | None = None
    """Who watches the cores."""
    left_out: dict[str, str] = field(default_factory=dict)
    """System -> why it is not in the table."""
    failures: list[Row] = field(default_factory=list)
    """Runs that do not count: `system`, `variant`, `round`, `why`."""

    @asynccontextmanager
    async def running(self, kind: type[System], *, pinned: bool = True) -> AsyncIterator[System]:
        """One system, started, in a directory of its own."""
        place = self.directory / f"{kind.name}-{trio.current_time():.3f}"
        place.mkdir(mode=0o755)
        system = kind(Place(place, self.postgres, self.server_core if pinned else None, self.watched))
        async with system.running():
            yield system

    @asynccontextmanager
    async def all_running(self, kinds: Sequence[type[System]]) -> AsyncIterator[list[System]]:
        """All of them that can run here; the others are left out by name and reason."""
        async with AsyncExitStack() as stack:
            started = []
            for kind in kinds:
                if why := kind.missing():
                    self.left_out[kind.name] = why
                    self.tell(f"  {kind.name} is left out: {why}")
                    continue
                try:
                    started.append(await stack.enter_async_context(self.running(kind)))
                except NotStarted as error:
                    self.left_out[kind.name] = f"did not start ({error})"
                    self.tell(f"  {kind.name} did not start: {error}")
            yield started

    async def attempt(
        self, rows: list[Row], system: System, variant: str, round_: int, run: Callable[[], Awaitable[Row]]
    ) -> None:
        """Adds the row of a run, or notes why there is none. A system that has failed twice in a variant is not asked again."""
        name = {"system": system.name, "variant": variant, "round": round_}
        lately = [one for one in self.failures if one["system"] == system.name and one["variant"] == variant]
        if len(lately) >= GIVE_UP_AFTER:
            return
        try:
            numbers = await run()
        except (LoadFailed, RunFailed, trio.TooSlowError) as error:
            why = str(error) or type(error).__name__
            self.failures.append({**name, "why": why})
            self.tell(f"  {variant} {system.name} FAILED: {why}")
        else:
            rows.append({**name, **numbers})
            said = ", ".join(f"{key} {numbers[key]:.4g}" for key in list(numbers)[:6])
            self.tell(f"  {variant} {system.name}: {said}")


class Question(ABC):
    """`title` heads its table; `ratio` is the column that systems are compared by, and `better` says which way."""

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    ratio: ClassVar[str]
    also: ClassVar[Sequence[str]] = ()
    """Further columns that get a ratio."""
    better: ClassVar[Literal["more", "less"]] = "more"
    unit: ClassVar[str]
    """Of `ratio`, for the plot."""

    @abstractmethod
    async def run(self, bench: Bench) -> list[Row]:
        """Rows of every round of every system."""


def turns(systems: Sequence[System], round_: int) -> list[System]:
    """Each round begins with another one, so that none always runs after the same."""
    first = round_ % max(len(systems), 1)
    return [*systems[first:], *systems[:first]]


async def require_empty(system: System, within_s: float = EMPTY_WITHIN_S) -> None:
    """Waits until no message is left. Raises RunFailed when some stay: then the run was fast at something else."""
    left = -1
    with trio.move_on_after(within_s):
        while left := await system.mailbox_rows():  # noqa: ASYNC110 (another process's table)
            await trio.sleep(0.05)
    if left:
        raise RunFailed(f"{system.name}: {left} messages were left in the mailbox")
