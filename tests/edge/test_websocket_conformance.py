"""The cases of the Autobahn test suite (its numbers stand in the names) as raw frames against the echo of tests/edge/hostile_app.py.

Left out: 6.x cases that repeat others byte for byte, 9.x sizes past our limit (they are refused with 1009 by design, 9.0 here), 10.x, and
12.x and 13.x, which are about compression: it is never negotiated (test_edge_heads.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.edge import wire
from tests.edge.server import serve
from tests.edge.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

LIMIT: Final = 98_304


@dataclass(frozen=True)
class Case:
    """What is said, in one piece or byte by byte; what is heard, frames first and then the code of the closing one."""

    say: bytes
    hear: tuple[tuple[int, bytes], ...] = ()
    close: int | None = 1000
    """The code with which it ends. 1000: the peer closes politely at the end and is answered."""
    crumbs: int = 0
    """Bytes a write; 0 is all at once."""
    at_most: bool = False
    """What the app would have said may be missing: the connection failed or closed in the same moment (Autobahn's NON-STRICT)."""


def text(payload: str | bytes, **how: bool) -> bytes:
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **how)


def echoed(payload: str | bytes, opcode: int = TEXT) -> tuple[tuple[int, bytes], ...]:
    return ((opcode, payload.encode() if isinstance(payload, str) else payload),)


def failing(say: bytes, code: int = 1002, hear: tuple[tuple[int, bytes], ...] = ()) -> Case:
    return Case(say, hear, code, at_most=True)


def framing() -> Iterator[tuple[str, Case]]:
    for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536, 65536), 1):
        crumbs = 997 if number == 8 else 0
        yield f"1.1.{number}", Case(frame(TEXT, b"*" * size), echoed(b"*" * size), crumbs=crumbs)
        # An empty binary message reaches the app as None, and the echo says so.
        binary = echoed(b"\xfe" * size, BINARY) if size else echoed("nothing")
        yield f"1.2.{number}", Case(frame(BINARY, b"\xfe" * size), binary, crumbs=crumbs)


def pings() -> Iterator[tuple[str, Case]]:
    yield "2.1", Case(frame(PING), ((PONG, b""),))
    yield "2.2", Case(frame(PING, b"Hello"), ((PONG, b"Hello"),))
    yield "2.3", Case(frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"), ((PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),))
    yield "2.4", Case(frame(PING, b"\xfe" * 125), ((PONG, b"\xfe" * 125),))
    yield "2.5", failing(frame(PING, b"\xfe" * 126))
    yield "2.6", Case(frame(PING, b"\xfe" * 125), ((PONG, b"\xfe" * 125),), crumbs=1)
    yield "2.7", Case(frame(PONG))
    yield "2.8", Case(frame(PONG, b"unsolicited"))
    yield "2.9", Case(frame(PONG, b"unsolicited") + frame(PING, b"p"), ((PONG, b"p"),))
    ten = b"".join(frame(PING, b"%d" % n) for n in range(10))
    yield "2.10", Case(ten, tuple((PONG, b"%d" % n) for n in range(10)))
    yield "2.11", Case(ten, tuple((PONG, b"%d" % n) for n in range(10)), crumbs=1)


def reserved() -> Iterator[tuple[str, Case]]:
    hello = text("Hello")
    yield "3.1", failing(frame(TEXT, b"x", rsv=0x10))
    yield "3.2", failing(hello + frame(TEXT, b"x", rsv=0x20) + frame(PING), hear=echoed("Hello"))
    yield "3.3", failing(hello + frame(TEXT, b"x", rsv=0x30) + frame(PING), hear=echoed("Hello"))
    yield "3.5", failing(frame(BINARY, b"\x00" * 8, rsv=0x50))
    yield "3.6", failing(frame(PING, b"x", rsv=0x60))
    yield "3.7", failing(frame(CLOSE, wire.close_payload(1000), rsv=0x70))
    for number, opcode in enumerate((3, 4, 5, 6, 7), 1):
        after = hello if number > 2 else b""
        heard = echoed("Hello") if number > 2 else ()
        yield f"4.1.{number}", failing(after + frame(opcode, b"x" * (number % 2)) + frame(PING), hear=heard)
        yield f"4.2.{number}", failing(after + frame(opcode + 8, b"x" * (number % 2)) + frame(PING), hear=heard)


def fragments() -> Iterator[tuple[str, Case]]:
    first, last = frame(TEXT, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")
    both = echoed("fragment1fragment2")
    pong = ((PONG, b"ping"),)
    yield "5.1", failing(frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b"))
    yield "5.2", failing(frame(PONG, b"a", fin=False) + frame(CONTINUATION, b"b"))
    yield "5.3", Case(first + last, both)
    yield "5.5", Case(first + last, both, crumbs=1)
    yield "5.6", Case(first + frame(PING, b"ping") + last, pong + both)
    yield "5.8", Case(first + frame(PING, b"ping") + last, pong + both, crumbs=1)
    yield "5.9", failing(frame(CONTINUATION, b"nothing to continue") + text("Hello"))
    yield "5.11", Case(frame(CONTINUATION, b"nothing to continue") + text("Hello"), close=1002, crumbs=1)
    yield "5.12", failing(frame(CONTINUATION, b"nothing to continue", fin=False) + text("Hello"))
    yield "5.15", failing(first + last + frame(CONTINUATION, b"f3", fin=False) + text("f4"), hear=both)
    yield (
        "5.16",
        failing((frame(CONTINUATION, b"f1", fin=False) + text("f2", fin=False) + frame(CONTINUATION, b"f3")) * 2),
    )
    yield "5.17", failing((frame(CONTINUATION, b"f1") + text("f2", fin=False) + frame(CONTINUATION, b"f3")) * 2)
    yield "5.18", failing(first + text("fragment2"))
    many = (
        first
        + frame(CONTINUATION, b"fragment2", fin=False)
        + frame(PING, b"ping")
        + frame(CONTINUATION, b"fragment3", fin=False)
        + frame(CONTINUATION, b"fragment4", fin=False)
        + frame(PING, b"ping")
        + frame(CONTINUATION, b"fragment5")
    )
    yield "5.19", Case(many, pong + pong + echoed("fragment1fragment2fragment3fragment4fragment5"))
    yield "5.20", Case(many, pong + pong + echoed("fragment1fragment2fragment3fragment4fragment5"), crumbs=3)


KOSME = "κόσμε"
VALID = {
    "6.2.1": "Hello-µ@ßöäüàá-UTF-8!!",
    "6.5.1": KOSME,
    "6.7.1": "\x00",
    "6.7.2": "\x80",
    "6.7.3": "\u0800",
    "6.7.4": "\U00010000",
    "6.9.1": "\x7f",
    "6.9.2": "\u07ff",
    "6.9.3": "\uffff",
    "6.9.4": "\U0010ffff",
    "6.11.1": "\ud7ff",
    "6.11.2": "\ue000",
    "6.11.3": "\ufffd",
    "6.11.4": "\U0010ffff",
    "6.22.1": "\ufffe",
    "6.23.1": "\ufdd0\ufdef",
}
INVALID = {
    "6.3.1": KOSME.encode() + b"\xed\xa0\x80edited",
    "6.6.1": b"\xce",
    "6.6.5": KOSME.encode()[:-1],
    "6.8.1": b"\xf8\x88\x80\x80\x80",
    "6.8.2": b"\xfc\x84\x80\x80\x80\x80",
    "6.10.1": b"\xf7\xbf\xbf\xbf",
    "6.10.2": b"\xfb\xbf\xbf\xbf\xbf",
    "6.10.3": b"\xfd\xbf\xbf\xbf\xbf\xbf",
    "6.11.5": b"\xf4\x90\x80\x80",
    "6.12.1": b"\x80",
    "6.12.8": bytes(range(0x80, 0xC0)),
    "6.13.1": b"".join(bytes([lead, 0x20]) for lead in range(0xC0, 0xE0)),
    "6.14.1": b"\xc0",
    "6.14.10": b"\xfd\xbf\xbf\xbf\xbf",
    "6.16.1": b"\xfe",
    "6.16.2": b"\xff",
    "6.17.1": b"\xc0\xaf",
    "6.17.2": b"\xe0\x80\xaf",
    "6.17.5": b"\xfc\x80\x80\x80\x80\xaf",
    "6.18.1": b"\xc1\xbf",
    "6.18.3": b"\xf0\x8f\xbf\xbf",
    "6.19.1": b"\xc0\x80",
    "6.20.1": b"\xed\xa0\x80",
    "6.20.7": b"\xed\xbf\xbf",
    "6.21.1": b"\xed\xa0\x80\xed\xb0\x80",
    "6.21.8": b"\xed\xaf\xbf\xed\xbf\xbf",
}


def utf8() -> Iterator[tuple[str, Case]]:
    yield "6.1.1", Case(frame(TEXT), echoed(""))
    yield "6.1.2", Case(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION), echoed(""))
    for number, valid in VALID.items():
        whole = valid.encode()
        yield number, Case(frame(TEXT, whole), echoed(whole))
        # Every character split over fragments of one byte.
        pieces = [frame(CONTINUATION, whole[n : n + 1], fin=False) for n in range(1, len(whole))]
        split = frame(TEXT, whole[:1], fin=False) + b"".join(pieces) + frame(CONTINUATION)
        yield f"{number} in fragments", Case(split, echoed(whole))
    for number, invalid in INVALID.items():
        yield number, failing(frame(TEXT, invalid), 1007)
        yield (
            f"{number} in fragments",
            failing(frame(TEXT, invalid[:1], fin=False) + frame(CONTINUATION, invalid[1:], fin=True), 1007),
        )


def closing() -> Iterator[tuple[str, Case]]:
    goodbye = frame(CLOSE, wire.close_payload(1000))
    yield "7.1.1", Case(text("Hello") + goodbye, echoed("Hello"), at_most=True)
    yield "7.1.2", Case(goodbye + goodbye)
    yield "7.1.3", Case(goodbye + frame(PING))
    yield "7.1.4", Case(goodbye + text("too late"))
    yield "7.1.5", Case(frame(TEXT, b"f1", fin=False) + goodbye + frame(CONTINUATION, b"f2"))
    yield "7.3.2", failing(frame(CLOSE, b"a"))
    yield "7.3.3", Case(frame(CLOSE, wire.close_payload(1000)))
    yield "7.3.5", Case(frame(CLOSE, wire.close_payload(1000, b"*" * 123)))
    yield "7.3.6", failing(frame(CLOSE, wire.close_payload(1000, b"*" * 124)))
    yield "7.5.1", failing(frame(CLOSE, wire.close_payload(1000, KOSME.encode() + b"\xed\xa0\x80")), 1007)
    for number, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1):
        yield f"7.7.{number}", Case(frame(CLOSE, wire.close_payload(code)), close=code)
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield f"7.9.{number}", failing(frame(CLOSE, wire.close_payload(code)))
    yield "7.13.1", failing(frame(CLOSE, wire.close_payload(5000)))
    yield "7.13.2", failing(frame(CLOSE, wire.close_payload(65535)))


def limits() -> Iterator[tuple[str, Case]]:
    yield "9.0 at the limit", Case(frame(BINARY, b"x" * LIMIT), echoed(b"x" * LIMIT, BINARY))
    yield "9.0 past it", failing(frame(BINARY, b"x" * (LIMIT + 1)), 1009)
    piece = frame(CONTINUATION, b"x" * 4096, fin=False)
    yield "9.3", Case(frame(TEXT, b"x" * 4096, fin=False) + piece * 14 + frame(CONTINUATION), echoed(b"x" * 4096 * 15))
    yield "9.3 past it", failing(frame(TEXT, b"x" * 4096, fin=False) + piece * 30, 1009)
    yield "9.5", Case(text("*" * 60_000), echoed("*" * 60_000), crumbs=64)


CASES = {
    name: case
    for group in (framing, pings, reserved, fragments, utf8, closing, limits)
    for name, case in group()
}  # fmt: skip


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serve(tmp_path_factory.mktemp("conformance") / "log", max_message_bytes=LIMIT) as running:
        yield running.port


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conformance(echo: int, case: Case) -> None:
    with wire.websocket(echo) as peer:
        step = case.crumbs or len(case.say)
        for start in range(0, len(case.say), step):
            peer.say_what_fits(case.say[start : start + step])
        if not case.at_most:
            for opcode, payload in case.hear:
                heard = peer.hear_frame()
                assert (heard.opcode, heard.payload, heard.fin) == (opcode, payload, True)
        if case.close == 1000:
            peer.say_what_fits(frame(CLOSE, wire.close_payload(1000)))
        left = list(case.hear) if case.at_most else []
        while (last := peer.hear_frame()).opcode != CLOSE:
            assert (last.opcode, last.payload) in left, "said more than it was asked"
            left.remove((last.opcode, last.payload))
        assert last.close_code == case.close
        peer.hear_end()


def test_the_table_is_whole() -> None:
    assert len(CASES) > 150
