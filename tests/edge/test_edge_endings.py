"""How a connection ends: by the app, by a peer that is gone, slow or silent, and never by taking the worker along."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.config import Config
from hypercorn.events import Updated
from hypercorn.trio.worker_context import WorkerContext

from relay import edge
from tests.edge import wire
from tests.edge.server import Server, serve
from tests.edge.wire import CLOSE, TEXT, frame

SMALL = 4096  # of a receive buffer: the relay's writes stand still soon


# -- the app ends it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [(b"/raise", 1011), (b"/return", 1011), (b"/raise-after-close", 4409)],
    ids=["raised", "returned without closing", "closed and then raised"],
)
def test_an_ending_that_the_app_did_not_choose_is_an_internal_error(port: int, path: bytes, code: int) -> None:
    with wire.websocket(port, path) as peer:
        peer.say(frame(TEXT, b"go"))
        assert peer.hear_close() == code
        assert peer.hear_end()


def test_an_app_that_ends_with_a_full_inbox_ends_the_connection(port: int, noted: Callable[[str], None]) -> None:
    with wire.websocket(port, b"/deaf") as peer:
        peer.say(frame(TEXT, b"nobody listens") * 100)
        assert peer.hear_close() == 1011
        assert peer.hear_end()
    noted("deaf ended")


def test_a_connection_is_not_reset_while_its_last_word_is_under_way(port: int) -> None:
    """A close with unread data is a reset, and a reset can overtake a close frame. The relay lingers for a second, so
    what the peer says meanwhile is no error. Three attempts, for a machine that takes more than that second."""
    for _ in range(3):
        with wire.websocket(port) as peer:
            peer.say(frame(wire.BINARY, bytes(30_000)) + bytes(100_000))
            assert peer.hear_close() == 1009
            try:
                for _ in range(3):
                    time.sleep(0.1)
                    peer.say(b"too late")
            except ConnectionError:
                continue
            return
    pytest.fail("the connection was reset")


async def test_the_end_waits_for_a_write() -> None:
    """The end of sending goes through the same lock; the two at once are a BusyResourceError."""
    connection, theirs = a_connection()
    received = b""
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(connection.write, bytes(1 << 22))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(connection._hang_up)
        await trio.testing.wait_all_tasks_blocked()
        async for data in theirs:
            received += data
    assert len(received) == 1 << 22


async def test_no_clock_starts_once_the_peer_has_left() -> None:
    """A response can be finished after the reader is; a clock that starts then would hold the socket until it rings."""
    connection, theirs = a_connection()
    async with theirs:
        connection._read_to_end = True
        await connection.protocol_send(Updated(idle=True))
        assert connection.idle_task._handle is None


def a_connection() -> tuple[edge.FencedConnection, trio.SocketStream]:
    """A connection with nobody behind it, and its other end."""
    ours, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair())
    here = edge.Edge(edge.EdgeSettings(), trio.Event(), trio.Semaphore(1))
    parts: tuple[Any, ...] = (None, Config(), WorkerContext(None), {}, ours)
    return edge.FencedConnection(here, *parts), theirs


# -- the peer does not read --------------------------------------------------------------------------------------------


def test_a_slow_reader_is_cut_off_and_the_app_hears_why(port: int, noted: Callable[[str], None]) -> None:
    with wire.websocket(port, b"/flood", receive_buffer=SMALL) as peer:
        noted("SlowReader")
        assert not peer.hear_end()


def test_a_send_can_be_cancelled_and_then_the_connection_is_gone(port: int, noted: Callable[[str], None]) -> None:
    started = time.monotonic()
    with wire.websocket(port, b"/flood-cancelled", receive_buffer=SMALL) as peer:
        noted("cancelled")
        assert time.monotonic() - started < 1.4, "the write deadline came first"
        assert not peer.hear_end()


def test_a_response_that_nobody_reads_is_cut_off_without_noise(server: Server, port: int) -> None:
    before = server.logged()
    with wire.connect(port, wire.request(b"/stream"), receive_buffer=SMALL) as peer:
        time.sleep(2.5)
        assert not peer.hear_end()
    assert server.logged() == before


def test_a_peer_that_closes_without_reading_is_cut_off(server: Server, port: int) -> None:
    with wire.websocket(port, b"/flood", receive_buffer=SMALL) as peer:
        peer.say(frame(CLOSE, wire.close_payload(1000)))
        time.sleep(2.5)
        assert not peer.hear_end()


# -- the peer is gone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("who", ["stubborn", "absent-minded"])
def test_sending_to_nobody_ends_and_does_not_freeze_the_worker(
    port: int, noted: Callable[[str], None], who: str, reset: bool
) -> None:
    with wire.websocket(port, b"/" + who.encode()) as peer:
        peer.hear_frame()
        peer.close(reset=reset)
        noted(f"{who} heard PeerGone")


@pytest.mark.parametrize("reset", [False, True])
def test_a_response_to_nobody_does_not_freeze_the_worker(port: int, reset: bool) -> None:
    with wire.connect(port, wire.request(b"/stream")) as peer:
        peer.hear(100_000)
        peer.close(reset=reset)


def test_ordinary_ends_make_no_noise(server: Server, port: int) -> None:
    """The end of sending must not race with a write: here each peer says goodbye while the relay is writing to it."""
    before = server.logged()
    for _ in range(30):
        with wire.websocket(port, b"/flood", receive_buffer=SMALL) as peer:
            peer.say(frame(wire.PING, b"?") * 20)
            peer.hear_frame()
            peer.say(frame(CLOSE, wire.close_payload(1000)))
            assert peer.hear_close() == 1000
            peer.hear_end()
    assert "connection dropped" not in server.logged().removeprefix(before)
    assert "handler failed" not in server.logged().removeprefix(before)


def test_pings_that_the_operator_asked_for_end_with_the_connection(tmp_path: Path) -> None:
    """Here a ping waits behind a write that comes to nothing."""
    with (
        serve(tmp_path / "log", "--websocket-ping-interval", "1", write_deadline_s=1.5) as server,
        wire.websocket(server.port, b"/flood", receive_buffer=SMALL) as peer,
    ):
        time.sleep(2.5)
        assert not peer.hear_end()
        server.wait_until_logged("SlowReader")  # by the app
        assert server.worker()
        assert "connection dropped" not in server.logged()


# -- the peer does not speak -------------------------------------------------------------------------------------------


def test_a_head_has_a_deadline(port: int) -> None:
    """Five ways to hold a connection without asking for anything. The deadline here is 1.5 s, the keep-alive 60 s."""
    half = wire.request()[:-2]
    with (
        wire.connect(port) as silent,
        wire.connect(port, half) as stuck,
        wire.connect(port) as crumbs,
        wire.connect(port, wire.request()) as second_request,
        wire.connect(port, wire.request() + half) as pipelined,
        wire.websocket(port) as session,
    ):
        assert second_request.hear_answer().status == pipelined.hear_answer().status == 200
        started = time.monotonic()
        second_request.say(half)
        for byte in half:
            crumbs.say_what_fits(bytes([byte]))
            time.sleep(0.05)
        for peer in (silent, stuck, crumbs, second_request, pipelined):
            peer.hear_end()
        assert time.monotonic() - started < 8
        session.say(frame(TEXT, b"sessions are not requests"))
        assert session.hear_frame().payload == b"sessions are not requests"


def test_a_connection_that_is_not_kept_ends_at_once(port: int) -> None:
    with wire.connect(port, wire.request(b"/", b"Connection: close")) as peer:
        assert peer.hear_answer().status == 200
        peer.socket.settimeout(0.8)  # less than the second that it may linger
        assert peer.hear_end()


def test_a_kept_connection_may_be_idle_for_longer(port: int) -> None:
    with wire.connect(port, wire.request()) as peer:
        assert peer.hear_answer().status == 200
        time.sleep(2)
        peer.say(wire.request())
        assert peer.hear_answer().status == 200


# -- there are too many ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def five_seats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("seats") / "log"
    with serve(log, "--keep-alive", "60", max_connections=5, head_deadline_s=60) as server:
        yield server


def test_one_connection_too_many_is_cut_at_once(five_seats: Server) -> None:
    with ExitStack() as stack:
        first, *_ = [take_seat(five_seats.port, stack) for _ in range(5)]
        try:
            with wire.connect(five_seats.port) as sixth:
                assert not sixth.hear_end()
        except ConnectionResetError:
            pass  # before it could even look
        first.say(frame(TEXT, b"unharmed"))
        assert first.hear_frame().payload == b"unharmed"


@pytest.mark.parametrize(
    "sent",
    [b"", wire.request()[:-2], wire.request(), wire.upgrade(), wire.upgrade() + frame(CLOSE)],
    ids=["nothing", "half a head", "a request", "a handshake", "a whole session"],
)
@pytest.mark.parametrize("reset", [False, True])
def test_who_leaves_makes_room_at_once(five_seats: Server, sent: bytes, reset: bool) -> None:
    """However long the deadlines of those who left would have been."""
    peers = [arrive(five_seats.port) for _ in range(5)]
    for peer in peers:
        with suppress(ConnectionError):
            peer.say_what_fits(sent)
    time.sleep(0.1)  # let those that get an answer get it
    for peer in peers:
        peer.close(reset=reset)
    with ExitStack() as stack:
        for _ in range(5):
            take_seat(five_seats.port, stack)


def test_connections_leave_files_for_the_app(tmp_path: Path) -> None:
    with serve(tmp_path / "log", open_files=140) as server, ExitStack() as stack:
        peers = []
        for _ in range(200):
            with suppress(ConnectionError):  # one too many may be cut while it still connects
                peers.append(stack.enter_context(wire.connect(server.port)))
        for peer in peers:
            peer.say_what_fits(wire.request())
        assert sum(is_answered(peer) for peer in peers) <= 12
        assert "accept returned" not in server.logged()  # what trio says when there is no file left for a connection


def arrive(port: int) -> wire.Peer:
    """Connect. Tries again for a while, since those of the test before may still be leaving, and one too many is reset."""
    deadline = time.monotonic() + wire.PATIENCE_S
    while True:
        try:
            return wire.Peer(port)
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def is_answered(peer: wire.Peer) -> bool:
    try:
        return peer.hear_answer().status == 200
    except (ConnectionError, EOFError):
        return False


def take_seat(port: int, stack: ExitStack) -> wire.Peer:
    """Open a session. Tries again for a while, since the relay needs a moment to see that another has left."""
    deadline = time.monotonic() + wire.PATIENCE_S
    while True:
        try:
            return stack.enter_context(wire.websocket(port))
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
