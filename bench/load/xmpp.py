"""XMPP (RFC 6120, 6121) with stream management (XEP-0198): `posted` is the server's acknowledgement of the stanza."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from typing import Any, cast
from xml.parsers import expat  # reads what a server sends that the bench itself has started

from bench.load import dialect
from bench.load.dialect import BODY_BYTES, Ids
from bench.load.websocket import Broken

DOMAIN = "localhost"
HEAD = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
).encode()
SM = "urn:xmpp:sm:3"
ASK = f"<r xmlns='{SM}'/>".encode()
STANZAS = ("message", "presence", "iq")


class Connection(asyncio.Protocol):
    """A session that is logged in, bound and managed. `messages` and `acknowledged` are called once for each piece of data."""

    def __init__(self) -> None:
        self._top: asyncio.Queue[str] = asyncio.Queue()
        self._opened = False
        self.handled = 0
        self.closing = False
        self.ids: list[str] = []
        self.acknowledged: int | None = None
        self._new_stream()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            asyncio.get_running_loop().call_exception_handler({"message": f"ejabberd hung up ({exc})"})

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._parser.Parse(data, False)
        self.on_data()

    def on_data(self) -> None:
        """Everything that came is parsed."""

    async def login(self, user: str, password: str) -> None:
        self.say(HEAD)
        await self._expect("stream:features")
        plain = b64encode(f"\0{user}\0{password}".encode()).decode()
        auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        self.say(auth.encode())
        await self._expect("success")
        self._new_stream()
        self.say(HEAD)
        await self._expect("stream:features")
        self.say(
            b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
        )
        await self._expect("iq")
        self.say(f"<enable xmlns='{SM}'/>".encode())
        await self._expect("enabled")
        self._opened, self.handled = True, 0

    def acknowledge(self) -> None:
        self.say(f"<a xmlns='{SM}' h='{self.handled}'/>".encode())

    def close(self) -> None:
        self.closing = True
        self.acknowledge()
        self.say(b"</stream:stream>")
        self._transport.close()

    async def _expect(self, name: str) -> None:
        got = await asyncio.wait_for(self._top.get(), 30)
        if got != name:
            raise Broken(f"{got} instead of {name}")

    def _new_stream(self) -> None:
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth != 2 or not self._opened:
            return
        match name:
            case "message":
                if attributes.get("type") == "error":
                    raise Broken("a message came back as an error")
                if "id" in attributes:
                    self.ids.append(attributes["id"])
            case "a":
                self.acknowledged = int(attributes["h"])
            case "r":
                self.acknowledge()

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 1:
            if self._opened:
                self.handled += name in STANZAS
            else:
                self._top.put_nowait(name)


async def connect(target: dict[str, Any], user: str, password: str) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, target["host"], target["port"])
    await connection.login(user, password)
    return connection


class Sender(dialect.Sender):
    async def open(self) -> None:
        self._under_way: list[str] = []
        self._known = 0
        body = b64encode(os.urandom(BODY_BYTES)).decode()
        self._before = f"<message type='chat' to='{self.person['recipient']}@{DOMAIN}' id='".encode()
        self._after = f"'><body>{body}</body></message>".encode()
        self._connection = await connect(self.target, self.person["sender"], self.person["password"])
        self._connection.on_data = self._look  # type: ignore[method-assign]

    def post(self, ids: Ids) -> None:
        self._under_way += ids
        parts = [self._before + id_.encode() + self._after for id_ in ids]
        self._connection.say(b"".join([*parts, ASK]))

    def _look(self) -> None:
        if self._connection.acknowledged is not None:
            new = self._connection.acknowledged - self._known
            self._known += new
            posted, self._under_way = self._under_way[:new], self._under_way[new:]
            if posted:
                self.on_posted(posted)

    async def close(self) -> None:
        self._connection.close()


class Recipient(dialect.Recipient):
    async def open(self) -> None:
        self._connection = await connect(self.target, self.person["recipient"], self.person["password"])
        self._connection.on_data = self._look  # type: ignore[method-assign]
        self._connection.say(b"<presence/>")

    def _look(self) -> None:
        ids, self._connection.ids = self._connection.ids, []
        if ids:
            self.on_delivered(ids)
            self._connection.acknowledge()

    async def close(self) -> None:
        self._connection.close()
