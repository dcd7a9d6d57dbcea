"""The relay from outside, as an app and a browser meet it: one HTTP call or one WebSocket at a time, blocking, every wait bounded.

For the operator's commands, which are no part of a running relay; that never opens a connection this way.
"""

from __future__ import annotations

import http.client
import io
import json
import select
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 1024 * 1024
_NOTICES: Final = ("prekeys_low", "mailbox_was_full")
_SMALL: Final = 16 * 1024
_ANSWER_TO_HEAD_S: Final = 1.0


class ProbeError(Exception):
    """There was no answer, or none that makes sense. The message says what happened."""


class CertificateRefused(ProbeError):
    """TLS was there, and its certificate is not good for this name and time."""


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in lower case, body, and when the TLS certificate ends (None without TLS)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    certificate_ends_at: float | None = None

    def json(self) -> Any:
        """The body, if it is JSON; else None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str | None:
        """The `code` of a problem document (docs/protocol.md, Errors)."""
        document = self.json()
        return document.get("code") if isinstance(document, dict) else None


class Probe:
    """Asks one relay. `url` is its public URL; a path in it stays in front of every path asked."""

    def __init__(self, url: str, *, within_s: float = WITHIN_S) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._within_s = within_s

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One call on a connection of its own; follows no redirect.

        Raises:
            CertificateRefused, ProbeError
        """
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._within_s)
        ends_at = None
        try:
            connection.sock, ends_at = self._connect()
            sent = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
            connection.putrequest(method, self._prefix + path)
            for name, value in {**sent, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders()
            # Whoever is refused by the head alone is answered at once and the connection closed: a body sent into that would reset it, and
            # take the answer along. A proxy that collects bodies first waits for ours instead.
            early = _early_answer(connection.sock) if body is not None and len(body) > _SMALL else b""
            if early:
                response = http.client.HTTPResponse(_Read(early))  # type: ignore[arg-type]
                response.begin()
            else:
                if body is not None:
                    connection.send(body)
                response = connection.getresponse()
            lower = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, lower, response.read(_MOST_BYTES), ends_at)
        except (OSError, http.client.HTTPException) as error:
            raise _in_words(error) from None
        finally:
            connection.close()

    @contextmanager
    def websocket(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[ProbeSocket]:
        """A WebSocket after its handshake.

        Raises:
            ProbeError: the upgrade was refused or not understood.
        """
        try:
            stream, _ = self._connect()
        except OSError as error:
            raise _in_words(error) from None
        try:
            stream.settimeout(self._within_s)
            opened = ProbeSocket(stream)
            default = (self._port == 443) if self._secure else (self._port == 80)
            opened.open(self._host if default else f"{self._host}:{self._port}", self._prefix + path, headers or {})
            yield opened
        finally:
            stream.close()

    def _connect(self) -> tuple[socket.socket, float | None]:
        stream = socket.create_connection((self._host, self._port), timeout=self._within_s)
        if not self._secure:
            return stream, None
        try:
            secured = ssl.create_default_context().wrap_socket(stream, server_hostname=self._host)
        except BaseException:
            stream.close()
            raise
        certificate: Any = secured.getpeercert()
        return secured, ssl.cert_time_to_seconds(certificate["notAfter"])


class ProbeSocket:
    """An open WebSocket that speaks JSON frames. Answers pings of the relay by itself, so that a wait is no silence."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._text = ""
        self._events: Iterator[Any] = iter(())

    def open(self, host: str, target: str, headers: Mapping[str, str]) -> None:
        """The handshake (RFC 6455 section 4)."""
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._send(Request(host=host, target=target, extra_headers=extra))
        event = self._next_event()
        if isinstance(event, RejectConnection):
            raise ProbeError(f"the upgrade was answered with {event.status_code}")
        if not isinstance(event, AcceptConnection):
            raise ProbeError("the upgrade was not answered as one")

    def say(self, frame: Mapping[str, Any]) -> None:
        """Sends one frame.

        Raises:
            ProbeError: the connection is gone.
        """
        self._send(TextMessage(data=json.dumps(frame)))

    def next(self) -> dict[str, Any]:
        """The next frame that is no ping.

        Raises:
            ProbeError: it closed, or nothing came in time.
        """
        while True:
            event = self._next_event()
            if isinstance(event, CloseConnection):
                raise ProbeError(f"the socket was closed with {event.code}")
            if isinstance(event, Ping):
                self._send(event.response())
            if not isinstance(event, TextMessage):
                continue
            self._text += event.data
            if event.message_finished:
                frame: dict[str, Any] = json.loads(self._text)
                self._text = ""
                if frame["type"] != "ping":
                    return frame
                self.say({"type": "pong", "n": frame["n"]})

    def expect(self, type_: str) -> dict[str, Any]:
        """The next frame that is no notice, of this type.

        Raises:
            ProbeError: as `next`, or it has another type.
        """
        frame = self.next()
        while frame["type"] in _NOTICES:
            frame = self.next()
        if frame["type"] != type_:
            raise ProbeError(f"a frame of type {frame['type']} came, not {type_}")
        return frame

    def _send(self, event: Any) -> None:
        try:
            self._stream.sendall(self._connection.send(event))
        except OSError as error:
            raise _in_words(error) from None

    def _next_event(self) -> Any:
        while True:
            with suppress(StopIteration):
                return next(self._events)
            try:
                received = self._stream.recv(65536)
            except OSError as error:
                raise _in_words(error) from None
            if not received:
                raise ProbeError("the connection was closed")
            try:
                self._connection.receive_data(received)
            except Exception as error:
                raise ProbeError(f"what came is no WebSocket ({type(error).__name__})") from None
            self._events = self._connection.events()


class _Read:
    """What was read of a socket, as http.client wants it."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._received)


def _early_answer(stream: socket.socket) -> bytes:
    """What comes before a body was sent; empty when nothing does. That a TLS socket is readable is not enough: it may be a session ticket."""
    received = b""
    stream.setblocking(False)
    try:
        deadline = time.monotonic() + _ANSWER_TO_HEAD_S
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([stream], [], [], left)[0]:
                break
            try:
                some = stream.recv(_MOST_BYTES)
            except (ssl.SSLWantReadError, BlockingIOError):
                continue
            if not some:
                break
            received += some
    finally:
        stream.settimeout(WITHIN_S)
    return received


def _in_words(error: Exception) -> ProbeError:
    match error:
        case ssl.SSLCertVerificationError():
            return CertificateRefused(f"its TLS certificate is refused: {error.verify_message}")
        case TimeoutError():
            return ProbeError("no answer in time")
        case socket.gaierror():
            return ProbeError("its name cannot be resolved")
        case OSError():
            return ProbeError(error.strerror or type(error).__name__)
        case _:
            return ProbeError(f"what came is no HTTP ({type(error).__name__})")
