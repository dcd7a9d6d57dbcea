"""Heartbeat: asks every few seconds whether the app is still there, and ends the session when it is not.

WebSocket pings do not serve: Hypercorn answers them below us and checks nothing. Ours are frames (docs/protocol.md, Heartbeat).
"""

from __future__ import annotations

from itertools import count

import trio

from nursery_tasks.bell import Bell
from nursery_tasks.outbox import Outbox
from relay.errors import Ending
from relay.frames import Ping


class Pulse:
    """A sign of life from the app. Any frame counts, not only the pong: on a slow link the pong may stand behind acks."""

    __slots__ = ("_bell", "held")

    def __init__(self) -> None:
        self._bell = Bell()
        self.held = False

    def beat(self) -> None:
        self._bell.ring()

    def reset(self) -> None:
        self._bell.hush()

    def hold(self) -> Pulse:
        """While the block runs, the reader does not read: the silence is ours. An app that is gone shows when writing to it."""
        return self

    def __enter__(self) -> None:
        self.held = True

    def __exit__(self, *_: object) -> None:
        self.held = False

    async def felt(self) -> None:
        await self._bell.wait()


async def keep_heartbeat(pulse: Pulse, outbox: Outbox, every_s: float, within_s: float) -> Ending:
    """Sends a ping every `every_s` seconds; returns when nothing came for `within_s` seconds after one."""
    for n in count(1):
        await trio.sleep(every_s)
        pulse.reset()
        await outbox.send(Ping(n=n))
        with trio.move_on_after(within_s):
            await pulse.felt()
            continue
        if pulse.held:
            continue
        return Ending.HEARTBEAT_LOST
    raise AssertionError("count() does not end")
