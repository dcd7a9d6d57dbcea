"""Between the kernel's queue and a connection's machinery: who has not sent a whole request head waits here.

FreeBSD's kernel can do the same (accf_http(9)). A nursery, a protocol and their clocks are made for a peer that has asked for something;
ten thousand that say nothing, or half a head, are a task and a deadline each. And who begins, and who ends, lets others go first: a
message passes through a dozen turns of the loop, and if a newcomer had one in each, it would take three times as long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import wait_all_tasks_blocked

from relay.collector import Youth

FIRST_PRINTABLE = 0x21
"""No request begins with a byte below, TLS where none is spoken, say: h11 refuses it without waiting for more."""


PATIENCE_S = 0.005
"""So long one lets others go first. Where somebody always has something to do, two hundred a second begin, and end."""


class Arrivals:
    """Of one worker process. One may wait here for `head_deadline_s`, and nobody may once the worker is `draining`."""

    def __init__(self, head_deadline_s: float, draining: trio.Event) -> None:
        self._head_deadline_s = head_deadline_s
        self._draining = draining
        self._watched = False
        self._waiting: set[trio.CancelScope] = set()
        self._way_in = trio.Lock()
        self._way_out = trio.Lock()  # of its own: when a crowd leaves, who comes does not stand behind it
        self._youth = Youth()

    async def head(self, receive: Callable[[], Awaitable[bytes]], most_bytes: int) -> bytes:
        """What a new peer has sent, once that is a whole head or can no longer become one; empty if it comes to nothing: the peer
        has left, the deadline is over, or the worker stops. Returns when it is this peer's turn to begin, or to end.
        """
        if not self._watched:
            self._watched = True
            trio.lowlevel.spawn_system_task(self._send_away_when_draining)
        head = bytearray()
        with trio.CancelScope(deadline=trio.current_time() + self._head_deadline_s) as wait:
            self._waiting.add(wait)
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
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                pass
            finally:
                self._waiting.discard(wait)
        await self.go_out()
        return b""

    async def go_in(self) -> None:
        """Before what costs a millisecond. In the order of the calls, one at a time."""
        async with self._way_in:
            await when_others_rest()
        self._youth.one_more()

    async def go_out(self) -> None:
        """Before the end of one that was not asked to end."""
        async with self._way_out:
            await when_others_rest()

    async def _send_away_when_draining(self) -> None:
        await self._draining.wait()
        for wait in self._waiting:
            wait.cancel()


async def when_others_rest() -> None:
    """Returns when no other task has anything to do at the moment, or after a while."""
    with trio.move_on_after(PATIENCE_S):
        await wait_all_tasks_blocked()


def is_ready(head: bytes | bytearray, seam: int = 0) -> bool:
    """Whether a parser can answer it. What stands before `seam` has been looked at."""
    return head[0] < FIRST_PRINTABLE or head.find(b"\n\r\n", seam) >= 0 or head.find(b"\n\n", seam) >= 0
