"""Identified lane: where to knock when mail waits."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field
from quart import Blueprint

from relay.errors import BadEndpoint, NoPush
from relay.frames import B64
from relay.outbound import MOST_URL_LENGTH
from relay.push import Push, Subscription
from relay.routes.http import Asked, Call, Lane, Message, blueprint_of
from relay.services import Services
from relay.web_push import AUTH_BYTES, PUBLIC_KEY_BYTES, Keys


class Subscribing(Message):
    endpoint: Annotated[str, Field(max_length=MOST_URL_LENGTH)]
    p256dh: Annotated[bytes, B64(PUBLIC_KEY_BYTES)]
    auth: Annotated[bytes, B64(AUTH_BYTES)]


async def subscribe(services: Services, asked: Asked[UUID, Subscribing]) -> None:
    """Sets or replaces the caller's push subscription (RFC 8030, 8291)."""
    body = asked.body
    await services.accounts.identity_key(asked.caller)  # a token may have outlived its account by a moment
    await _push(services).subscribe(asked.caller, Subscription(body.endpoint, Keys(body.p256dh, body.auth)))


async def unsubscribe(services: Services, asked: Asked[UUID, None]) -> None:
    """Forgets the caller's push subscription, if there is one."""
    await services.accounts.identity_key(asked.caller)
    await _push(services).unsubscribe(asked.caller)


def _push(services: Services) -> Push:
    if services.push is None:
        raise NoPush
    return services.push


CALLS: Final = (
    Call(
        method="PUT",
        path="/v1/push",
        lane=Lane.BEARER,
        does=subscribe,
        request=Subscribing,
        status=HTTPStatus.NO_CONTENT,
        errors=(NoPush, BadEndpoint),
        max_body_bytes=4096,
    ),
    Call(
        method="DELETE",
        path="/v1/push",
        lane=Lane.BEARER,
        does=unsubscribe,
        status=HTTPStatus.NO_CONTENT,
        errors=(NoPush,),
    ),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("push", CALLS, services)
