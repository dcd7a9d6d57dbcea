"""The load: senders that write down every answer, and apps that store, acknowledge, crash, and are replaced by a newer phone."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import trio
from trio_websocket import ConnectionClosed, ConnectionTimeout, HandshakeError

from relay.frames import from_b64
from tests.faults.history import Attempt, Delivery, History
from tests.live.app import App, Socket, new_id

BROKEN = (
    ConnectionClosed,
    ConnectionTimeout,
    HandshakeError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    OSError,
    AssertionError,
)
"""What a node that is being hurt does to its peers. AssertionError: another frame than the expected one."""

REFUSALS = {"no_access", "conflict", "mailbox_full", "rate_limited", "clock_skew", "bad_size"}
"""After these nothing was stored. `unavailable` says nothing either way."""

CONNECT_WITHIN_S = 5.0
PAUSE_S = 0.05
SILENCE_S = 10.0
"""Several of the relay's heartbeats (cluster.RAISED)."""
IN_DOUBT = 16
"""Envelopes of unknown fate that one sender carries along; more are left as they are."""


@dataclass
class Mailbox:
    """One recipient: its account, and how far its app is."""

    app: App
    name: str
    drained: bool = False
    """An open session has read everything that waited when it began."""
    takeovers: int = 0


@dataclass
class Load:
    """Everything a run shares. One Trio thread, so nothing here needs a lock."""

    urls: list[str]
    seed: int
    takeover_odds: float = 0.03
    crash_odds: float = 0.06
    history: History = field(default_factory=History)
    enough: trio.Event = field(default_factory=trio.Event)
    """Set: senders stop."""
    calm: trio.Event = field(default_factory=trio.Event)
    """Set: apps stop crashing, and just receive."""

    def __post_init__(self) -> None:
        self.began = trio.current_time()
        self.acknowledged = 0
        """Answers `posted` so far; the history knows how many envelopes that were."""
        self.fates: Counter[str] = Counter()
        """Frames whose app died of them, by `crash` (stored nothing of it) and `takeover` (acknowledged what only the old phone had)."""
        self._sessions = count(1)

    def now(self) -> float:
        return trio.current_time() - self.began

    def at(self, mailbox: Mailbox, node: int) -> App:
        return replace(mailbox.app, url=self.urls[node])

    # -- sending --

    async def send(self, mailbox: Mailbox, number: int) -> None:
        """One sender to one mailbox until `enough`: new envelopes, and again those of unknown fate."""
        dice = random.Random(f"send {self.seed} {mailbox.name} {number}")
        doubtful: dict[str, dict[str, Any]] = {}
        while not self.enough.is_set():
            node = dice.randrange(len(self.urls))
            try:
                with trio.move_on_after(CONNECT_WITHIN_S) as connecting:
                    async with self.at(mailbox, node).posting() as socket:
                        connecting.deadline = float("inf")
                        for _ in range(dice.randint(1, 40)):
                            if self.enough.is_set():
                                break
                            await self._post(socket, mailbox, node, dice, doubtful)
            except* BROKEN:
                pass
            await trio.sleep(PAUSE_S * dice.random())

    async def _post(
        self, socket: Socket, mailbox: Mailbox, node: int, dice: random.Random, doubtful: dict[str, dict[str, Any]]
    ) -> None:
        envelopes = list(doubtful.values())
        for _ in range(dice.choice((1, 1, 1, 2, 8))):
            envelope = mailbox.app.envelope(dice.randbytes(1024), id=new_id())
            envelopes.append(envelope)
            if len(doubtful) < IN_DOUBT:
                doubtful[envelope["id"]] = envelope
        tried: dict[str, Attempt] = {}
        for envelope in envelopes:
            tried[envelope["id"]] = self.history.begin(
                envelope["id"], mailbox.name, from_b64(envelope["body"]), node, self.now()
            )
        await socket.say({"type": "post", "envelopes": envelopes})
        while any(attempt.ended is None for attempt in tried.values()):
            frame = await socket.next()
            ids = frame["ids"] if frame["type"] == "posted" else [frame["id"]]
            code = "posted" if frame["type"] == "posted" else frame["code"]
            for id_ in ids:
                attempt = tried[id_]
                attempt.ended, attempt.code = self.now(), code
                attempt.outcome = "ok" if code == "posted" else "refused" if code in REFUSALS else "unknown"
                self.acknowledged += code == "posted"
                if attempt.outcome != "unknown":
                    doubtful.pop(id_, None)

    # -- receiving --

    async def receive(self, mailbox: Mailbox) -> None:
        """The app of one recipient, until cancelled: drains, stores, acknowledges, and does not always come so far."""
        dice = random.Random(f"receive {self.seed} {mailbox.name}")
        while True:
            node = dice.randrange(len(self.urls))
            try:
                with trio.move_on_after(CONNECT_WITHIN_S) as connecting:
                    async with self.at(mailbox, node).mailbox() as socket:
                        connecting.deadline = float("inf")
                        await self._listen(socket, mailbox, node, dice)
            except* BROKEN:
                pass
            mailbox.drained = False
            await trio.sleep(PAUSE_S * dice.random())

    async def _listen(self, socket: Socket, mailbox: Mailbox, node: int, dice: random.Random) -> None:
        session = next(self._sessions)
        while True:
            frame = await _patiently(socket)
            if frame["type"] == "drained":
                mailbox.drained = True
            if frame["type"] != "deliver":
                continue
            came = [
                self.history.deliver(one["id"], mailbox.name, from_b64(one["body"]), session, self.now())
                for one in frame["envelopes"]
            ]
            if not self.calm.is_set():
                fate = dice.random()
                if fate < self.crash_odds:
                    self.fates["crash"] += 1
                    return  # before anything was stored
                if fate < self.crash_odds + self.takeover_odds:
                    await self._replaced(socket, mailbox, node, came)
                    return
                if dice.random() < self.crash_odds:
                    _store(came)
                    return  # stored, and never acknowledged
            _store(came)
            await socket.say({"type": "ack", "ids": [delivery.id for delivery in came]})

    async def _replaced(self, old: Socket, mailbox: Mailbox, node: int, came: list[Delivery]) -> None:
        """A newer phone takes over, and the old one acknowledges what only it has seen. That must delete nothing."""
        mailbox.takeovers += 1
        mailbox.drained = False
        other = (node + 1) % len(self.urls)
        with trio.move_on_after(CONNECT_WITHIN_S):  # a node that is being hurt may take the connection and never answer
            async with self.at(mailbox, other).mailbox():
                # Its `hello` has come, so the old session is not the newest any more.
                await old.say({"type": "ack", "ids": [delivery.id for delivery in came]})
                if {delivery.id for delivery in came} - self.history.stored(mailbox.name):
                    self.fates["takeover"] += 1
                with trio.move_on_after(0.3):
                    while True:
                        await old.next()


def _store(came: list[Delivery]) -> None:
    for delivery in came:
        delivery.stored = True


async def _patiently(socket: Socket) -> dict[str, Any]:
    """The next frame that is no ping. Raises `trio.TooSlowError` when not even pings came: the other end is gone without a word."""
    while True:
        with trio.fail_after(SILENCE_S):
            frame: dict[str, Any] = json.loads(await socket.websocket.get_message())
        if frame["type"] != "ping":
            return frame
        await socket.say({"type": "pong", "n": frame["n"]})
