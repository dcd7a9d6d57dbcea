"""The lean way of WebSocket frames: what is plainly right is read and written here, and wsproto judges everything else.

Almost every frame of a session is one whole text message. Reading it takes one slice and one exclusive or (RFC 6455 section 5.3), which the
websockets package has in C: a hundredth of what wsproto takes. Its rules are not written a second time: a frame that is fragmented, binary,
too large, unmasked, oddly long or in any other way not plain goes to the library unread, and so does all that follows, for the rest of the
connection. No I/O here.
"""

from __future__ import annotations

import struct
from typing import Final

try:
    from websockets.speedups import apply_mask  # in C
except ImportError:  # a platform without a wheel of its own
    from websockets.utils import apply_mask

_TEXT: Final = 0x81  # FIN, no reserved bits, opcode 1 (RFC 6455 section 5.2)
_CONTROL: Final = frozenset((0x88, 0x89, 0x8A))  # close, ping, pong: FIN, no reserved bits
_MASKED: Final = 0x80
_SHORT: Final = 125
_WORD: Final = 126
_LONG: Final = 127


class PlainFrames:
    """Cuts the bytes of one peer into text messages and what the library must judge.

    At most one frame waits here for its end, and only one that fits into `max_message_bytes`.
    """

    __slots__ = ("_held", "_max", "_plain", "_wanted")

    def __init__(self, max_message_bytes: int) -> None:
        self._max = max_message_bytes
        self._held = bytearray()
        self._wanted = 0  # bytes until the frame that is held is whole
        self._plain = True

    def feed(self, data: bytes) -> list[str | bytes]:
        """What `data` completes, in order: a str is a message, bytes are for the library."""
        if not self._plain:
            return [data]
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data = bytes(self._held)
            self._held.clear()
        found: list[str | bytes] = []
        at = 0
        while at < len(data):
            end, key_at = self._extent(data, at)
            if end == 0:
                return self._give_up(found, data[at:])
            if end > len(data):
                self._held += data[at:] if at else data
                self._wanted = end - at
                break
            if data[at] == _TEXT:
                try:
                    start = key_at + 4
                    found.append(apply_mask(data[start:end], data[key_at:start]).decode())
                except UnicodeDecodeError:
                    return self._give_up(found, data[at:])
            else:
                found.append(data[at:end])
            at = end
        return found

    def _give_up(self, found: list[str | bytes], rest: bytes) -> list[str | bytes]:
        self._plain = False
        return [*found, rest]

    def _extent(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the frame at `at` ends (past the data, if it is not whole) and where its masking key is; 0 if it is not plain."""
        first = data[at]
        if first != _TEXT and first not in _CONTROL:
            return 0, 0
        if len(data) - at < 2:
            return at + 2, 0
        size = data[at + 1] - _MASKED
        if size < 0:
            return 0, 0
        key_at = at + 2
        if size > _SHORT:
            if first != _TEXT:
                return 0, 0
            width, least = (2, _SHORT) if size == _WORD else (8, 0xFFFF)
            key_at += width
            if len(data) < key_at:
                return key_at, 0
            size = int.from_bytes(data[at + 2 : key_at], "big")
            if size <= least:
                return 0, 0
        if size > self._max:
            return 0, 0
        return key_at + 4 + size, key_at


def text_frame(text: str) -> bytes:
    """One whole text message as a server sends it: not masked (RFC 6455 section 5.1)."""
    payload = text.encode()
    size = len(payload)
    if size <= _SHORT:
        return bytes((_TEXT, size)) + payload
    if size <= 0xFFFF:
        return struct.pack(">BBH", _TEXT, _WORD, size) + payload
    return struct.pack(">BBQ", _TEXT, _LONG, size) + payload
