"""A member as the relay sees one: keys, secrets and the bodies that an app would send."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from relay.accounts import Registration
from relay.frames import to_b64
from relay.prekeys import Prekey, PrekeyUpload, SignedPrekey
from relay.xeddsa_signatures import make_private_key, public_key_of, sign


class Clock:
    """A wall clock that a test turns; whole seconds since 1970 to begin with."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def ec_key() -> bytes:
    return b"\x05" + secrets.token_bytes(32)


def kyber_key() -> bytes:
    return b"\x08" + secrets.token_bytes(1568)


@dataclass
class Member:
    """Private halves and secrets of one member."""

    identity_private: bytes = field(default_factory=make_private_key)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    contact_key: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    number_key: bytes | None = None
    phone_token: bytes | None = None
    account_id: UUID | None = None

    @property
    def identity_key(self) -> bytes:
        return public_key_of(self.identity_private)

    @property
    def bearer(self) -> str:
        return f"Bearer {self.account_id}.{to_b64(self.secret)}"

    def prekeys(self, *ids: int) -> list[Prekey]:
        return [Prekey(number, ec_key()) for number in ids]

    def signed_prekey(self, number: int = 1) -> SignedPrekey:
        key = ec_key()
        return SignedPrekey(number, key, sign(self.identity_private, key))

    def kyber_prekeys(self, *ids: int) -> list[SignedPrekey]:
        keys = [(number, kyber_key()) for number in ids]
        return [SignedPrekey(number, key, sign(self.identity_private, key)) for number, key in keys]

    def upload(self, one_time: int = 3) -> PrekeyUpload:
        """Both standing keys (ids 1) and one-time keys 2, 3, ... of each kind."""
        ids = range(2, 2 + one_time)
        return PrekeyUpload(
            self.signed_prekey(), self.kyber_prekeys(1)[0], self.prekeys(*ids), self.kyber_prekeys(*ids)
        )

    def registration(self, one_time: int = 3) -> Registration:
        return Registration(
            token_hash=sha256(self.secret),
            recovery_hash=sha256(b"recovery"),
            phone_token=self.phone_token,
            identity_key=self.identity_key,
            registration_id=4711,
            prekeys=self.upload(one_time),
            contact_access_hash=sha256(self.contact_key),
            number_access_hash=None if self.number_key is None else sha256(self.number_key),
        )

    def registration_body(self, one_time: int = 3) -> dict[str, Any]:
        """What an app sends to POST /v1/accounts."""
        wanted = self.registration(one_time)
        body: dict[str, Any] = {
            "token_hash": to_b64(wanted.token_hash),
            "recovery_hash": to_b64(wanted.recovery_hash),
            "identity_key": to_b64(wanted.identity_key),
            "registration_id": wanted.registration_id,
            "access": {"contact": to_b64(wanted.contact_access_hash)},
            **upload_body(wanted.prekeys),
        }
        if wanted.phone_token is not None:
            body["phone_token"] = to_b64(wanted.phone_token)
        if wanted.number_access_hash is not None:
            body["access"]["number"] = to_b64(wanted.number_access_hash)
        return body


def key_body(key: Prekey | SignedPrekey) -> dict[str, Any]:
    return {name: value if name == "id" else to_b64(value) for name, value in key._asdict().items()}


def upload_body(upload: PrekeyUpload) -> dict[str, Any]:
    """The keys of a body; a standing key that is None is left out."""
    body: dict[str, Any] = {
        "prekeys": [key_body(key) for key in upload.prekeys],
        "kyber_prekeys": [key_body(key) for key in upload.kyber_prekeys],
    }
    if upload.signed_prekey is not None:
        body["signed_prekey"] = key_body(upload.signed_prekey)
    if upload.last_resort_kyber_prekey is not None:
        body["last_resort_kyber_prekey"] = key_body(upload.last_resort_kyber_prekey)
    return body
