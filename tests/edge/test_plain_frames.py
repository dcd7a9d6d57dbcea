"""The lean way of frames gives what wsproto alone would give, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping, Pong, TextMessage

from relay.plain_frames import PlainFrames, text_frame
from tests.edge.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, frame

LIMIT = 70_000

SIZES = st.sampled_from([0, 1, 3, 4, 125, 126, 127, 1500, 65535, 65536])
TEXTS = SIZES.map(lambda size: frame(TEXT, ("é" * size).encode()[: size - size % 2]))
RARE = st.sampled_from(
    [
        frame(PING, b"?"), frame(PONG, b"!"), frame(PING), frame(TEXT), frame(BINARY, b"x"), frame(CONTINUATION, b"x"),
        frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", fin=False), frame(TEXT, b"\xff"), frame(TEXT, b"x", rsv=0x40),
        frame(TEXT, b"x", masked=False), frame(PING, b"x" * 126), frame(PING, b"x", fin=False), frame(0x3, b"x"),
        frame(CLOSE, close_payload(1000)), frame(CLOSE, b"x"), b"\x81\xfe\x00\x01" + bytes(4) + b"x",
        b"\x81\xff" + (126).to_bytes(8, "big") + bytes(4) + bytes(126), b"\x81\xff" + b"\xff" * 8, b"\x81\xff" + (1 << 62).to_bytes(8, "big"),
    ]
)  # fmt: skip


class Judge:
    """What wsproto makes of bytes: each message, control frame or end as one thing."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self._library = Connection(ConnectionType.SERVER)
        self._text = ""
        self._over = False

    def message(self, text: str) -> None:
        if not self._over:
            self.heard.append(text)

    def take(self, data: bytes) -> None:
        if self._over:
            return
        self._library.receive_data(data)
        for event in self._library.events():
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                self.heard.append(self._text)
                self._text = ""
        elif isinstance(event, Message):
            self.heard.append(bytes(event.data))
        elif isinstance(event, Ping | Pong):
            self.heard.append((type(event), bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            self.heard.append(event.code)
            self._over = True


@settings(deadline=None, max_examples=150)
@given(
    frames=st.lists(st.one_of(TEXTS, TEXTS, RARE), max_size=6),
    cuts=st.lists(st.integers(0, 200_000), max_size=8),
)
def test_the_lean_way_and_the_library_hear_the_same(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    alone, lean, plain = Judge(), Judge(), PlainFrames(LIMIT)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        alone.take(data[start:end])
        for part in plain.feed(data[start:end]):
            if isinstance(part, str):
                lean.message(part)
            else:
                lean.take(part)
    assert lean.heard == alone.heard


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_text_is_framed_as_the_library_frames_it(size: int) -> None:
    assert text_frame("x" * size) == Connection(ConnectionType.SERVER).send(TextMessage(data="x" * size))


def test_what_does_not_fit_is_not_waited_for() -> None:
    """Its head goes on at once, so that whoever counts can refuse before it has arrived."""
    head = frame(TEXT, b"x" * (LIMIT + 1))[:20]
    assert PlainFrames(LIMIT).feed(head) == [head]


def test_whole_texts_need_no_library() -> None:
    """Or all of this would be for nothing."""
    plain = PlainFrames(LIMIT)
    data = frame(TEXT, b"one") + frame(TEXT, b"two" * 500)
    assert plain.feed(data[:5]) == []
    assert plain.feed(data[5:]) == ["one", "two" * 500]
    assert isinstance(plain.feed(frame(PING, b"?"))[0], bytes)
    assert plain.feed(frame(TEXT, b"three")) == ["three"]
