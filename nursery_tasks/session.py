"""The supervisor of a session: one nursery, one writer, one ending.

A session's tasks each run until they meet a way out and return its name (`Ending`). The first to do so decides: the nursery's
cancel scope takes the others down, the switchboard entry is gone before the function returns, and one shielded,
deadlined goodbye closes the socket with the right code. Whoever is outside (the switchboard: superseded, revoked,
draining) ends a session by the same word, `Session.end`, so no task is needed to wait for that.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

import trio

from nursery_tasks.call_signal_forwarder import forward_call_signals, signal_frame
from nursery_tasks.heartbeat import Pulse, keep_heartbeat
from nursery_tasks.inbound_reader import read_mailbox_app, read_post_app
from nursery_tasks.lane import Lane
from nursery_tasks.mailbox_drainer import drain_mailbox
from nursery_tasks.outbox import Outbox
from nursery_tasks.ports import (
    AckLine,
    Mailbox,
    Meanwhile,
    Opener,
    PageStore,
    Peer,
    PostLine,
    Signals,
    Switchboard,
    Wall,
)  # fmt: skip
from nursery_tasks.unanswered import Unanswered
from relay.errors import ENDING_OF, Ending, RelayError
from relay.frames import DELIVER_MAX_ENVELOPES, POST_MAX_ENVELOPES, PROTOCOL, UNANSWERED_MAX, Delivery, Hello
from relay.records import Begun, Ringing, Waiting

log = logging.getLogger("relay.sessions")

Task = Callable[[], Awaitable[Ending]]

MAILBOX_OUTBOX = 4
"""Frames between the tasks and the writer of a mailbox session: one each of the four tasks; a page is up to 256 KiB."""

POST_OUTBOX = UNANSWERED_MAX + POST_MAX_ENVELOPES + 4
"""One frame an answer at most (the last post frame may overshoot), so that an answer always finds room; and hello, ping, pong."""


@dataclass(frozen=True)
class Timing:
    """A session's times in seconds, and its windows; the defaults are those of docs/protocol.md."""

    ping_every_s: float = 25.0
    answer_within_s: float = 10.0
    first_frame_within_s: float = 10.0
    goodbye_within_s: float = 0.1
    in_flight_envelopes: int = 256
    in_flight_bytes: int = 4 * 1024 * 1024
    posts_per_s: float = 30.0


class Session:
    """What every session has: its ending, its outbox, its pulse."""

    __slots__ = ("_peer", "_scope", "_timing", "_wall", "ending", "outbox", "pulse")

    def __init__(self, peer: Peer, timing: Timing, wall: Wall, *, outbox: int) -> None:
        self.ending: Ending | None = None
        self.pulse = Pulse()
        self.outbox = Outbox(peer, outbox)
        self._peer = peer
        self._timing = timing
        self._wall = wall
        self._scope: trio.CancelScope | None = None  # of the nursery, once there is one

    def end(self, ending: Ending) -> None:
        """Ends the session; the first ending counts. Synchronous, and may come at any time, also before the tasks run."""
        if self.ending is None:
            self.ending = ending
            if self._scope is not None:
                self._scope.cancel()

    async def run(self, tasks: dict[str, Task], *, flush: bool) -> Ending:
        """Runs the tasks until the first ending, then says goodbye. The caller's own task writes what is queued (nursery_tasks/outbox.py).

        `tasks` is by name, and emptied.

        `flush` sends what is in the outbox before the goodbye: answers of a post session are worth it, mail is not.
        """
        self._say_hello()
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                if self.ending is not None:
                    nursery.cancel_scope.cancel()
                self._start(nursery, tasks)
                await self._until_its_ending(self.outbox.write)
        finally:
            # Without an ending, somebody outside cancelled us: the worker is going down.
            self.end(Ending.DRAINING)
            try:
                await self._say_goodbye(flush=flush)
            finally:
                self.outbox.close()
        assert self.ending is not None
        return self.ending

    def _say_hello(self) -> None:
        hello = Hello(
            protocol=PROTOCOL,
            now=int(self._wall()),
            ping_every_s=self._timing.ping_every_s,
            answer_within_s=self._timing.answer_within_s,
        )
        self.outbox.send_nowait(hello)

    def _start(self, nursery: trio.Nursery, tasks: dict[str, Task]) -> None:
        """A function of its own, and what is started is let go: else it would all stay in memory for as long as the session."""
        for name, task in tasks.items():
            nursery.start_soon(self._until_its_ending, task, name=name)
        tasks.clear()

    async def _until_its_ending(self, task: Task) -> None:
        try:
            running = task()
            del task  # as in _start
            ending = await running
        except Exception as error:
            ending = _ending_of(error)
        self.end(ending)

    async def _say_goodbye(self, *, flush: bool) -> None:
        assert self.ending is not None
        code = self.ending.close_code
        if code is None:
            return
        with trio.move_on_after(self._timing.goodbye_within_s, shield=True), suppress(RelayError):
            if flush:
                await self.outbox.flush()
            await self._peer.close(code, self.ending.reason)


def _ending_of(error: Exception) -> Ending:
    ending = ENDING_OF.get(type(error), Ending.INTERNAL) if isinstance(error, RelayError) else Ending.INTERNAL
    if ending is Ending.INTERNAL:
        # quart-trio loses an error that is grouped with Cancelled, so it is named here; its text could hold anything.
        log.error("session task failed: %s", type(error).__name__)
    return ending


class Beginning(NamedTuple):
    """A session that has begun in the database and is not here yet, and what it would have been told since somebody began to look."""

    begun: Begun
    meanwhile: Meanwhile


class MailboxSession(Session):
    """A mailbox session as the switchboard sees it (nursery_tasks.ports.LiveMailbox)."""

    __slots__ = ("epoch", "mail", "signals")

    def __init__(self, peer: Peer, beginning: Beginning, timing: Timing, wall: Wall) -> None:
        super().__init__(peer, timing, wall, outbox=MAILBOX_OUTBOX)
        begun, meanwhile = beginning
        self.epoch = begun.epoch
        self.mail = Lane[Waiting](
            window_items=timing.in_flight_envelopes,
            window_bytes=timing.in_flight_bytes,
            page_items=DELIVER_MAX_ENVELOPES,
            behind=begun.mail or meanwhile.mail,
        )
        self.signals = Lane[Ringing](
            window_items=timing.in_flight_envelopes,
            window_bytes=timing.in_flight_bytes,
            page_items=DELIVER_MAX_ENVELOPES,
            behind=begun.signals or meanwhile.signals,
        )

    def hand_over_mail(self, envelopes: Sequence[Waiting]) -> None:
        if at_once := self.mail.hand_over(envelopes, self._wall(), at_once=self._speaks):
            self.outbox.say_at_once(Delivery(at_once))

    def hand_over_signals(self, signals: Sequence[Ringing]) -> None:
        for signal in signals:
            for at_once in self.signals.hand_over([signal], self._wall(), at_once=self._speaks):
                if (frame := signal_frame(at_once, self._wall())) is not None:
                    self.outbox.say_at_once(frame)

    @property
    def _speaks(self) -> bool:
        return self.ending is None and self.outbox.idle

    def look_at_mail(self) -> None:
        self.mail.fall_behind()

    def look_at_signals(self) -> None:
        self.signals.fall_behind()

    def look_at_notices(self) -> None:
        self.mail.nudge()


@dataclass(frozen=True)
class MailboxServices:
    """What mailbox sessions share."""

    mailbox: Mailbox
    opener: Opener
    mail_pages: PageStore[Waiting]
    signals: Signals
    mail_acks: AckLine
    signal_acks: AckLine
    switchboard: Switchboard
    announce: Callable[[UUID], None]
    """Tells the other processes that this account has a new session."""
    wall: Wall


@dataclass(frozen=True)
class PostServices:
    """What post sessions share."""

    mail: PostLine
    signals: PostLine
    switchboard: Switchboard
    wall: Wall


async def begin_mailbox_session(account_id: UUID, token_hash: bytes, services: MailboxServices) -> Beginning | None:
    """Checks the token and begins a session, which must be run; None if it is another token, or there is no such account.

    Raises:
        DatabaseUnavailable: it may have begun.
    """
    # Expected first: what is committed after the look is noted, and what was committed before it is seen.
    meanwhile = services.switchboard.expect(account_id)
    begun = None
    try:
        begun = await services.opener.begin(account_id, token_hash)
    finally:
        if begun is None:
            services.switchboard.forget(account_id, meanwhile)
    return None if begun is None else Beginning(begun, meanwhile)


async def run_mailbox_session(
    peer: Peer, account_id: UUID, services: MailboxServices, timing: Timing, beginning: Beginning
) -> Ending:
    """Serves one mailbox session that has begun, from the first frame to the goodbye.

    Exactly four tasks: inbound reader, mailbox drainer, call-signal forwarder, heartbeat.
    """
    session = MailboxSession(peer, beginning, timing, services.wall)
    notices = None if beginning.meanwhile.notices else beginning.begun.notices

    tasks: dict[str, Task] = {
        "inbound_reader": partial(
            read_mailbox_app, peer, session.pulse, session.outbox, session.mail, session.signals,
            services.mail_acks, services.signal_acks, account_id, session.epoch,
        ),
        "mailbox_drainer": partial(
            drain_mailbox,
            session.mail, services.mail_pages, services.mailbox, account_id, session.outbox, services.wall, notices,
        ),
        "call_signal_forwarder": partial(
            forward_call_signals, session.signals, services.signals, account_id, session.outbox, services.wall
        ),
        "heartbeat": partial(
            keep_heartbeat, session.pulse, session.outbox, timing.ping_every_s, timing.answer_within_s
        ),
    }  # fmt: skip
    with services.switchboard.mailbox(account_id, session):
        services.switchboard.forget(account_id, beginning.meanwhile)
        del beginning
        services.announce(account_id)
        try:
            return await session.run(tasks, flush=False)
        finally:
            services.mail_acks.hurry()


async def run_post_session(peer: Peer, services: PostServices, timing: Timing) -> Ending:
    """Serves one post session from the first frame to the goodbye. Exactly two tasks: inbound reader and heartbeat."""
    session = Session(peer, timing, services.wall, outbox=POST_OUTBOX)
    unanswered = Unanswered(session.outbox, services.wall, lambda: session.end(Ending.SLOW_READER))
    session.outbox.on_written = unanswered.written

    tasks: dict[str, Task] = {
        "inbound_reader": partial(
            read_post_app, peer, session.pulse, session.outbox, unanswered, services.mail, services.signals,
            services.wall, first_frame_within_s=timing.first_frame_within_s, posts_per_s=timing.posts_per_s,
        ),
        "heartbeat": partial(
            keep_heartbeat, session.pulse, session.outbox, timing.ping_every_s, timing.answer_within_s
        ),
    }  # fmt: skip
    try:
        with services.switchboard.post(session):
            return await session.run(tasks, flush=True)
    finally:
        session.outbox.forget()
