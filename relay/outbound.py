"""The only way out of the relay: HTTPS to addresses that members name, so it trusts none of them (server-side request forgery, CWE-918).

A URL is read strictly, its name is resolved once, every address must be one of the public internet, and the connection goes to the address
that was checked: a name that resolves to something else a moment later changes nothing. No redirect is followed. The whole of it takes
WITHIN_S, and an answer is read up to MOST_BYTES. `allowed_hosts` are exceptions by the operator's word, for a push service in
a network of one's own; TLS they need too.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, NamedTuple

import h11
import trio

log = logging.getLogger("relay.outbound")

WITHIN_S: Final = 5.0
MOST_BYTES: Final = 4096
MOST_URL_LENGTH: Final = 1024
HTTPS_PORT: Final = 443

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a name, as text. Raises OSError."""

# Nothing but what RFC 3986 has for https, in ASCII, without userinfo and fragment. What is not matched is not repaired.
_URL: Final = re.compile(
    r"https://(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>\d{1,5}))?(?P<target>(?:/[!$%&'()*+,\-./0-9:;=@A-Z_a-z~]*)?(?:\?[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]*)?)",
    re.ASCII,
)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# A host whose last label is a number is an IPv4 address in one of its spellings (WHATWG URL, "ends in a number"): 2130706433, 0x7f.1, 127.1.
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII)

# ipaddress calls some of these global, depending on its version. Written down, they hold for all.
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        ),
    )
)  # fmt: skip
_GLOBAL_UNICAST: Final = ipaddress.ip_network(
    "2000::/3"
)  # all that is public in IPv6; mapped and translated IPv4 lies outside


class OutboundRefused(Exception):
    """This URL will not be asked. The message says why, in words for an operator, without the URL."""


class OutboundFailed(Exception):
    """It could not be asked now: no name, no connection, no TLS, no answer in time, or one that is no HTTP."""


class Target(NamedTuple):
    """A URL that was read: host in lower case as it goes into SNI and Host, port, path with query, and whether the operator vouches for it."""

    host: str
    port: int
    path: str
    vouched: bool

    @property
    def origin(self) -> str:
        """As RFC 6454 writes it."""
        return f"https://{self.host}" if self.port == HTTPS_PORT else f"https://{self.host}:{self.port}"


class Reply(NamedTuple):
    """What is taken from an answer: its status, and Retry-After if it is a number of seconds."""

    status: int
    retry_after_s: int | None


async def resolve_with_system(host: str, port: int) -> list[str]:
    """The system's resolver."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class Outbound:
    """Sends POST requests to where members want them.

    `allowed_hosts` are host or host:port, lower case. `resolve` and `tls` are replaced in tests alone.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        *,
        resolve: Resolve = resolve_with_system,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = frozenset(allowed_hosts)
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()

    def read(self, url: str) -> Target:
        """The parts of a URL that may be asked as far as can be said without resolving it.

        Raises:
            OutboundRefused
        """
        match = _URL.fullmatch(url) if len(url) <= MOST_URL_LENGTH else None
        if match is None:
            raise OutboundRefused("not an https URL in its plain spelling")
        host, port = match["host"], int(match["port"] or HTTPS_PORT)
        vouched = f"{host}:{port}" in self._allowed or (host in self._allowed and port == HTTPS_PORT)
        if not vouched:
            if port != HTTPS_PORT:
                raise OutboundRefused("a port other than 443")
            labels = host.split(".")
            if host.startswith("[") or _NUMBER.fullmatch(labels[-1]):
                raise OutboundRefused("an address instead of a name")
            if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
                raise OutboundRefused("not a full host name")
        return Target(host, port, match["target"] or "/", vouched)

    async def check(self, url: str) -> Target:
        """The parts of a URL that may be asked now. Raises OutboundRefused or OutboundFailed."""
        target = self.read(url)
        with trio.move_on_after(WITHIN_S):
            await self._address(target)
            return target
        raise OutboundFailed("the name was not resolved in time")

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Reply:
        """Sends one request, and reads the beginning of its answer. What is in the answer's body is not looked at.

        Raises:
            OutboundRefused: its name leads elsewhere by now.
            OutboundFailed
        """
        with trio.move_on_after(WITHIN_S):
            address = await self._address(target)
            try:
                return await self._ask(target, address, headers, body)
            except (OSError, ssl.SSLError, trio.BrokenResourceError, h11.ProtocolError) as error:
                raise OutboundFailed(type(error).__name__) from None
        raise OutboundFailed("no answer in time")

    async def _address(self, target: Target) -> str:
        """The address to connect to.

        All that a name resolves to must be public: one that is not shows what the name is for.
        """
        try:
            found = await self._resolve(target.host.strip("[]"), target.port)
        except OSError:
            raise OutboundFailed("the name cannot be resolved") from None
        if not found:
            raise OutboundFailed("the name has no address")
        if not target.vouched and not all(is_public(one) for one in found):
            raise OutboundRefused("a name of an address that is not public")
        return found[0]

    async def _ask(self, target: Target, address: str, headers: Mapping[str, str], body: bytes) -> Reply:
        family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
        socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
        try:
            await socket.connect((address, target.port))
            stream = trio.SSLStream(
                trio.SocketStream(socket), self._tls, server_hostname=target.host.strip("[]"), https_compatible=True
            )
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_BYTES)
            host = target.host if target.port == HTTPS_PORT else f"{target.host}:{target.port}"
            sent = [("Host", host), ("Connection", "close"), ("Content-Length", str(len(body))), *headers.items()]
            request = h11.Request(method="POST", target=target.path, headers=sent)
            await stream.send_all(
                b"".join(connection.send(event) or b"" for event in (request, h11.Data(data=body), h11.EndOfMessage()))
            )
            received = 0
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Response):
                    return Reply(event.status_code, _seconds(event.headers))
                if event is h11.NEED_DATA:
                    some = await stream.receive_some(MOST_BYTES)
                    received += len(some)
                    if received > MOST_BYTES:
                        raise OutboundFailed("the answer does not come to its point")
                    connection.receive_data(bytes(some))
                elif not isinstance(event, h11.InformationalResponse):
                    raise OutboundFailed("it closed without an answer")
        finally:
            socket.close()  # nothing of the answer matters any more, and a farewell of TLS could be waited for


def is_public(text: str) -> bool:
    """Whether it is an address of the public internet, in whatever spelling; false for what is no address."""
    try:
        address: Address = ipaddress.ip_address(text)  # refuses IPv6 zones by what follows: they are link-local
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _NEVER if network.version == address.version)


def _seconds(headers: h11._headers.Headers) -> int | None:
    for name, value in headers:
        if name == b"retry-after" and value.isdigit() and len(value) < 9:
            return int(value)
    return None
