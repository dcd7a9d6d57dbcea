"""Identified lane: one's own prekeys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from pydantic import Field
from quart import Blueprint

from relay.errors import BadSignature, TooManyPrekeys
from relay.prekeys import HeldPrekeys, PrekeyUpload
from relay.routes.http import MAX_BODY_BYTES, Asked, Call, Lane, Message, blueprint_of
from relay.routes.models import Hash, KyberPrekey, KyberPrekeys, Prekeys, SignedPrekey
from relay.services import Services


class KeysPut(Message):
    """`replace`: all one-time keys that are left, of both kinds, go before the lists are stored."""

    signed_prekey: SignedPrekey | None = None
    last_resort_kyber_prekey: KyberPrekey | None = None
    prekeys: Prekeys = Field(default_factory=list)
    kyber_prekeys: KyberPrekeys = Field(default_factory=list)
    replace: bool = False


class KeysHeld(Message):
    prekeys: int
    kyber_prekeys: int
    digest: Hash


async def count(services: Services, asked: Asked[UUID, None]) -> KeysHeld:
    """How many one-time keys are left, and a digest of the standing ones."""
    return _answer(await services.prekeys.held(asked.caller))


async def put(services: Services, asked: Asked[UUID, KeysPut]) -> KeysHeld:
    """Uploads prekeys: all of the body is stored, or nothing."""
    body = asked.body
    upload = PrekeyUpload(
        body.signed_prekey.stored() if body.signed_prekey else None,
        body.last_resort_kyber_prekey.stored() if body.last_resort_kyber_prekey else None,
        [key.stored() for key in body.prekeys],
        [key.stored() for key in body.kyber_prekeys],
    )
    return _answer(await services.prekeys.put(asked.caller, upload, replace=body.replace))


def _answer(held: HeldPrekeys) -> KeysHeld:
    return KeysHeld(prekeys=held.prekeys, kyber_prekeys=held.kyber_prekeys, digest=held.digest)


CALLS: Final = (
    Call(method="GET", path="/v1/keys", lane=Lane.BEARER, does=count, response=KeysHeld),
    Call(
        method="PUT",
        path="/v1/keys",
        lane=Lane.BEARER,
        does=put,
        request=KeysPut,
        response=KeysHeld,
        errors=(TooManyPrekeys, BadSignature),
        max_body_bytes=MAX_BODY_BYTES,
    ),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("keys", CALLS, services)
