"""Who comes and who leaves, many at once: what they cost, and that others go first."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from relay import collector
from relay.edge_arrivals import LATE_A_TURN, PATIENCE_S, WITHOUT_PAUSE, Arrivals
from tests.edge import wire
from tests.edge.server import Server

HEAD = wire.request()
MOST = 16 * 1024


def saying(*parts: bytes) -> Callable[[], Awaitable[bytes]]:
    """A peer that says this, then nothing more; b"" is its end."""
    said = iter(parts)

    async def receive() -> bytes:
        await trio.lowlevel.checkpoint()
        for part in said:
            return part
        await trio.sleep_forever()
        raise AssertionError

    return receive


def arrivals(draining: trio.Event | None = None) -> Arrivals:
    return Arrivals(10.0, trio.Event() if draining is None else draining)


# -- when a head is one ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD,),
        (HEAD + b"and more",),
        tuple(bytes([byte]) for byte in HEAD),
        (HEAD.replace(b"\r\n", b"\n"),),
        (b"\x16\x03\x01",),
        (HEAD[:-2] + b"A: ", b"x" * MOST),
    ],
    ids=["whole", "with more", "in crumbs", "bare line feeds", "no request at all", "too long"],
)
async def test_what_can_be_answered_goes_on(parts: tuple[bytes, ...]) -> None:
    with trio.fail_after(5):
        assert await arrivals().head(saying(*parts), MOST) == b"".join(parts)


@pytest.mark.parametrize("parts", [(), (HEAD[:-2],)], ids=["nothing", "half a head"])
async def test_what_comes_to_nothing_ends(autojump_clock: MockClock, parts: tuple[bytes, ...]) -> None:
    """By the peer, by the deadline, by the worker: before it waits, and while it does."""
    assert await arrivals().head(saying(*parts, b""), MOST) == b""
    began = trio.current_time()
    assert await arrivals().head(saying(*parts), MOST) == b""
    assert 10 <= trio.current_time() - began < 11
    draining = trio.Event()
    here = arrivals(draining)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.head, saying(*parts), MOST)
        await trio.sleep(1)
        draining.set()
    assert await here.head(saying(*parts), MOST) == b""
    assert trio.current_time() - began < 12


# -- others go first ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(HEAD,), (b"",)], ids=["begins", "ends"])
async def test_whoever_is_busy_goes_first(mock_clock: MockClock, parts: tuple[bytes, ...]) -> None:
    order = []
    here = arrivals()

    async def other() -> None:
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        order.append("other")

    async def peer() -> None:
        await here.head(saying(*parts), MOST)
        order.append("peer")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer)
        nursery.start_soon(other)
    assert order == ["other", "peer"]


async def test_but_not_for_ever(mock_clock: MockClock) -> None:
    """The others never rest. The clock stands still but for us."""
    begun = trio.Event()
    here = arrivals()

    async def peer() -> None:
        await here.head(saying(HEAD), MOST)
        begun.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer)
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert not begun.is_set()
        mock_clock.jump(PATIENCE_S)
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert begun.is_set()


async def test_of_many_that_begin_each_has_begun_before_the_next(mock_clock: MockClock) -> None:
    """So what a hundred do in their first turns is not done in the same turns."""
    here = arrivals()
    beginning = 0
    most = 0

    async def peer() -> None:
        nonlocal beginning, most
        await here.head(saying(HEAD), MOST)
        beginning += 1
        most = max(most, beginning)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        beginning -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(peer)
    assert most == 1


async def test_who_comes_does_not_stand_behind_those_who_leave(mock_clock: MockClock) -> None:
    here = arrivals()
    left = 0

    async def leaves() -> None:
        nonlocal left
        await here.head(saying(b""), MOST)
        left += 1

    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(leaves)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        await here.head(saying(HEAD), MOST)
        assert left < 100
        nursery.cancel_scope.cancel()


async def test_where_many_wait_the_last_is_the_first(mock_clock: MockClock) -> None:
    """Those who have waited longest have nearly given up."""
    order = []
    here = arrivals()

    async def peer(number: int) -> None:
        await here.head(saying(HEAD), MOST)
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(peer, number)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
    assert order == [4, 3, 2, 1, 0]


async def test_a_pause_is_as_long_as_what_was_before_it(mock_clock: MockClock) -> None:
    begun = []
    here = arrivals()

    async def peer() -> None:
        await here.head(saying(HEAD), MOST)
        begun.append(trio.current_time())
        mock_clock.jump(0.002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer)
        nursery.start_soon(peer)
        await wait_all_tasks_blocked(0.01)
        assert len(begun) == 1
        mock_clock.jump(0.0019)
        await wait_all_tasks_blocked(0.01)
        assert len(begun) == 1
        mock_clock.jump(0.0002)
    assert begun[1] - begun[0] >= 0.004


async def test_for_a_member_who_came_in_one_pause_is_left_out(mock_clock: MockClock) -> None:
    """The clock stands still but for us: after a pause nobody begins."""
    here = arrivals()
    begun = 0

    async def peer() -> None:
        nonlocal begun
        await here.head(saying(HEAD), MOST)
        begun += 1
        mock_clock.jump(0.001)

    for members, expected in ((0, 1), (2, 3), (1000, WITHOUT_PAUSE + 1)):
        begun = 0
        for _ in range(members):
            here.member_came()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(peer)
            await wait_all_tasks_blocked(0.01)
            assert begun == expected
            nursery.cancel_scope.cancel()
        mock_clock.jump(1)
        await wait_all_tasks_blocked(0.01)


async def test_those_who_are_late_together_do_not_all_wake_at_once(mock_clock: MockClock) -> None:
    here = arrivals()
    woken = 0

    async def receive() -> bytes:
        nonlocal woken
        try:
            await trio.sleep_forever()
        finally:
            woken += 1
        raise AssertionError

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(here.head, receive, MOST)
        await wait_all_tasks_blocked(0.01)
        mock_clock.jump(10)
        most = before = 0
        for _ in range(100):
            await trio.lowlevel.checkpoint()
            most, before = max(most, woken - before), woken
        assert woken == 100
        assert most <= 2 * LATE_A_TURN  # of two turns, where the order of tasks within one differs
        nursery.cancel_scope.cancel()


async def test_nobody_waits_when_all_go(mock_clock: MockClock) -> None:
    draining = trio.Event()
    here = arrivals(draining)
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(here.go_out)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        draining.set()
        for _ in range(100):
            nursery.start_soon(here.go_out)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        assert not nursery.child_tasks


# -- what they cost ----------------------------------------------------------------------------------------------------


def test_who_has_not_asked_for_anything_is_one_task(server: Server, port: int) -> None:
    before = tasks(port)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(wire.connect(port))
            stack.enter_context(wire.connect(port, HEAD[:-2]))
        assert tasks(port) - before <= 40


def tasks(port: int) -> int:
    with wire.connect(port, wire.request(b"/tasks", b"Connection: close")) as peer:
        return int(peer.hear_answer().body)


@pytest.fixture
def rare_looks() -> Iterable[None]:
    """By themselves. As in a worker, but for the size."""
    before = gc.get_threshold()
    gc.set_threshold(2_000, 5, collector.NEVER)
    gc.collect()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("rare_looks")
def test_the_young_do_not_pile_up_where_as_many_end_as_begin() -> None:
    """A thousand connections at a time, each with a hundred objects. By itself Python counts nothing, and then has to look at all."""

    def live(begun: Callable[[], None]) -> int:
        alive = deque([[[0] for _ in range(100)] for _ in range(1000)])
        gc.collect()
        most = 0
        for n in range(1000):
            alive.popleft()
            alive.append([[0] for _ in range(100)])
            begun()
            if n % 50 == 0:
                most = max(most, len(gc.get_objects(generation=0)))
        return most

    assert live(lambda: None) > 50_000
    assert live(collector.Youth().one_more) < 5_000


def test_the_young_are_looked_at_twice_before_they_count_as_old(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(gc, "collect", looks.append)
    youth = collector.Youth()
    for _ in range(4 * collector.CONNECTIONS_A_LOOK):
        youth.one_more()
    assert looks == [0, 1, 0, 1]
