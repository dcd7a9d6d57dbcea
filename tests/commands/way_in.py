"""What stands before a relay: ends TLS and passes on, well, or with one of the faults that proxies have."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple

import trustme

Head = list[bytes]
"""Lines of a request or of an answer, before the empty one."""


class Fault(NamedTuple):
    """How a proxy goes wrong. `request` may change the head, or give an answer of its own (bytes)."""

    request: Callable[[Head], Head | bytes] = lambda head: head
    answer: Callable[[Head], Head] = lambda head: head


def without(*names: bytes) -> Callable[[Head], Head]:
    return lambda head: [line for line in head if line.partition(b":")[0].lower() not in names]


def says(status: str, *headers: str) -> Callable[[Head], bytes]:
    text = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", ""])
    return lambda _: text.encode()


def _large_is_refused(head: Head) -> Head | bytes:
    for line in head:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and int(value) > 100_000:
            return says("413 Payload Too Large")(head)
    return head


def _clock_ahead(head: Head) -> Head:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    return [b"Date: " + later.encode() if line.lower().startswith(b"date:") else line for line in head]


WELL = Fault()
TAKES_LOGIN_OUT = Fault(without(b"authorization"))
TAKES_ACCESS_KEY_OUT = Fault(without(b"access-key"))
ADDS_LOGIN = Fault(lambda head: [*head, b"Authorization: Basic b3BlcmF0b3I6eA=="])
REFUSES_LARGE = Fault(_large_is_refused)
PASSES_NO_UPGRADE = Fault(without(b"upgrade", b"connection"))
REDIRECTS = Fault(says("301 Moved Permanently", "Location: https://elsewhere.example/"))
REACHES_NOBODY = Fault(says("502 Bad Gateway"))
HAS_ANOTHER_TIME = Fault(answer=_clock_ahead)


class Proxy:
    """Listens on a free port; `fault` can be changed while it runs, `upstream` is where the relay listens."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        self.fault = WELL
        self.upstream: tuple[str, int] = ("127.0.0.1", 1)
        self._listener, self._context = listener, context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            with self._context.wrap_socket(connection, server_side=True) as app:
                head, rest = _read_head(app)
                changed = self.fault.request(head)
                if isinstance(changed, bytes):
                    app.sendall(changed)
                    return
                with socket.create_connection(self.upstream, timeout=30) as relay:
                    relay.sendall(b"\r\n".join([*changed, b"", b""]) + rest)
                    upwards = threading.Thread(target=_copy, args=(app, relay), daemon=True)
                    upwards.start()
                    head, rest = _read_head(relay)
                    app.sendall(b"\r\n".join([*self.fault.answer(head), b"", b""]) + rest)
                    _copy(relay, app)


def _read_head(stream: socket.socket) -> tuple[Head, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        some = stream.recv(65536)
        if not some:
            raise ConnectionError
        received += some
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), rest


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := source.recv(65536):
            target.sendall(some)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(authority: trustme.CA, *, good_for: timedelta = timedelta(days=60)) -> Iterator[Proxy]:
    """A proxy whose certificate for localhost is good for so long."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=datetime.now(UTC) + good_for).configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Proxy(listener, context)
