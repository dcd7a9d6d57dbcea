"""Lines between siblings in memory (nursery_tasks.siblings.Line); tests/contract/test_lines.py holds them against the sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from nursery_tasks.siblings import Siblings


class MemoryLine:
    """One end. `room` is how many messages of ours may wait for the other end to read them; `reads` opened again lets it read on."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.stuck = False
        self.other: MemoryLine | None = None
        self.came: deque[bytes] = deque()
        self.is_cut = False
        self._bell = trio.Event()

    def send(self, parts: Sequence[bytes]) -> bool:
        other = self.other
        if self.is_cut or other is None or other.is_cut or len(other.came) >= self.room:
            return False
        other.came.append(b"".join(parts))
        other.ring()
        return True

    def cut(self) -> None:
        self.is_cut = True
        self.ring()
        if self.other is not None:
            self.other.ring()

    def ring(self) -> None:
        self._bell.set()

    async def read(self, heard: Callable[[memoryview], bool]) -> None:
        """Hands on what comes until it ends or `heard` has enough."""
        while not self.is_cut:
            await trio.lowlevel.checkpoint()
            if self.came and not self.stuck:
                if not heard(memoryview(self.came.popleft())):
                    return
            elif self.other is not None and self.other.is_cut and not self.stuck:
                return
            else:
                self._bell = trio.Event()
                await self._bell.wait()


def memory_lines(room: int = 100) -> tuple[MemoryLine, MemoryLine]:
    """Both ends of one."""
    one, other = MemoryLine(room), MemoryLine(room)
    one.other, other.other = other, one
    return one, other


class _End(Protocol):
    def heard(self, message: memoryview) -> bool: ...
    def ended(self) -> None: ...


async def serve(line: MemoryLine, end: _End) -> None:
    """What relay/sibling_sockets.py does with a connection."""
    try:
        await line.read(end.heard)
    finally:
        line.cut()
        end.ended()


def connect(giver: Siblings, taker: Siblings, gives: trio.Nursery, takes: trio.Nursery) -> MemoryLine:
    """A line on which `giver` gives; its end of it."""
    one, other = memory_lines()
    gives.start_soon(serve, one, giver.giver(one))
    takes.start_soon(serve, other, taker.taker(other))
    return one
