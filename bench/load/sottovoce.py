"""The project's own protocol (docs/protocol.md). The FastAPI peers speak it too."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from bench.load import dialect
from bench.load.dialect import BODY_BYTES, Ids
from bench.load.websocket import Broken, WebSocket, connect


class Sender(dialect.Sender):
    signals_are_answered = True
    """False: answers are those of rings, which nobody here keeps."""
    stamped = False
    """Whether to know when a ring went; to be said before `open`."""

    async def open(self) -> None:
        body = urlsafe_b64encode(os.urandom(BODY_BYTES)).rstrip(b"=").decode()
        rest = f'"to":"{self.person["account"]}","access":"{self.person["access"]}","body":"{body}"'
        self._rest = rest
        self._before, self._after = '{"id":"', '",' + rest + "}"
        self._socket = await connect(
            self.target, "/v1/post", self._on_text, token=None, source=None, stamped=self.stamped
        )

    def post(self, ids: Ids) -> None:
        before, after = self._before, self._after
        envelopes = ",".join([before + id_ + after for id_ in ids])
        self._socket.say(('{"type":"post","envelopes":[' + envelopes + "]}").encode())

    def ring(self, id_: str) -> float:
        """Sends a signal, as calls do. Answers when it was handed over, if that was asked for: seconds since 1970."""
        self._socket.say(f'{{"type":"signal","id":"{id_}",{self._rest},"ttl_s":30}}'.encode())
        return self._socket.handed_over_at

    async def close(self) -> None:
        await self._socket.close()

    def _on_text(self, text: bytes) -> None:
        message = json.loads(text)
        match message["type"]:
            case "posted":
                if self.signals_are_answered:
                    self.on_posted(message["ids"])
            case "ping":
                self._socket.say(b'{"type":"pong","n":%d}' % message["n"])
            case "refused":
                raise Broken(f"refused: {message['code']}")


class Recipient(dialect.Recipient):
    """`on_signal`, if it is set before `open`, gets the id of each signal and when it came, in seconds since 1970. Signals are acknowledged
    like messages."""

    on_signal: Callable[[str, float], None] | None = None
    source: str | None = None

    async def open(self) -> None:
        self.drained = asyncio.get_running_loop().create_future()
        self.socket: WebSocket = await connect(
            self.target,
            "/v1/mailbox",
            self._on_text,
            token=self.person["token"],
            source=self.source,
            stamped=self.on_signal is not None,
        )

    async def close(self) -> None:
        await self.socket.close()

    def _on_text(self, text: bytes) -> None:
        message: dict[str, Any] = json.loads(text)
        match message["type"]:
            case "deliver":
                ids = [envelope["id"] for envelope in message["envelopes"]]
                self.on_delivered(ids)
                self._ack(ids)
            case "signal":
                if self.on_signal is not None:
                    self.on_signal(message["id"], self.socket.arrived_at)
                self._ack([message["id"]])
            case "drained":
                if not self.drained.done():
                    self.drained.set_result(None)
            case "ping":
                self.socket.say(b'{"type":"pong","n":%d}' % message["n"])

    def _ack(self, ids: Ids) -> None:
        self.socket.say(('{"type":"ack","ids":["' + '","'.join(ids) + '"]}').encode())
