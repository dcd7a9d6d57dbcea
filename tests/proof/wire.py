"""From recorded bytes to requests and frames: HTTP/1.1 (RFC 9112) and WebSockets (RFC 6455), as far as our client speaks them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.proof.recorder import Connection

ANONYMOUS_PATHS = ("/v1/post", "/v1/prekeys/", "/v1/discovery/lookup", "/v1/relay")


class Unreadable(AssertionError):
    """The recording is not what our client sends: the proof cannot vouch for it."""


@dataclass
class Request:
    """One request, with the frames that followed if it was an upgrade."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    frames: list[dict[str, Any]] = field(default_factory=list)
    """JSON frames of the client."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """JSON frames of the relay."""

    @property
    def identified(self) -> bool:
        return "authorization" in self.headers

    @property
    def names_itself(self) -> bool:
        """A recovery says in its body who asks."""
        return self.path == "/v1/accounts/recover"

    @property
    def on_anonymous_lane(self) -> bool:
        return self.path.startswith(ANONYMOUS_PATHS)


def requests_of(connection: Connection) -> list[Request]:
    """All requests of a connection.

    Raises:
        Unreadable: there are bytes that are neither.
    """
    sent, answered = bytes(connection.up), bytes(connection.down)
    requests: list[Request] = []
    while sent:
        (start, headers), sent = _head(sent)
        if start == "":
            break  # cut off when the client was stopped
        try:
            method, path, version = start.split(" ")
        except ValueError:
            raise Unreadable(f"no request line: {start[:60]!r}") from None
        if not version.startswith("HTTP/1.") or "transfer-encoding" in headers:
            raise Unreadable("our client speaks HTTP/1 and sends no chunks")
        (status, told), answered = _head(answered)
        if headers.get("upgrade", "").lower() == "websocket":
            upgraded = " 101 " in f"{status} "
            requests.append(
                Request(method, path, headers, b"", *((frames(sent), frames(answered)) if upgraded else ()))
            )
            break
        length = int(headers.get("content-length", "0"))
        requests.append(Request(method, path, headers, sent[:length]))
        sent, answered = sent[length:], answered[int(told.get("content-length", "0")) :]
    return requests


def _head(data: bytes) -> tuple[tuple[str, dict[str, str]], bytes]:
    """The first line and the headers of what comes next, names in lower case; and the rest. An empty line when it is cut off."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return ("", {}), b""
    lines = head.decode("latin-1").split("\r\n")
    named = (line.partition(":") for line in lines[1:])
    return (lines[0], {name.lower(): value.strip() for name, _, value in named}), rest


def frames(data: bytes) -> list[dict[str, Any]]:
    """The JSON text messages in a stream of frames; one that was cut off at the end is left out.

    Raises:
        Unreadable: fragments, or something else than JSON objects in text frames.
    """
    found = []
    while len(data) >= 2:
        final, opcode, masked, length = data[0] & 0x80, data[0] & 0x0F, data[1] & 0x80, data[1] & 0x7F
        at = 2
        for marker, size in ((126, 2), (127, 8)):
            if length == marker:
                length, at = int.from_bytes(data[at : at + size], "big"), at + size
                break
        mask = data[at : at + 4] if masked else b""
        at += len(mask)
        payload = data[at : at + length]
        if len(payload) < length:
            break
        data = data[at + length :]
        if opcode >= 8:
            continue  # close, ping, pong
        if opcode != 1 or not final:
            raise Unreadable(f"a frame of kind {opcode}")
        if mask:
            keys = (mask * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(length, "big")
        found.append(json.loads(payload))
    return found
