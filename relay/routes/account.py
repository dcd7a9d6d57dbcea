"""Identified lane: registering, one's own account, the sender certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import Field, model_validator
from quart import Blueprint

from relay.accounts import AccessChange, Registration
from relay.errors import BadInvite, BadRecovery, BadSignature, NumberTaken
from relay.frames import B64
from relay.prekeys import PrekeyUpload
from relay.routes.http import MAX_BODY_BYTES, Asked, Call, Lane, Message, blueprint_of
from relay.routes.models import (
    EcPublicKey,
    Hash,
    KyberPrekey,
    KyberPrekeys,
    Prekeys,
    RecoveryCode,
    RegistrationId,
    SignedPrekey,
)
from relay.services import Services


class NewAccess(Message):
    contact: Hash
    number: Hash | None = None


class Registering(Message):
    token_hash: Hash
    recovery_hash: Hash
    phone_token: Hash | None = None
    identity_key: EcPublicKey
    registration_id: RegistrationId
    signed_prekey: SignedPrekey
    last_resort_kyber_prekey: KyberPrekey
    prekeys: Prekeys
    kyber_prekeys: KyberPrekeys
    access: NewAccess


class Recovering(Message):
    """`account_id` or `phone_token` names the account, one of them. The rest replaces what the old phone had."""

    account_id: UUID | None = None
    phone_token: Hash | None = None
    recovery_code: RecoveryCode
    token_hash: Hash
    recovery_hash: Hash
    identity_key: EcPublicKey
    registration_id: RegistrationId
    signed_prekey: SignedPrekey
    last_resort_kyber_prekey: KyberPrekey
    prekeys: Prekeys
    kyber_prekeys: KyberPrekeys
    access: NewAccess

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.account_id is None) is (self.phone_token is None):
            raise ValueError("either account_id or phone_token")
        return self


class Registered(Message):
    account_id: UUID


class AccessHeld(Message):
    contact: bool
    number: bool


class AccountHeld(Message):
    account_id: UUID
    identity_key: EcPublicKey
    registration_id: int
    phone_token: Hash | None
    access: AccessHeld
    recoveries: int
    push: bool
    registered_on: date
    last_session_on: date | None
    prekeys: int
    kyber_prekeys: int
    waiting_envelopes: int
    waiting_bytes: int
    waiting_signals: int
    sessions: int
    mailbox_was_full: bool
    allowances: dict[str, int]
    registration_kept_until: int | None


class AccessChanging(Message):
    """`contact` cannot be null: an account is always open to contacts. What is not in the body stays as it is."""

    contact: Hash = b""
    number: Hash | None = None


class Certificate(Message):
    certificate: Annotated[bytes, B64()]
    expires_at: Annotated[int, Field(ge=0)]


async def register(services: Services, asked: Asked[str, Registering]) -> Registered:
    """Registers a member under an invite. The same again gives the same answer."""
    body = asked.body
    wanted = _registration(body)
    return Registered(account_id=await services.accounts.register(asked.caller, wanted))


async def recover(services: Services, asked: Asked[None, Recovering]) -> Registered:
    """Gives an account to whoever knows its recovery code; a live session of the old token ends with 4401."""
    body = asked.body
    claim = body.account_id if body.account_id is not None else body.phone_token
    assert claim is not None  # the model has seen to it
    account_id = await services.recovery.recover(claim, body.recovery_code, _registration(body))
    await services.account_ended(account_id)
    return Registered(account_id=account_id)


def _registration(body: Registering | Recovering) -> Registration:
    return Registration(
        token_hash=body.token_hash,
        recovery_hash=body.recovery_hash,
        phone_token=body.phone_token,
        identity_key=body.identity_key,
        registration_id=body.registration_id,
        prekeys=PrekeyUpload(
            body.signed_prekey.stored(),
            body.last_resort_kyber_prekey.stored(),
            [key.stored() for key in body.prekeys],
            [key.stored() for key in body.kyber_prekeys],
        ),
        contact_access_hash=body.access.contact,
        number_access_hash=body.access.number,
    )


async def describe(services: Services, asked: Asked[UUID, None]) -> AccountHeld:
    """Everything that the relay holds on the caller, besides the bodies that wait in the mailbox."""
    held = await services.accounts.describe(asked.caller)
    return AccountHeld(
        account_id=held.account_id,
        identity_key=held.identity_key,
        registration_id=held.registration_id,
        phone_token=held.phone_token,
        access=AccessHeld(contact=True, number=held.open_to_number),
        recoveries=held.recoveries,
        push=held.push,
        registered_on=held.registered_on,
        last_session_on=held.last_session_on,
        prekeys=held.prekeys,
        kyber_prekeys=held.kyber_prekeys,
        waiting_envelopes=held.waiting_envelopes,
        waiting_bytes=held.waiting_bytes,
        waiting_signals=held.waiting_signals,
        sessions=held.sessions,
        mailbox_was_full=held.mailbox_was_full,
        allowances=held.allowances,
        registration_kept_until=held.registration_kept_until,
    )


async def delete(services: Services, asked: Asked[UUID, None]) -> None:
    """Deletes the caller's account and all that is stored of it; its live session ends with 4401."""
    await services.accounts.delete(asked.caller)
    await services.account_ended(asked.caller)


async def change_access(services: Services, asked: Asked[UUID, AccessChanging]) -> None:
    """Replaces access keys. What is absent stays; `"number": null` closes the account to strangers."""
    given = asked.body.model_fields_set
    change = AccessChange(
        contact=asked.body.contact if "contact" in given else None,
        changes_number="number" in given,
        number=asked.body.number,
    )
    await services.accounts.change_access(asked.caller, change)


async def certify(services: Services, asked: Asked[UUID, None]) -> Certificate:
    """A certificate that tells recipients, inside the encryption, who is writing."""
    identity_key = await services.accounts.identity_key(asked.caller)
    issued = services.certificates.issue(asked.caller, identity_key)
    return Certificate(certificate=issued.certificate, expires_at=issued.expires_at)


CALLS: Final = (
    Call(
        method="POST",
        path="/v1/accounts",
        lane=Lane.INVITE,
        does=register,
        request=Registering,
        response=Registered,
        status=HTTPStatus.CREATED,
        errors=(BadInvite, NumberTaken, BadSignature),
        max_body_bytes=MAX_BODY_BYTES,
    ),
    Call(
        method="POST",
        path="/v1/accounts/recover",
        lane=Lane.NO_LOGIN,
        does=recover,
        request=Recovering,
        response=Registered,
        errors=(BadRecovery, BadSignature),
        max_body_bytes=MAX_BODY_BYTES,
    ),
    Call(method="GET", path="/v1/account", lane=Lane.BEARER, does=describe, response=AccountHeld),
    Call(method="DELETE", path="/v1/account", lane=Lane.BEARER, does=delete, status=HTTPStatus.NO_CONTENT),
    Call(
        method="PUT",
        path="/v1/account/access",
        lane=Lane.BEARER,
        does=change_access,
        request=AccessChanging,
        status=HTTPStatus.NO_CONTENT,
        max_body_bytes=1024,
    ),
    Call(method="GET", path="/v1/sender-certificate", lane=Lane.BEARER, does=certify, response=Certificate),
)


def blueprint(services: Callable[[], Services]) -> Blueprint:
    return blueprint_of("account", CALLS, services)
