"""Identified lane: credentials for the TURN server that calls go through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field
from quart import Blueprint

from relay.errors import NoTurn
from relay.routes.http import Asked, Call, Lane, Message, blueprint_of
from relay.services import Services


class TurnCredentialsOut(Message):
    username: str
    password: str
    expires_at: Annotated[int, Field(ge=0)]
    urls: list[str]


async def credentials(services: Services, asked: Asked[UUID, None]) -> TurnCredentialsOut:
    """A time-limited credential. An app fetches it ahead, at random times, and never because of a call.

    Two people who minted within seconds of each other would else be a pair that talks.
    """
    await services.accounts.identity_key(asked.caller)  # a token may have outlived its account by a moment
    turn = services.turn
    if turn is None:
        raise NoTurn
    await services.limits.take(asked.caller, turn.minting)
    minted = turn.issue()
    return TurnCredentialsOut(
        username=minted.username, password=minted.password, expires_at=minted.expires_at, urls=list(turn.urls)
    )


CALLS: Final = (
    Call(
        method="POST",
        path="/v1/turn-credentials",
        lane=Lane.BEARER,
        does=credentials,
        response=TurnCredentialsOut,
        errors=(NoTurn,),
    ),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("turn", CALLS, services)
