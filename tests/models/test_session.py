"""One mailbox session on a clock that jumps: random sequences of frames, silence, slow reading, closing, database errors and mail.

Every life ends with a named ending that something in it explains, in time, with the close code of that ending and nothing left over. Only
what the app acknowledged is deleted; `drained` is said when everything that waited at the beginning has been sent, and not before; what is
in flight is not sent again, and no more of it than the window allows.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest
import trio
from hypothesis import given, seed
from hypothesis import strategies as st
from trio.testing import MockClock

import nursery_tasks.session as supervisor
from nursery_tasks.heartbeat import Pulse
from nursery_tasks.lane import Lane
from nursery_tasks.session import Session, Timing
from relay.errors import DatabaseUnavailable, Ending
from tests.fakes import Gate, MemoryMailbox, MemoryPeer
from tests.models.profile import SEED, profile, until_convicted
from tests.sessions.stage import Stage, recorded_sessions

TIMING = Timing(in_flight_envelopes=5, in_flight_bytes=6 * 1024)
WRITE_DEADLINE_S = 20.0
LONGEST_S = TIMING.ping_every_s + TIMING.answer_within_s + 2 * WRITE_DEADLINE_S + 5
"""From the moment when the app neither reads nor speaks any more until its session has ended."""

CALLS = ["page", "remove", "notices", "begin_sessions"]

steps = st.one_of(
    st.tuples(st.just("commit"), st.integers(1, 4)),
    st.tuples(st.just("commit"), st.integers(1, 4)),
    st.tuples(st.just("elsewhere"), st.integers(1, 8)),
    st.tuples(st.just("read"), st.integers(1, 6)),
    st.tuples(st.just("read"), st.integers(1, 6)),
    st.tuples(st.just("ack"), st.integers(1, 6)),
    st.tuples(st.just("ack"), st.integers(1, 6)),
    st.tuples(st.just("ack_made_up"), st.integers(1, 3)),
    st.tuples(st.just("ping"), st.integers(0, 99)),
    st.tuples(
        st.just("garbage"), st.sampled_from(["", "{", "[]", '{"type":"posted","ids":[]}', '{"type":"ack"}', "null"])
    ),
    st.tuples(st.just("binary")),
    st.tuples(st.just("drop")),
    st.tuples(st.just("error"), st.sampled_from(CALLS), st.booleans()),
    st.tuples(st.just("hold"), st.sampled_from(CALLS[:3]), st.sampled_from([0.5, 8.0, 40.0])),
    st.tuples(st.just("newer")),
    st.tuples(st.just("deleted")),
    st.tuples(st.just("draining")),
)
unlikely = {"garbage", "binary", "drop", "newer", "deleted", "draining"}
"""Each ends the session, so a life has one of them at most, at its end."""
lives = st.tuples(
    st.integers(0, 12),
    st.lists(
        st.tuples(steps.filter(lambda one: one[0] not in unlikely), st.sampled_from([0.0, 0.0, 0.01, 3.0, 11.0, 26.0])),
        max_size=30,
    ),
    st.none() | steps.filter(lambda one: one[0] in unlikely),
)
Life = tuple[int, list[tuple[tuple[Any, ...], float]], tuple[Any, ...] | None]


class Play:
    """One life, and what was wrong in it."""

    def __init__(self, stage: Stage, nursery: trio.Nursery) -> None:
        self.stage, self._nursery = stage, nursery
        self.bob = stage.account()
        self.charges: list[str] = []
        self.possible = {Ending.HEARTBEAT_LOST, Ending.SLOW_READER}
        """Endings that something explains. Silence and slow reading are part of every life."""
        self.at_first: set[str] = set()
        self.in_flight: dict[str, None] = {}
        self.came: set[str] = set()
        self.acked: set[str] = set()
        self.drained = False
        self.fills = iter(range(10**6))

    async def begin(self, waiting: int) -> None:
        self.at_first = {str(id_) for id_ in await self.stage.waiting(self.bob, *self._fills(waiting))}
        self.running = self.stage.open_mailbox(self.bob, MemoryPeer(buffered=2, write_deadline_s=WRITE_DEADLINE_S))
        await self.stage.settle()

    def _fills(self, count: int) -> list[int]:
        return [next(self.fills) for _ in range(count)]

    async def step(self, name: str, *args: Any) -> None:
        peer, stage = self.running.peer, self.stage
        match name, args:
            case "commit", (count,):
                await stage.commit(self.bob, *self._fills(count))
            case "elsewhere", (count,):  # another node stored it, and its wake-up came
                await stage.waiting(self.bob, *self._fills(count))
                stage.switchboard.look_at_mail([self.bob])
            case "read", (count,):
                for _ in range(count):
                    await stage.settle()
                    self.note(peer.heard())
            case "ack", (count,):
                self.acknowledge(list(self.in_flight)[:count])
            case "ack_made_up", (count,):
                self.say({"type": "ack", "ids": [str(UUID(int=n)) for n in range(count)]})
            case "ping", (n,):
                self.say({"type": "ping", "n": n})
            case "garbage", (text,):
                self.possible.add(Ending.BAD_FRAME)
                self.say(text)
            case "binary", ():
                self.possible.add(Ending.BAD_FRAME)
                if not self.running.over.is_set():
                    peer.say_binary()
            case "drop", ():
                self.possible.add(Ending.PEER_GONE)
                peer.drop()
            case "error", (call, fails):
                self.fail(call, fails=fails)
            case "hold", (call, seconds):
                if call not in stage.mailbox.gates:
                    gate = stage.mailbox.gates[call] = Gate()
                    self._nursery.start_soon(self._open_later, call, gate, seconds)
            case "newer", ():
                self.possible.add(Ending.SUPERSEDED)
                stage.open_mailbox(self.bob)
            case "deleted", ():
                self.possible.add(Ending.REVOKED)
                stage.switchboard.check_epochs([self.bob], {})
            case "draining", ():
                self.possible.add(Ending.DRAINING)
                stage.switchboard.drain()
            case _:
                raise AssertionError(name)

    def fail(self, call: str, *, fails: bool) -> None:
        self.stage.mailbox.errors.pop(call, None)
        if fails:
            self.stage.mailbox.errors[call] = DatabaseUnavailable()
            if call != "remove":
                self.possible.add(Ending.DATABASE_TROUBLE)

    async def _open_later(self, call: str, gate: Gate, seconds: float) -> None:
        await trio.sleep(seconds)
        self.stage.mailbox.gates.pop(call, None)
        gate.open()

    def say(self, frame: Any) -> None:
        if not self.running.over.is_set() and not self.running.peer.gone:
            self.running.peer.say(frame)

    def acknowledge(self, ids: list[str]) -> None:
        if not ids or self.running.over.is_set():
            return
        self.acked.update(ids)
        for id_ in ids:
            del self.in_flight[id_]
        self.say({"type": "ack", "ids": ids})

    def note(self, frames: list[dict[str, Any]]) -> None:
        for frame in frames:
            if frame["type"] == "ping":
                self.say({"type": "pong", "n": frame["n"]})
            if frame["type"] == "drained":
                self.drained = True
                if missing := self.at_first - self.came:
                    self.charges.append(f"drained, and {len(missing)} of {len(self.at_first)} had not come")
            for one in frame["envelopes"] if frame["type"] == "deliver" else ():
                if one["id"] in self.in_flight:
                    self.charges.append(f"{one['id']} came again, while it was in flight")
                self.in_flight[one["id"]] = None
                self.came.add(one["id"])
        if len(self.in_flight) > TIMING.in_flight_envelopes:
            self.charges.append(f"{len(self.in_flight)} in flight")

    def check(self) -> None:
        """At any time: what is not in the table any more was acknowledged."""
        kept = {str(id_) for _, id_ in self.stage.mailbox.rows}
        deleted = (self.at_first | self.came) - kept
        if unasked := deleted - self.acked:
            self.charges.append(f"{len(unasked)} were deleted that nobody had acknowledged")

    async def end(self) -> None:
        """The app stops reading and speaking. Whatever happened, its session is over in time, for a reason."""
        silent_since = trio.current_time()
        with trio.move_on_after(LONGEST_S):
            await self.running.over.wait()
        running = self.running
        if not running.over.is_set():
            self.charges.append(f"not over {LONGEST_S} s after the last word")
            running.peer.drop()
            return
        assert running.ended_at is not None
        if running.ending not in self.possible:
            self.charges.append(f"ended with {running.ending}, and only {self.possible} are explained")
        if running.ending is not None and running.peer.closed is not None:
            wanted = (running.ending.close_code, running.ending.reason)
            if running.peer.closed != wanted:
                self.charges.append(f"closed with {running.peer.closed} and not {wanted}")
        if running.ended_at > silent_since + LONGEST_S:
            self.charges.append(f"took {running.ended_at - silent_since} s to end")


async def carry_out(life: Life, sessions: list[Session]) -> list[str]:
    waiting, happenings, last = life
    async with trio.open_nursery() as nursery:
        stage = Stage(nursery, sessions, TIMING)
        await stage.start()
        async with trio.open_nursery() as gates:
            play = Play(stage, gates)
            await play.begin(waiting)
            for (name, *args), seconds in happenings:
                await play.step(name, *args)
                await trio.sleep(seconds)
                play.check()
            if last is not None:
                await play.step(*last)
                await stage.settle()
            await play.end()
            play.check()
            stage.mailbox.errors.clear()
            for call in list(stage.mailbox.gates):
                stage.mailbox.gates.pop(call).open()
            gates.cancel_scope.cancel()
        for running in stage.opened:
            running.peer.drop()
        try:
            await stage.nothing_is_left()
        except AssertionError as error:
            play.charges.append(f"something is left: {error}")
        nursery.cancel_scope.cancel()
    return play.charges


def charges_of(life: Life) -> list[str]:
    with recorded_sessions() as sessions:
        return trio.run(carry_out, life, sessions, clock=MockClock(autojump_threshold=0))


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_life_of_a_session_ends_well() -> None:
    @seed(SEED)
    @profile(150)
    @given(lives)
    def every_life(life: Life) -> None:
        assert charges_of(life) == []

    every_life()


# -- each planted bug is convicted ---------------------------------------------------------------------------------------


def silence_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that takes every silence for its own reader's."""

    def always_held(self: Pulse) -> None:
        self.felt, self.held = False, True

    monkeypatch.setattr(Pulse, "__init__", always_held)
    monkeypatch.setattr(Pulse, "__exit__", lambda self, *_: None)


def drained_is_said_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first page."""
    monkeypatch.setattr(Lane, "behind", property(lambda self: False))


def acknowledgements_delete_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app acknowledges some, and what is in flight goes with them."""
    remove = MemoryMailbox.remove

    async def too_much(self: MemoryMailbox, batch: Any) -> None:
        more = [acks._replace(ids=tuple(row[1] for row in list(self.rows)[:2]) + acks.ids) for acks in batch]
        await remove(self, more)

    monkeypatch.setattr(MemoryMailbox, "remove", too_much)


def the_window_is_too_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Lane.__init__

    def wider(self: Lane[Any], *, window_items: int, **rest: Any) -> None:
        begin(self, window_items=window_items + 2, **rest)

    monkeypatch.setattr(Lane, "__init__", wider)


def the_page_is_read_over_what_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Lane._read

    async def forgetful(self: Lane[Any], store: Any, account_id: UUID) -> Any:
        self._in_flight.clear()
        return await read(self, store, account_id)

    monkeypatch.setattr(Lane, "_read", forgetful)


def errors_are_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that could not be read ends the session by another name."""
    monkeypatch.setattr(supervisor, "ENDING_OF", {})


@pytest.mark.parametrize(
    "plant",
    [
        silence_is_borne,
        drained_is_said_early,
        acknowledgements_delete_all,
        the_window_is_too_wide,
        the_page_is_read_over_what_is_in_flight,
        errors_are_swallowed,
    ],
)
def test_a_planted_bug_is_convicted(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    @seed(SEED)
    @until_convicted(1000)
    @given(lives)
    def every_life(life: Life) -> None:
        assert charges_of(life) == []

    with pytest.raises(AssertionError):
        every_life()
