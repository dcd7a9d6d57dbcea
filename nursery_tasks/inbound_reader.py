"""Inbound reader: the only task that reads the socket. Parses each message once, then acts; any frame is a sign of life."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

import trio

from nursery_tasks.heartbeat import Pulse
from nursery_tasks.lane import Lane
from nursery_tasks.outbox import Outbox
from nursery_tasks.ports import AckLine, Peer, PostLine, Wall
from nursery_tasks.unanswered import Unanswered
from relay.errors import BadFrame, Ending, Refusal
from relay.frames import (
    BODY_BYTES,
    Ack,
    Malformed,
    Ping,
    Pong,
    Post,
    PostFrame,
    Refused,
    SignalFrame,
    id_time_is_acceptable,
    parse_from_mailbox_app,
    parse_from_post_app,
)
from relay.records import AckBatch, Posting, Ringing, Waiting

F = TypeVar("F")


async def read_mailbox_app(
    peer: Peer,
    pulse: Pulse,
    outbox: Outbox,
    mail: Lane[Waiting],
    signals: Lane[Ringing],
    mail_acks: AckLine,
    signal_acks: AckLine,
    account_id: UUID,
    epoch: int,
) -> Ending:
    """Reads acks and heartbeats of a mailbox session.

    Raises:
        PeerGone: the app is gone.
        BadFrame: it said something that is not a frame of this direction.
    """
    while True:
        match _heard(await peer.receive(), pulse, parse_from_mailbox_app):
            case Ack(ids=ids):
                # An app cannot tell the lanes apart by id, and need not. What is not in flight here may be left
                # from an earlier session, and only mail outlives a session for long.
                ringing = set(signals.acked(ids))
                mailed = tuple(id_ for id_ in ids if id_ not in ringing) if ringing else tuple(ids)
                if ringing:
                    signal_acks.submit(AckBatch(account_id, epoch, tuple(ringing)), partial(signals.gone, ringing))
                if mailed:
                    mail.acked(mailed)
                    mail_acks.submit(AckBatch(account_id, epoch, mailed), partial(mail.gone, mailed))
                if not (signal_acks.has_room and mail_acks.has_room):
                    with pulse.hold():
                        await signal_acks.room()
                        await mail_acks.room()
            case Ping(n=n):
                await outbox.send(Pong(n=n))
            case Pong():
                pass


async def read_post_app(
    peer: Peer,
    pulse: Pulse,
    outbox: Outbox,
    unanswered: Unanswered,
    mail: PostLine,
    signals: PostLine,
    wall: Wall,
    *,
    first_frame_within_s: float,
    posts_per_s: float,
) -> Ending:
    """Reads posts and signals of a post session and hands them to the batch writers. Reads on while answers are outstanding.

    Raises:
        PeerGone: the app is gone.
        BadFrame: it said something that is not a frame of this direction.
    """
    frame = None
    with trio.move_on_after(first_frame_within_s):
        frame = _heard(await peer.receive(), pulse, parse_from_post_app)
    if frame is None:
        return Ending.HEARTBEAT_LOST
    pace = _Pace(posts_per_s)
    while True:
        match frame:
            case PostFrame(envelopes=envelopes):
                for post in envelopes:
                    if (refused := _take(post, 0, mail, unanswered, wall)) is not None:
                        await outbox.send(refused)
                if pace.spend(len(envelopes)) or not (mail.has_room and unanswered.has_room):
                    await _hold_back(pulse, pace, mail, unanswered)
            case SignalFrame(ttl_s=ttl_s):
                if (refused := _take(frame, ttl_s, signals, unanswered, wall)) is not None:
                    await outbox.send(refused)
                if pace.spend(1) or not (signals.has_room and unanswered.has_room):
                    await _hold_back(pulse, pace, signals, unanswered)
            case Ping(n=n):
                await outbox.send(Pong(n=n))
            case Pong():
                pass
        frame = _heard(await peer.receive(), pulse, parse_from_post_app)


async def _hold_back(pulse: Pulse, pace: _Pace, line: PostLine, unanswered: Unanswered) -> None:
    """Until there is room for another frame. To be called when there is none: coroutines that do not wait cost as much as those that do."""
    with pulse.hold():
        await pace.rest()
        await line.room()
        await unanswered.room()


def _heard(text: str, pulse: Pulse, parse: Callable[[str], F]) -> F:
    pulse.beat()
    try:
        return parse(text)
    except Malformed:
        raise BadFrame from None


def _take(post: Post | SignalFrame, ttl_s: int, line: PostLine, unanswered: Unanswered, wall: Wall) -> Refused | None:
    """Judges what needs no database, and submits the rest; answers what the app is to be told at once."""
    now = int(wall())
    # Only the hash of the access key goes on from here, as in the database.
    posting = Posting(post.to, post.id, sha256(post.access).digest(), post.body, now, now + ttl_s if ttl_s else 0)
    if len(post.body) not in BODY_BYTES:
        return unanswered.refused(posting, Refusal.BAD_SIZE)
    if not id_time_is_acceptable(post.id, now):
        return unanswered.refused(posting, Refusal.CLOCK_SKEW)
    unanswered.add(posting)
    line.submit(posting, unanswered)
    return None


class _Pace:
    """Backpressure by time: past a burst, a fast poster is read no faster than this, and TCP makes it wait. Nothing is refused
    for being quick."""

    BURST = 64  # posts; two full frames

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._due = -float("inf")

    def spend(self, posts: int) -> bool:
        """Whether they are to `rest`."""
        now = trio.current_time()
        self._due = max(self._due, now - self.BURST / self._per_s) + posts / self._per_s
        return self._due > now

    async def rest(self) -> None:
        if self._due > trio.current_time():
            await trio.sleep_until(self._due)
