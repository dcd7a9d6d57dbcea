"""Heartbeat: asks every few seconds whether the app is still there, and ends the session when it is not.

WebSocket pings do not serve: Hypercorn answers them below us and checks nothing. Ours are frames (docs/protocol.md, Heartbeat).
"""

from __future__ import annotations

from itertools import count
from math import ceil

import trio

from nursery_tasks.outbox import Outbox
from relay.errors import Ending
from relay.frames import Ping

TOGETHER = 16
"""So often in a second pings go, those of all sessions that are due: to wake a process costs more than a ping. A power of two, so that
times come out even."""


STOOD_STILL_S = 1.0
"""Who wakes so late was not running."""


class Pulse:
    """A sign of life from the app. Any frame counts, not only the pong: on a slow link the pong may stand behind acks."""

    __slots__ = ("felt", "held")

    def __init__(self) -> None:
        self.felt = False
        """Whether there was one since the last ping."""
        self.held = False

    def beat(self) -> None:
        self.felt = True

    def hold(self) -> Pulse:
        """While the block runs, the reader does not read: the silence is ours. An app that is gone shows when writing to it."""
        return self

    def __enter__(self) -> None:
        self.held = True

    def __exit__(self, *_: object) -> None:
        self.held = False


async def keep_heartbeat(pulse: Pulse, outbox: Outbox, every_s: float, within_s: float) -> Ending:
    """Sends a ping every `every_s` seconds, at the next time for pings; returns when nothing came for `within_s` seconds after one.

    Nobody waits for the answer: what came meanwhile is looked at when its time is over, and that is the same moment for all who were asked
    together. The next ping comes after that, so with `within_s` longer than `every_s` no sooner. A silence in which this process stood still
    says nothing of the app.
    """
    asked_at = trio.current_time()
    for n in count(1):
        asked_at = ceil((asked_at + every_s) * TOGETHER) / TOGETHER
        await trio.sleep_until(asked_at)
        asked_at = max(asked_at, trio.current_time() - STOOD_STILL_S)
        pulse.felt = False
        try:
            outbox.say_at_once(Ping(n=n))
        except trio.WouldBlock:
            await outbox.send(Ping(n=n))
            asked_at = trio.current_time()
        until = asked_at + within_s
        await trio.sleep_until(until)
        stood_still = trio.current_time() - until > STOOD_STILL_S
        if not (pulse.felt or pulse.held or stood_still):
            return Ending.HEARTBEAT_LOST
    raise AssertionError("count() does not end")
