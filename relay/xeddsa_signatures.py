"""Signatures as libsignal makes and reads them: XEdDSA over Curve25519 keys.

Specification: "The XEdDSA and VXEdDSA Signature Schemes", sections 2.3 and 3. A public key is serialized as libsignal does it: the byte
0x05 (Curve25519) and the 32 bytes of the key.

libsignal departs from the page in one place. The Ed25519 key behind a Curve25519 private key may have its sign bit set; the specification
negates the private key then, libsignal instead keeps the key and carries the bit in the top bit of the signature. So a signature of
ours (bit always 0) verifies there as it is, and one of theirs verifies here after that bit has been moved back into the key.
"""

from __future__ import annotations

import secrets
from typing import Final

import xeddsa

PRIVATE_KEY_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 33
SIGNATURE_BYTES: Final = 64
_CURVE25519: Final = b"\x05"
_TOP_BIT: Final = 0x80


def make_private_key() -> bytes:
    """A new Curve25519 private key, clamped (RFC 7748 section 5)."""
    key = bytearray(secrets.token_bytes(PRIVATE_KEY_BYTES))
    key[0] &= 0xF8
    key[31] = key[31] & 0x7F | 0x40
    return bytes(key)


def public_key_of(private_key: bytes) -> bytes:
    """The serialized public key (33 bytes) that belongs to `private_key`."""
    return _CURVE25519 + bytes(xeddsa.priv_to_curve25519_pub(private_key))


def sign(private_key: bytes, message: bytes) -> bytes:
    """Signs `message`: 64 bytes, with fresh randomness, so two signatures of one message differ."""
    # The sign bit is forced off, as the specification has it: libsignal then finds 0 in the signature's top bit.
    return bytes(xeddsa.ed25519_priv_sign(xeddsa.priv_force_sign(private_key, False), message))


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is one of `message` under the serialized `public_key`; false for anything malformed."""
    if len(public_key) != PUBLIC_KEY_BYTES or public_key[:1] != _CURVE25519 or len(signature) != SIGNATURE_BYTES:
        return False
    if public_key[-1] & _TOP_BIT:
        return False  # not a reduced u-coordinate: one key would have two spellings
    sign_bit = bool(signature[63] & _TOP_BIT)
    bare = signature[:63] + bytes([signature[63] & ~_TOP_BIT])
    ed25519_key = xeddsa.curve25519_pub_to_ed25519_pub(public_key[1:], sign_bit)
    return bool(xeddsa.ed25519_verify(bare, ed25519_key, message))
