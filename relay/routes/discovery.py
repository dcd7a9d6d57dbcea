"""Finding members by number: the evaluation on the identified lane, the look-up on the anonymous one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field
from quart import Blueprint

from relay.discovery import ELEMENTS_MAX, LOOKUP_TOKENS
from relay.errors import BadRequest
from relay.frames import B64
from relay.oprf import ELEMENT_BYTES, PROOF_BYTES, BadElement
from relay.routes.http import Asked, Call, Lane, Message, blueprint_of
from relay.routes.models import Hash
from relay.services import Services

Element = Annotated[bytes, B64(ELEMENT_BYTES)]
_NULL: Final = len("null")
_WRITTEN_ID: Final = len('"8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01"')


def _all_differ(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("a value occurs twice")
    return values


class Evaluating(Message):
    elements: Annotated[list[Element], Field(min_length=1, max_length=ELEMENTS_MAX)]


class Evaluated(Message):
    evaluated: list[Element]
    proof: Annotated[bytes, B64(PROOF_BYTES)]


class LookingUp(Message):
    tokens: Annotated[
        list[Hash], Field(min_length=LOOKUP_TOKENS, max_length=LOOKUP_TOKENS), AfterValidator(_all_differ)
    ]


class Found(Message):
    """`padding` makes every answer equally long, whatever was found."""

    accounts: list[UUID | None]
    padding: str


async def evaluate(services: Services, asked: Asked[UUID | str, Evaluating]) -> Evaluated:
    """Evaluates the oblivious function (RFC 9497, VOPRF mode, ristretto255-SHA512) on blinded elements, with one proof for all."""
    elements = asked.body.elements
    try:
        if isinstance(asked.caller, UUID):
            done = await services.discovery.evaluate_for_account(asked.caller, elements)
        else:
            done = await services.discovery.evaluate_for_invite(asked.caller, elements)
    except BadElement as error:
        raise BadRequest((f"elements.{error.place}",)) from None
    return Evaluated(evaluated=done.evaluated, proof=done.proof)


async def look_up(services: Services, asked: Asked[None, LookingUp]) -> Found:
    """Tells which of exactly 100 phone tokens belong to accounts that strangers may write to."""
    accounts = await services.discovery.look_up(asked.body.tokens)
    return Found(accounts=accounts, padding="0" * ((_WRITTEN_ID - _NULL) * accounts.count(None)))


CALLS: Final = (
    Call(
        method="POST",
        path="/v1/discovery/evaluate",
        lane=Lane.BEARER_OR_INVITE,
        does=evaluate,
        request=Evaluating,
        response=Evaluated,
        max_body_bytes=8192,
    ),
    Call(
        method="POST",
        path="/v1/discovery/lookup",
        lane=Lane.ANONYMOUS,
        does=look_up,
        request=LookingUp,
        response=Found,
        max_body_bytes=8192,
    ),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("discovery", CALLS, services)
