"""The two socket routes: authenticate (or refuse to), accept, run the session. docs/protocol.md, Sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from quart import Blueprint, websocket
from quart.typing import ResponseReturnValue
from quart.wrappers import Websocket

from nursery_tasks.session import MailboxServices, PostServices, Timing, run_mailbox_session, run_post_session
from relay.errors import Ending, RelayError
from relay.routes.http import problem
from relay.routes.identification import authenticate_member, check_origin, refuse_identified
from relay.services import Services
from relay.switchboard import Switchboard

log = logging.getLogger("relay.sessions")


class QuartPeer:
    """A Quart WebSocket as a session wants it (nursery_tasks.ports.Peer). Errors come from relay/edge.py and relay/direct_websocket.py."""

    def __init__(self, socket: Websocket) -> None:
        self._socket = socket

    async def receive(self) -> str:
        return cast(str, await self._socket.receive())

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)


class SessionServices:
    """What the socket routes need besides the services of every route."""

    def __init__(
        self, mailbox: MailboxServices, post: PostServices, switchboard: Switchboard, timing: Timing, most_sessions: int
    ) -> None:
        self.mailbox = mailbox
        self.post = post
        self.switchboard = switchboard
        self.timing = timing
        self.most_sessions = most_sessions


def socket_routes(services: Callable[[], Services], sessions: Callable[[], SessionServices]) -> Blueprint:
    """The blueprint of `/v1/mailbox` and `/v1/post`."""
    blueprint = Blueprint("sockets", __name__)

    @blueprint.websocket("/v1/mailbox")
    async def mailbox() -> ResponseReturnValue | None:
        try:
            here = services()
            check_origin(websocket.headers, here.settings)
            named = websocket.headers.getlist("Authorization")
            # Of two, who knows which a proxy before us looked at.
            member = await authenticate_member(named[0] if len(named) == 1 else None, here)
            shared = sessions()
        except RelayError as error:
            return problem(error)
        if (peer := await _accept(shared)) is not None:
            ending = await run_mailbox_session(
                peer, member.account_id, shared.mailbox, shared.timing, recoveries=member.recoveries
            )
            log.debug("a mailbox session ended: %s", ending.reason)
        return None

    @blueprint.websocket("/v1/post")
    async def post() -> ResponseReturnValue | None:
        try:
            here = services()
            refuse_identified(websocket.headers)
            check_origin(websocket.headers, here.settings)
            shared = sessions()
        except RelayError as error:
            return problem(error)
        if (peer := await _accept(shared)) is not None:
            ending = await run_post_session(peer, shared.post, shared.timing)
            log.debug("a post session ended: %s", ending.reason)
        return None

    return blueprint


async def _accept(shared: SessionServices) -> QuartPeer | None:
    """Accepts the handshake; None if there is no room, which has been said."""
    socket = cast(Websocket, websocket._get_current_object())  # type: ignore[attr-defined]  # no proxy on the hot path
    await socket.accept()
    socket.headers.clear()  # the bearer token among them: it has been checked, and a session may last for weeks
    if shared.switchboard.sessions < shared.most_sessions:
        return QuartPeer(socket)
    await socket.close(Ending.TOO_MANY.close_code or 0, Ending.TOO_MANY.reason)
    return None
