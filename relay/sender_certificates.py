"""Sender certificates: what tells a recipient, inside a sealed envelope, which account wrote it.

The relay signs that an account has an identity key; the app puts that inside the encryption; the recipient's libsignal validates the chain up
to the trust root of the invite. The bytes are libsignal's protobuf messages (its `sealed_sender.proto`), written here by hand since
there are two of them and neither has ever changed:

    ServerCertificate { 1: bytes certificate, 2: bytes signature }      signature by the trust root over `certificate`:
        Certificate   { 1: uint32 id, 2: bytes key }
    SenderCertificate { 1: bytes certificate, 2: bytes signature }      signature by the server key over `certificate`:
        Certificate   { 6: string uuid, 2: uint32 device, 3: fixed64 expires, 4: bytes identity_key, 5: bytes signer }

`expires` is in milliseconds since 1970; `signer` is a whole ServerCertificate; keys are 33 bytes. Field 1 of the inner sender
certificate would be a phone number: it is never written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import UUID

from relay.xeddsa_signatures import SIGNATURE_BYTES, sign, verifies

DEVICE: Final = 1
SERVER_KEY_ID: Final = 1  # libsignal keeps a list of revoked ids (0xDEADC357); any other will do
_ROUND_TO_S: Final = 3600

_VARINT, _FIXED64, _BYTES = 0, 1, 2  # protobuf wire types


class IssuedCertificate(NamedTuple):
    """A serialized SenderCertificate, and when it expires in whole seconds since 1970."""

    certificate: bytes
    expires_at: int


class SenderCertificates:
    """Issues sender certificates. `ttl_s` is how long they are valid at most; `wall_clock` gives seconds since 1970."""

    def __init__(
        self, server_key: bytes, server_certificate: bytes, *, ttl_s: int, wall_clock: Callable[[], float]
    ) -> None:
        self._server_key = server_key
        self._server_certificate = server_certificate
        self._ttl_s = ttl_s
        self._wall_clock = wall_clock

    def issue(self, account_id: UUID, identity_key: bytes) -> IssuedCertificate:
        """A certificate for the account, valid for at most `ttl_s` from now."""
        expires_at = _rounded_expiry(int(self._wall_clock()), self._ttl_s)
        certificate = b"".join(
            (
                _bytes_field(6, str(account_id).encode("ascii")),
                _varint_field(2, DEVICE),
                _fixed64_field(3, expires_at * 1000),
                _bytes_field(4, identity_key),
                _bytes_field(5, self._server_certificate),
            )
        )
        return IssuedCertificate(_signed(certificate, self._server_key), expires_at)


def server_certificate(server_public_key: bytes, trust_root_key: bytes) -> bytes:
    """A serialized ServerCertificate: the trust root (private key) vouches for the server's public key (33 bytes)."""
    return _signed(_varint_field(1, SERVER_KEY_ID) + _bytes_field(2, server_public_key), trust_root_key)


def is_certified(certificate: bytes, server_public_key: bytes, trust_root: bytes) -> bool:
    """Whether these bytes are what server_certificate() makes for this server key under this public trust root (33 bytes)."""
    body = _varint_field(1, SERVER_KEY_ID) + _bytes_field(2, server_public_key)
    before = _bytes_field(1, body) + _bytes_field(2, bytes(SIGNATURE_BYTES))[:-SIGNATURE_BYTES]
    signature = certificate[len(before) :]
    return certificate.startswith(before) and verifies(trust_root, body, signature)


def _rounded_expiry(now: int, ttl_s: int) -> int:
    # Recipients see the expiry. To the second it would tell them when the app talked to its relay, and tie together certificates that were
    # shown to different people. A life too short for whole hours is rounded to half of itself instead.
    step = min(_ROUND_TO_S, max(1, ttl_s // 2))
    return (now + ttl_s) // step * step


def _signed(certificate: bytes, private_key: bytes) -> bytes:
    return _bytes_field(1, certificate) + _bytes_field(2, sign(private_key, certificate))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _fixed64_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _FIXED64) + struct.pack("<Q", value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
