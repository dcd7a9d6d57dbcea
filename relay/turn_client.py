"""A TURN client (RFC 8656) on Trio: allocate, permit, send, receive. For `relay turn-check` and tests; no media goes through here."""

from __future__ import annotations

import contextlib
import re
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, NamedTuple

import trio

from relay.stun import (
    HEADER_BYTES,
    REQUESTED_IPV6,
    REQUESTED_UDP,
    TRANSACTION_ID_BYTES,
    Address,
    Attribute,
    Credentials,
    Kind,
    Message,
    Method,
    NotStun,
    encode,
    parse,
    written_address,
)

_RESEND_S: Final = (0.5, 1.0, 2.0)  # RFC 8489 section 6.2.1 goes on for 39 s; somebody is waiting for this answer
_DEFAULT_PORT: Final = 3478
_URI = re.compile(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?")


class TurnError(Exception):
    """The server said no: `code` is a STUN error code (RFC 8656 section 20), `reason` its own words."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class TurnUnreachable(Exception):
    """No answer came, or the connection was refused."""


class TurnServer(NamedTuple):
    """A `turn:` URI (RFC 7065) taken apart."""

    host: str
    port: int
    transport: str
    """`udp` or `tcp`: how the client talks to the server."""
    secure: bool


def read_uri(uri: str) -> TurnServer:
    """Raises ValueError for what is none."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError("not a turn: URI")
    scheme, host, port, transport = match.groups()
    return TurnServer(host.strip("[]"), int(port or _DEFAULT_PORT), transport or "udp", scheme == "turns")


class TurnAllocation:
    """One allocation. Not for several tasks at once: a request reads until its answer has come."""

    def __init__(self, stream: trio.SocketStream | None, sock: trio.socket.SocketType) -> None:
        self._stream = stream
        self._socket = sock
        self._buffer = bytearray()
        self._arrived: list[tuple[Address, bytes]] = []
        self._credentials: Credentials | None = None
        self.relayed: Address = ("", 0)
        """Where others reach this allocation."""

    async def is_answered(self) -> bool:
        """Whether a TURN server is there that asks for credentials. Leaves nothing behind at the server. Raises TurnUnreachable."""
        return (await self._ask(Method.ALLOCATE, [(Attribute.REQUESTED_TRANSPORT, REQUESTED_UDP)])).error_code == 401

    async def allocate(self, username: str, password: str, *, ipv6: bool = False) -> None:
        """Makes the allocation (RFC 8656 section 7): first without credentials, to learn realm and nonce.

        Raises:
            TurnError, TurnUnreachable
        """
        attributes = [(Attribute.REQUESTED_TRANSPORT, REQUESTED_UDP)]
        if ipv6:
            attributes.append((Attribute.REQUESTED_ADDRESS_FAMILY, REQUESTED_IPV6))
        challenge = await self._ask(Method.ALLOCATE, attributes)
        if challenge.kind is Kind.ERROR and challenge.error_code == 401:
            nonce = challenge.attributes.get(Attribute.NONCE, b"")
            self._credentials = Credentials(username, password, challenge.text(Attribute.REALM), nonce)
            challenge = await self._ask(Method.ALLOCATE, attributes)
        answer = _or_raise(challenge)
        self.relayed = answer.address(Attribute.XOR_RELAYED_ADDRESS) or ("", 0)

    async def permit(self, peer: Address) -> None:
        """Lets datagrams of this host through, in both directions (RFC 8656 section 9). Raises TurnError, TurnUnreachable."""
        transaction_id = secrets.token_bytes(TRANSACTION_ID_BYTES)
        attributes = [(Attribute.XOR_PEER_ADDRESS, written_address(peer, transaction_id))]
        _or_raise(await self._ask(Method.CREATE_PERMISSION, attributes, transaction_id))

    async def bind_channel(self, peer: Address, channel: int = 0x4000) -> None:
        """Binds a channel (RFC 8656 section 12), which makes a permission too. Raises TurnError, TurnUnreachable."""
        transaction_id = secrets.token_bytes(TRANSACTION_ID_BYTES)
        attributes = [
            (Attribute.CHANNEL_NUMBER, struct.pack(">HH", channel, 0)),
            (Attribute.XOR_PEER_ADDRESS, written_address(peer, transaction_id)),
        ]
        _or_raise(await self._ask(Method.CHANNEL_BIND, attributes, transaction_id))

    async def send(self, peer: Address, data: bytes) -> None:
        """A Send indication: nobody answers it, and without a permission it is dropped (RFC 8656 section 11)."""
        transaction_id = secrets.token_bytes(TRANSACTION_ID_BYTES)
        attributes = [
            (Attribute.XOR_PEER_ADDRESS, written_address(peer, transaction_id)),
            (Attribute.DATA, data),
        ]
        await self._write(encode(Kind.INDICATION, Method.SEND, transaction_id, attributes))

    async def receive(self) -> tuple[Address, bytes]:
        """The next datagram that came through, and from where. Waits for ever. Raises TurnUnreachable when the connection ends."""
        while not self._arrived:
            self._take(await self._read())
        return self._arrived.pop(0)

    async def release(self) -> None:
        """Gives the allocation back; without this it would count against quotas until it expires."""
        with trio.move_on_after(1):
            await self._ask(Method.REFRESH, [(Attribute.LIFETIME, struct.pack(">I", 0))])

    async def _ask(
        self, method: Method, attributes: list[tuple[Attribute, bytes]], transaction_id: bytes | None = None
    ) -> Message:
        """One transaction, and a second one when only the nonce was stale (438)."""
        answer = await self._transact(method, attributes, transaction_id or secrets.token_bytes(TRANSACTION_ID_BYTES))
        if answer.error_code == 438 and self._credentials is not None:
            self._credentials = replace(self._credentials, nonce=answer.attributes.get(Attribute.NONCE, b""))
            answer = await self._transact(method, attributes, transaction_id or secrets.token_bytes(12))
        return answer

    async def _transact(
        self, method: Method, attributes: list[tuple[Attribute, bytes]], transaction_id: bytes
    ) -> Message:
        request = encode(Kind.REQUEST, method, transaction_id, attributes, self._credentials)
        for wait_s in _RESEND_S if self._stream is None else (sum(_RESEND_S),):
            try:
                await self._write(request)
                with trio.move_on_after(wait_s):
                    while True:
                        message = await self._read()
                        if message.transaction_id == transaction_id and message.kind in (Kind.SUCCESS, Kind.ERROR):
                            return message
                        self._take(message)
            except (OSError, trio.BrokenResourceError):
                raise TurnUnreachable("the server refused the connection or ended it") from None
        raise TurnUnreachable(f"no answer within {sum(_RESEND_S):g} s")

    def _take(self, message: Message) -> None:
        peer, data = message.address(Attribute.XOR_PEER_ADDRESS), message.attributes.get(Attribute.DATA)
        if message.method == Method.DATA and peer is not None and data is not None:
            self._arrived.append((peer, data))

    async def _write(self, message: bytes) -> None:
        if self._stream is not None:
            await self._stream.send_all(message)
        else:
            await self._socket.send(message)

    async def _read(self) -> Message:
        while True:
            try:
                return parse(await self._read_bytes())
            except NotStun:
                continue

    async def _read_bytes(self) -> bytes:
        if self._stream is None:
            return await self._socket.recv(65536)
        while True:  # over TCP a message is as long as its header says (RFC 8656 section 3.4)
            whole = HEADER_BYTES + int.from_bytes(self._buffer[2:4]) if len(self._buffer) >= 4 else HEADER_BYTES
            if len(self._buffer) >= whole:
                message, self._buffer = bytes(self._buffer[:whole]), self._buffer[whole:]
                return message
            chunk = await self._stream.receive_some()
            if not chunk:
                raise TurnUnreachable("the server ended the connection")
            self._buffer += chunk


@asynccontextmanager
async def connect(server: TurnServer) -> AsyncIterator[TurnAllocation]:
    """A client without an allocation yet; it is released at the end.

    Raises:
        TurnUnreachable: no such host, or nobody listens there.
    """
    try:
        kind = trio.socket.SOCK_DGRAM if server.transport == "udp" else trio.socket.SOCK_STREAM
        (family, _, _, _, address), *_ = await trio.socket.getaddrinfo(server.host, server.port, type=kind)
    except OSError:
        raise TurnUnreachable(f"the name {server.host} leads nowhere") from None
    sock = trio.socket.socket(family, kind)
    try:
        with trio.move_on_after(sum(_RESEND_S)) as patience:
            await sock.connect(address)
        if patience.cancelled_caught:
            raise TurnUnreachable(f"nobody answered at port {server.port}")
    except OSError as error:
        sock.close()
        raise TurnUnreachable(f"port {server.port}: {error.strerror}") from None
    with sock:
        allocation = TurnAllocation(trio.SocketStream(sock) if server.transport == "tcp" else None, sock)
        try:
            yield allocation
        finally:
            if allocation.relayed[0]:
                with trio.move_on_after(1, shield=True):
                    # What it would have been given back to may be gone.
                    with contextlib.suppress(TurnUnreachable, trio.BrokenResourceError, OSError):
                        await allocation.release()


def _or_raise(answer: Message) -> Message:
    if answer.kind is Kind.ERROR:
        reason = answer.attributes.get(Attribute.ERROR_CODE, b"")[4:].decode(errors="replace")
        raise TurnError(answer.error_code or 500, reason)
    return answer
