"""WebSocket frames: RFC 6455 stays complete behind the fences, and a message has a size."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Data, Request, StreamClosed

from relay.edge_websocket import MESSAGES_A_TURN, FencedWebSocket
from relay.errors import PeerGone
from tests.edge import wire
from tests.edge.conftest import LIMITS
from tests.edge.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

LIMIT = int(LIMITS["max_message_bytes"])

BROKEN = {
    "unmasked": (frame(TEXT, b"hi", masked=False), 1002),
    "reserved opcode": (frame(0x3, b"x"), 1002),
    "reserved control opcode": (frame(0xB, b"x"), 1002),
    "RSV1": (frame(TEXT, b"x", rsv=0x40), 1002),
    "RSV2": (frame(TEXT, b"x", rsv=0x20), 1002),
    "RSV3": (frame(TEXT, b"x", rsv=0x10), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "text inside text": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "length not minimal": (b"\x81\xfe\x00\x01" + bytes(4) + b"x", 1002),
    "length with its top bit": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
    "text that is not UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "text that ends inside a character": (frame(TEXT, "é".encode()[:1]), 1007),
    "text with a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "close of one byte": (frame(CLOSE, b"x"), 1002),
    "close with code 1": (frame(CLOSE, wire.close_payload(1)), 1002),
    "close with code 1005": (frame(CLOSE, wire.close_payload(1005)), 1002),
    "close with code 5000": (frame(CLOSE, wire.close_payload(5000)), 1002),
    "close with a reason that is not UTF-8": (frame(CLOSE, wire.close_payload(1000, b"\xff")), 1007),
    "noise": (b"\xff" * 4000, 1002),
}


@pytest.mark.parametrize(("sent", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_is_answered_and_is_the_last(port: int, sent: bytes, code: int) -> None:
    with wire.websocket(port) as peer:
        peer.say(sent + frame(TEXT, b"never echoed"))
        heard = peer.hear_frame()
        assert (heard.opcode, heard.close_code, heard.payload[2:]) == (CLOSE, code, b"")
        assert peer.hear_end()


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (wire.close_payload(1000), 1000),
        (wire.close_payload(1001, b"bye"), 1001),
        (wire.close_payload(4999), 4999),
        (b"", None),
    ],
)
def test_a_close_is_answered_with_the_same_code(port: int, sent: bytes, echoed: int | None) -> None:
    with wire.websocket(port) as peer:
        peer.say(frame(CLOSE, sent) + frame(TEXT, b"too late") * 5)
        heard = peer.hear_frame()
        assert (heard.opcode, heard.close_code) == (CLOSE, echoed)
        assert peer.hear_end()


def test_control_frames_may_come_between_fragments(port: int) -> None:
    with wire.websocket(port) as peer:
        peer.say(frame(TEXT, b"one ", fin=False) + frame(PING, b"?") + frame(PONG, b"!") + frame(CONTINUATION, b"two"))
        assert peer.hear_frame() == (PONG, b"?", True)
        assert peer.hear_frame() == (TEXT, b"one two", True)


def test_a_character_may_be_split_between_fragments(port: int) -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    with wire.websocket(port) as peer:
        peer.say(frame(TEXT, first, fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, second))
        assert peer.hear_frame() == (TEXT, "é".encode(), True)


def test_empty_messages_reach_the_app(port: int) -> None:
    with wire.websocket(port) as peer:
        peer.say(frame(BINARY) + frame(TEXT))
        assert peer.hear_frame() == (TEXT, b"nothing", True)
        assert peer.hear_frame() == (TEXT, b"", True)


# -- size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_the_limit_passes(port: int, opcode: int) -> None:
    with wire.websocket(port) as peer:
        peer.say(frame(opcode, b"x" * LIMIT))
        assert peer.hear_frame() == (opcode, b"x" * LIMIT, True)
        half = LIMIT // 2
        peer.say(frame(opcode, b"y" * half, fin=False) + frame(CONTINUATION, b"z" * (LIMIT - half)))
        assert len(peer.hear_frame().payload) == LIMIT


TOO_LARGE = {
    "one frame": frame(BINARY, b"x" * (LIMIT + 1)),
    "text": frame(TEXT, b"x" * (LIMIT + 1)),
    "text, few characters": frame(TEXT, "é".encode() * (LIMIT // 2 + 1)),
    "two fragments": frame(BINARY, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"y"),
    "many fragments": frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"yz", fin=False) * (LIMIT // 2),
    "empty fragments": frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * LIMIT,
}


@pytest.mark.parametrize("sent", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_larger_one_is_refused_and_nothing_after_it_is_read(port: int, sent: bytes) -> None:
    with wire.websocket(port) as peer:
        peer.say_what_fits(sent + frame(PING, b"?"))
        heard = peer.hear_frame()
        assert (heard.opcode, heard.close_code) == (CLOSE, 1009)
        with pytest.raises((EOFError, ConnectionError)):
            peer.hear(1)


def test_a_peer_that_pumps_is_cut_off(port: int) -> None:
    """It gets rid of what the kernel buffers, and of the one mebibyte that is thrown away while it may read the 1009."""
    with wire.websocket(port) as peer:
        peer.say(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 27:
                sent += peer.socket.send(bytes(65536))
        assert sent < 1 << 25


# -- without a network ---------------------------------------------------------------------------------------------------


class App:
    async def spawn_app(self, *args: Any) -> Any:
        return self.hear

    async def hear(self, event: Any) -> None:
        pass


class Connection:
    """Brings these bytes, and then its end."""

    def __init__(self, *reads: bytes) -> None:
        self.reads = [*reads, b""]
        self.has_ended = False

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.reads.pop(0)

    async def ended(self) -> None:
        await trio.lowlevel.checkpoint()
        self.has_ended = True

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    def write_at_once(self, data: bytes) -> int:
        return 0


async def open_socket(connection: Connection) -> FencedWebSocket:
    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        if isinstance(event, StreamClosed):
            await socket.handle(event)

    parts: tuple[Any, ...] = (None, Config(), None, App(), False, None, None, send, 1)
    socket = FencedWebSocket(LIMIT, connection, *parts)
    headers = [(b"connection", b"upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")]
    headers.append((b"sec-websocket-key", wire.KEY))
    await socket.handle(Request(1, headers, "1.1", "GET", b"/", {}))  # type: ignore[arg-type]
    await socket.app_send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    return socket


async def test_what_stands_behind_a_close_is_no_message() -> None:
    text = frame(TEXT, b"hello")
    socket = await open_socket(Connection(text + frame(CLOSE, wire.close_payload(1000)) + text, text))
    assert await socket.receive() == "hello"
    with pytest.raises(PeerGone):
        await socket.receive()


async def test_what_comes_when_the_socket_was_closed_meanwhile_is_no_message() -> None:
    class Late(Connection):
        async def read(self) -> bytes:
            await socket.handle(StreamClosed(1))
            return await super().read()

    socket = await open_socket(Late(frame(TEXT, b"late")))
    with pytest.raises(PeerGone):
        await socket.receive()


async def test_a_peer_that_has_left_waits_for_its_turn_to_go() -> None:
    connection = Connection(frame(TEXT, b"hello"))
    socket = await open_socket(connection)
    assert await socket.receive() == "hello"
    assert not connection.has_ended
    with pytest.raises(PeerGone):
        await socket.receive()
    assert connection.has_ended


# -- fairness ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "sent", "a_turn"),
    [
        (frame(TEXT, b"", fin=False), frame(PONG), 1),
        (frame(TEXT, b"", fin=False), frame(CONTINUATION, b"", fin=False), 1),
        (frame(TEXT, b""), frame(TEXT, b""), MESSAGES_A_TURN),
    ],
    ids=["pongs", "empty fragments", "empty messages"],
)
async def test_a_burst_of_frames_leaves_room_for_others(first: bytes, sent: bytes, a_turn: int) -> None:
    burst = 500
    others_turns = 0

    async def somebody_else() -> None:
        nonlocal others_turns
        while True:
            await trio.lowlevel.checkpoint()
            others_turns += 1

    socket = await open_socket(Connection())
    await socket.handle(Data(1, first + sent * burst))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        with contextlib.suppress(PeerGone):
            while True:
                await socket.receive()
        nursery.cancel_scope.cancel()
    assert burst // (2 * a_turn) < others_turns < 2 * burst // a_turn
