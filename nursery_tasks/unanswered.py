"""The posts of one session that still wait for their answer: bounds them, and turns outcomes into frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from nursery_tasks.outbox import Outbox
from nursery_tasks.ports import Wall
from relay.errors import Refusal
from relay.frames import UNANSWERED_MAX, UNANSWERED_MAX_BYTES, Refused, Sayable, Taken
from relay.records import Outcome, Posting, Stored

RETRY_AFTER_S: dict[Refusal, int] = {Refusal.MAILBOX_FULL: 60, Refusal.UNAVAILABLE: 2}
"""Seconds; 0 where a retry of the same post makes no sense, and the recipient's own figure for RATE_LIMITED."""

_NEW = Stored.NEW


class Unanswered:
    """Counts posts from being read to their answer being in the outbox (nursery_tasks.ports.Poster).

    The outbox holds more frames than posts can be unanswered, so an answer always finds room, unless the app sends pings and
    does not read: then `on_overflow` ends the session.
    """

    def __init__(self, outbox: Outbox, wall: Wall, on_overflow: Callable[[], None]) -> None:
        self._outbox = outbox
        self._wall = wall
        self._on_overflow = on_overflow
        self._posts = 0
        self._bytes = 0
        self._fewer = trio.Event()

    def add(self, posting: Posting) -> None:
        self._posts += 1
        self._bytes += len(posting.body)

    async def room(self) -> None:
        """Waits until another frame's worth of posts may be read. Bounds: UNANSWERED_MAX posts, UNANSWERED_MAX_BYTES of bodies.

        The outbox counts too: an answer that the app does not read leaves no room.
        """
        while not self.has_room:
            self._fewer = trio.Event()
            await self._fewer.wait()

    @property
    def has_room(self) -> bool:
        """Whether `room` would return at once."""
        return self._posts + self._outbox.waiting < UNANSWERED_MAX and self._bytes < UNANSWERED_MAX_BYTES

    def written(self) -> None:
        """The writer has sent a frame."""
        self._fewer.set()

    def answered(self, answers: Sequence[tuple[Posting, Outcome]]) -> None:
        posted = []
        for posting, outcome in answers:
            self._posts -= 1
            self._bytes -= len(posting.body)
            if outcome is _NEW or not isinstance(outcome, Refusal):
                posted.append(posting.id)
            else:
                self._say(self.refused(posting, outcome))
        if posted:
            self._say(Taken(posted))
        self._fewer.set()

    def refused(self, posting: Posting, refusal: Refusal) -> Refused:
        wait_s = posting.wait_s if refusal is Refusal.RATE_LIMITED else RETRY_AFTER_S.get(refusal, 0)
        return Refused(id=posting.id, code=refusal.value, retry_after_s=wait_s, now=int(self._wall()))

    def _say(self, frame: Sayable) -> None:
        try:
            self._outbox.say_at_once(frame)
        except trio.WouldBlock:
            self._on_overflow()
        except trio.ClosedResourceError:
            pass  # the session is over; the app retries with the same id
