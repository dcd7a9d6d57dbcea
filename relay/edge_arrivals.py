"""Between the kernel's queue and a connection's machinery: who has not sent a whole request head waits here.

FreeBSD's kernel can do the same (accf_http(9)). A nursery, a protocol and their clocks are made for a peer that has asked for something;
ten thousand that say nothing, or half a head, are a task and a deadline each. And who begins, and who ends, lets others go first: a
message passes through a dozen turns of the loop, and if a newcomer had one in each, it would take three times as long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice

import trio
from trio.testing import wait_all_tasks_blocked

from relay.collector import Youth
from relay.errors import PeerGone

FIRST_PRINTABLE = 0x21
"""No request begins with a byte below, TLS where none is spoken, say: h11 refuses it without waiting for more."""


PATIENCE_S = 0.005
"""So long one lets others go first, at most; so long is a pause. Where somebody always has something to do, seventy a second begin."""
LATE_A_TURN = 8
WITHOUT_PAUSE = 16
"""So many may begin without a pause, at most, on account of members who came in: no crowd can live on what has long been."""


class Arrivals:
    """Of one worker process. One may wait here for `head_deadline_s`, and nobody may once the worker is `draining`."""

    def __init__(self, head_deadline_s: float, draining: trio.Event) -> None:
        self._head_deadline_s = head_deadline_s
        self._draining = draining
        self._waiting: dict[trio.CancelScope, float] = {}  # with their deadlines, in the order in which they came
        self._started = False
        self._way_in: dict[trio.Event, None] = {}  # in the order in which they came
        self._way_out: dict[trio.Event, None] = {}
        self._bell = trio.lowlevel.ParkingLot()
        self._one_waits = trio.lowlevel.ParkingLot()
        self._youth = Youth()
        self._without_pause = 0

    async def head(self, receive: Callable[[], Awaitable[bytes]], most_bytes: int) -> bytes:
        """What a new peer has sent, once that is a whole head or can no longer become one; empty if it comes to nothing: the peer
        has left, the deadline is over, or the worker stops. Returns when it is this peer's turn to begin, or to end.
        """
        self._start()
        head = bytearray()
        with trio.CancelScope() as wait:
            self._waiting[wait] = trio.current_time() + self._head_deadline_s
            self._one_waits.unpark()
            self._youth.one_more()
            if self._draining.is_set():
                wait.cancel()
            try:
                while data := await receive():
                    seam = max(0, len(head) - 3)
                    head += data
                    if is_ready(head, seam) or len(head) > most_bytes:
                        await self.go_in()
                        return bytes(head)
            except PeerGone:
                pass
            finally:
                self._waiting.pop(wait, None)
        await self.go_out()
        return b""

    async def go_in(self) -> None:
        """Before what costs a millisecond. One at a time, and the last first: where more come than can be served, whoever came just now
        still waits for the answer.
        """
        self._youth.one_more()
        await self._stand_in(self._way_in)

    async def go_out(self) -> None:
        """Before the end of one that was not asked to end."""
        self._youth.one_more()
        await self._stand_in(self._way_out)

    def member_came(self) -> None:
        """Whoever began was who it said, and is welcome."""
        self._without_pause = min(self._without_pause + 1, WITHOUT_PAUSE)

    async def _stand_in(self, line: dict[trio.Event, None]) -> None:
        if self._draining.is_set():  # all go, and there is no more to wait for
            await trio.lowlevel.checkpoint()
            return
        self._start()
        self._bell.unpark()
        turn = trio.Event()
        line[turn] = None
        try:
            await turn.wait()
        finally:
            line.pop(turn, None)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            trio.lowlevel.spawn_system_task(self._call_up)
            trio.lowlevel.spawn_system_task(self._send_away_the_late)
            trio.lowlevel.spawn_system_task(self._send_away_when_draining)

    async def _call_up(self) -> None:
        """One at a time, and then as long a pause as that took: a crowd gets half of the time that nobody else wants. For each member who
        has come in, one pause is left out: after a restart all of them come, and nobody is there yet who would gain by it.
        """
        while True:
            while not self._way_in and not self._way_out:
                await self._bell.park()
            await when_others_rest()
            began = trio.current_time()
            for line in (self._way_in, self._way_out):
                if line:
                    turn, _ = line.popitem()
                    turn.set()
            await when_others_rest()
            if self._without_pause:
                self._without_pause -= 1
            else:
                await trio.sleep(min(trio.current_time() - began, PATIENCE_S))

    async def _send_away_the_late(self) -> None:
        """A few a turn: those who came together are late together, and by deadlines of their own they would all wake in one turn."""
        while True:
            while not self._waiting:
                await self._one_waits.park()
            await trio.sleep_until(next(iter(self._waiting.values())))
            now = trio.current_time()
            for wait in [wait for wait, deadline in islice(self._waiting.items(), LATE_A_TURN) if deadline <= now]:
                del self._waiting[wait]
                wait.cancel()

    async def _send_away_when_draining(self) -> None:
        await self._draining.wait()
        for wait in self._waiting:
            wait.cancel()
        for turn in (*self._way_in, *self._way_out):
            turn.set()


async def when_others_rest() -> None:
    """Returns when no other task has anything to do at the moment, or after a while."""
    with trio.move_on_after(PATIENCE_S):
        await wait_all_tasks_blocked()


def is_ready(head: bytes | bytearray, seam: int = 0) -> bool:
    """Whether a parser can answer it. What stands before `seam` has been looked at."""
    return head[0] < FIRST_PRINTABLE or head.find(b"\n\r\n", seam) >= 0 or head.find(b"\n\n", seam) >= 0
