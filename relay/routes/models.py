"""Keys as they are written in bodies, shared by several calls (docs/protocol.md, sections Registering and Keys)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from relay import prekeys
from relay.frames import B64
from relay.routes.http import Message

LIST_MAX: Final = 100
"""One-time keys of a kind in one call."""

_CURVE25519, _KYBER1024 = 0x05, 0x08  # the first byte of a key, as libsignal serializes it


def _ids_differ(keys: list[Any]) -> list[Any]:
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("an id occurs twice")
    return keys


EcPublicKey = Annotated[bytes, B64(33, first=_CURVE25519)]
KyberPublicKey = Annotated[bytes, B64(1569, first=_KYBER1024)]
Signature = Annotated[bytes, B64(64)]
Hash = Annotated[bytes, B64(32)]
RecoveryCode = Annotated[bytes, B64(32)]
PrekeyId = Annotated[int, Field(ge=1, le=0xFFFFFF)]
RegistrationId = Annotated[int, Field(ge=1, le=0x3FFF)]


class Prekey(Message):
    id: PrekeyId
    public_key: EcPublicKey

    def stored(self) -> prekeys.Prekey:
        return prekeys.Prekey(self.id, self.public_key)


class SignedPrekey(Message):
    id: PrekeyId
    public_key: EcPublicKey
    signature: Signature

    def stored(self) -> prekeys.SignedPrekey:
        return prekeys.SignedPrekey(self.id, self.public_key, self.signature)


class KyberPrekey(Message):
    id: PrekeyId
    public_key: KyberPublicKey
    signature: Signature

    def stored(self) -> prekeys.SignedPrekey:
        return prekeys.SignedPrekey(self.id, self.public_key, self.signature)


Prekeys = Annotated[list[Prekey], Field(max_length=LIST_MAX), AfterValidator(_ids_differ)]
KyberPrekeys = Annotated[list[KyberPrekey], Field(max_length=LIST_MAX), AfterValidator(_ids_differ)]
