"""No byte and no end of a connection is waited for in vain, whatever was read in between."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from relay.readiness import READ_A_TURN, Readable, more_comes, readable

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def watch(sock: socket.socket) -> Readable:
    return readable(sock.fileno())


async def read(one: Readable, sock: socket.socket, most: int) -> bytes:
    """As relay.edge does it."""
    while True:
        await one.wait()
        try:
            data = sock.recv(most)
        except BlockingIOError:
            one.drained()
            continue
        if len(data) < most:
            one.drained()
        return data


async def has_nothing(one: Readable, sock: socket.socket) -> bool:
    with trio.move_on_after(0.05) as scope:
        await read(one, sock, 8)
    return scope.cancelled_caught


async def test_it_waits_for_what_comes(ends: Ends) -> None:
    ours, theirs = ends
    one = watch(ours)
    assert await has_nothing(one, ours)
    theirs.send(b"abc")
    with trio.fail_after(5):
        assert await read(one, ours, 8) == b"abc"
    assert await has_nothing(one, ours)
    theirs.send(b"def")
    with trio.fail_after(5):
        assert await read(one, ours, 8) == b"def"


async def test_what_was_there_before_is_seen(ends: Ends) -> None:
    ours, theirs = ends
    theirs.send(b"abc")
    with trio.fail_after(5):
        assert await read(watch(ours), ours, 8) == b"abc"


async def test_what_was_left_is_read_without_another_word(ends: Ends) -> None:
    ours, theirs = ends
    one = watch(ours)
    theirs.send(b"abcdef")
    with trio.fail_after(5):
        assert [await read(one, ours, 2) for _ in range(3)] == [b"ab", b"cd", b"ef"]
    assert await has_nothing(one, ours)


@pytest.mark.parametrize("when", ["with the last bytes", "after they were read", "while somebody waits"])
async def test_the_end_is_seen(when: str, ends: Ends) -> None:
    ours, theirs = ends
    one = watch(ours)
    theirs.send(b"abc")
    if when == "with the last bytes":
        theirs.shutdown(socket.SHUT_WR)
    with trio.fail_after(5):
        assert await read(one, ours, 8) == b"abc"
        async with trio.open_nursery() as nursery:
            if when == "after they were read":
                theirs.shutdown(socket.SHUT_WR)

            async def wait() -> None:
                for _ in range(3):  # and as often as somebody asks
                    assert await read(one, ours, 8) == b""

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked(0.01)
            theirs.close()


async def test_closing_wakes_who_waits(ends: Ends) -> None:
    one = watch(ends[0])
    with trio.fail_after(5), pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.wait)
            await trio.testing.wait_all_tasks_blocked()
            one.close()
            ends[0].close()
    one.close()
    with pytest.raises(trio.ClosedResourceError):
        await one.wait()


@pytest.mark.parametrize("what", ["closed", "cancelled"])
async def test_whose_turn_it_is_at_once_may_be_interrupted_all_the_same(what: str, ends: Ends) -> None:
    """Something is left to read, and nobody is before it: it does not queue, but others run before it reads."""
    ours, theirs = ends
    one = watch(ours)
    theirs.send(b"abcdef")
    assert await read(one, ours, 3) == b"abc"
    await trio.testing.wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:

        async def interrupt() -> None:
            if what == "closed":
                one.close()
            else:
                nursery.cancel_scope.cancel()

        async def read_on() -> None:
            if what == "closed":
                with pytest.raises(trio.ClosedResourceError):
                    await one.wait()
            else:
                await one.wait()
                pytest.fail("it was not cancelled")

        nursery.start_soon(read_on)
        nursery.start_soon(interrupt)
    if what == "cancelled":
        with trio.fail_after(5):
            assert await read(one, ours, 8) == b"def"


async def test_a_turn_without_a_queue_is_a_turn(ends: Ends) -> None:
    """Else whoever always has more to read would go before those who wait."""
    ours, theirs = ends
    one = watch(ours)
    theirs.send(b"abcdef")
    assert await read(one, ours, 3) == b"abc"
    await trio.testing.wait_all_tasks_blocked()
    before = one.last_turn
    await one.wait()
    assert one.last_turn > before


async def test_one_waits_at_a_time(ends: Ends) -> None:
    one = watch(ends[0])
    with trio.fail_after(5), pytest.RaisesGroup(trio.BusyResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.wait)
            await trio.testing.wait_all_tasks_blocked()
            await one.wait()
    ends[1].send(b"a")
    with trio.fail_after(5):
        await one.wait()


async def test_a_number_that_is_used_again_is_another_connection() -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    old = watch(ours)
    theirs.send(b"for the old one")
    old.close()
    ours.close()
    ours2, theirs2 = socket.socketpair()
    with theirs, ours2, theirs2:
        assert number in (ours2.fileno(), theirs2.fileno())
        mine, other = (ours2, theirs2) if ours2.fileno() == number else (theirs2, ours2)
        mine.setblocking(False)
        new = watch(mine)
        assert await has_nothing(new, mine)
        other.send(b"abc")
        with trio.fail_after(5):
            assert await read(new, mine, 8) == b"abc"


async def test_more_sockets_than_one_turn_wakes() -> None:
    pairs = [socket.socketpair() for _ in range(300)]
    came = 0

    async def wait(one: Readable) -> None:
        nonlocal came
        await one.wait()
        came += 1

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for ours, _ in pairs:
                nursery.start_soon(wait, watch(ours))
            await trio.testing.wait_all_tasks_blocked()
            for _, theirs in pairs:
                theirs.send(b"a")
    assert came == len(pairs)
    for pair in pairs:
        for end in pair:
            end.close()


async def test_a_turn_is_for_a_few_and_those_who_had_none_for_longest_go_first() -> None:
    pairs = [socket.socketpair() for _ in range(4 * READ_A_TURN)]
    everybody = [watch(ours) for ours, _ in pairs]
    turns: list[list[int]] = []

    async def serve(number: int) -> None:
        ours = pairs[number][0]
        ours.setblocking(False)
        while await read(everybody[number], ours, 8) == b"a":
            turns[-1].append(number)

    async def count_turns() -> None:
        while True:
            turns.append([])
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(len(pairs)):
            nursery.start_soon(serve, number)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(5):
            nursery.start_soon(count_turns)
            rare, busy = list(range(READ_A_TURN)), list(range(READ_A_TURN, len(pairs)))
            for once_more in (busy, busy, [*busy, *rare]):
                served = sum(map(len, turns))
                for number in once_more:
                    pairs[number][1].send(b"a")
                while sum(map(len, turns)) < served + len(once_more):
                    await trio.sleep(0.001)
                    assert not more_comes() or sum(map(len, turns)) < served + len(once_more)
        nursery.cancel_scope.cancel()
    served_in = [turn for turn in turns if turn]
    assert max(map(len, served_in)) <= 2 * READ_A_TURN  # two turns of ours may meet in one of the counter's
    in_order = [number for turn in served_in for number in turn]
    assert sorted(in_order[2 * len(busy) :][: 2 * READ_A_TURN])[:READ_A_TURN] == rare
    for pair in pairs:
        for end in pair:
            end.close()


async def test_more_comes_until_those_who_were_woken_have_run(ends: Ends) -> None:
    """Also when one of them was cancelled meanwhile: else more would come for ever."""
    ours, theirs = ends
    one = watch(ours)
    seen: list[tuple[bool, int]] = []
    came = 0

    async def look_each_turn() -> None:
        while True:
            seen.append((more_comes(), came))
            await trio.lowlevel.checkpoint()

    async def cancel_once_more_comes(scope: trio.CancelScope) -> None:
        while not more_comes():
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_each_turn)
        with trio.fail_after(5):
            for number in range(40):  # in what order tasks have their turns is chance
                theirs.send(b"a")
                with trio.CancelScope() as scope:
                    if number % 2:
                        nursery.start_soon(cancel_once_more_comes, scope)
                    await one.wait()
                assert ours.recv(8) == b"a"
                one.drained()
                came += 1
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert any(more for more, _ in seen)
    assert seen[-1] == (False, 40)


async def test_whoever_has_more_to_read_queues_up_again() -> None:
    """Else those who never stop writing would have every turn, and make it long."""
    pairs = [socket.socketpair() for _ in range(4 * READ_A_TURN)]
    reads, most = 0, 0

    async def serve(ours: socket.socket) -> None:
        nonlocal reads
        ours.setblocking(False)
        one = watch(ours)
        while await read(one, ours, 1):
            reads += 1

    async with trio.open_nursery() as nursery:
        for ours, theirs in pairs:
            theirs.send(bytes(20))
            nursery.start_soon(serve, ours)
        with trio.fail_after(5):
            while reads < 20 * len(pairs):
                before = reads
                await trio.lowlevel.checkpoint()
                most = max(most, reads - before)
        nursery.cancel_scope.cancel()
    assert most <= 2 * READ_A_TURN
    for pair in pairs:
        for end in pair:
            end.close()


@pytest.mark.parametrize("seed", range(5))
async def test_all_of_it_comes_whatever_the_sizes(seed: int, ends: Ends) -> None:
    ours, theirs = ends
    one = watch(ours)
    dice = random.Random(seed)
    sent, came = bytearray(), bytearray()

    async def send() -> None:
        for _ in range(300):
            data = dice.randbytes(dice.choice([1, 7, 64, 1000, 60_000]))
            while data:
                await trio.lowlevel.wait_writable(theirs)
                count = theirs.send(data)
                sent.extend(data[:count])
                data = data[count:]
            for _ in range(dice.choice([0, 0, 1, 5])):
                await trio.lowlevel.checkpoint()
        theirs.close()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while data := await read(one, ours, dice.choice([1, 8, 1000, 65_536])):
                came.extend(data)
                for _ in range(dice.choice([0, 0, 1, 5])):
                    await trio.lowlevel.checkpoint()
    assert came == sent
