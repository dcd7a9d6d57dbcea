"""Web Push as an application server: message encryption (RFC 8291, over RFC 8188) and identification (RFC 8292, VAPID)."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.frames import to_b64

PUBLIC_KEY_BYTES: Final = 65
AUTH_BYTES: Final = 16
PRIVATE_KEY_BYTES: Final = 32
RECORD_SIZE: Final = 4096
TOKEN_TTL_S: Final = 12 * 3600
"""RFC 8292 section 2 allows 24 hours; a clock that is off must not make a token void."""


class Keys(NamedTuple):
    """Of a subscription: the app's public key (P-256, uncompressed, 65 bytes) and its authentication secret (16 bytes)."""

    p256dh: bytes
    auth: bytes


def is_public_key(point: bytes) -> bool:
    """Whether it is an uncompressed point of P-256."""
    try:
        _point(point)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return len(point) == PUBLIC_KEY_BYTES


def encrypt(
    plaintext: bytes, keys: Keys, *, salt: bytes | None = None, sender: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """The body of a push, in content coding aes128gcm, one record. `salt` and `sender` are given in tests alone.

    Raises:
        ValueError: p256dh is not a point of the curve.
    """
    salt = salt or os.urandom(16)
    sender = sender or ec.generate_private_key(ec.SECP256R1())
    ours = sender.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = sender.exchange(ec.ECDH(), _point(keys.p256dh))
    # RFC 8291 section 3.4
    secret = _hkdf(keys.auth, shared, b"WebPush: info\0" + keys.p256dh + ours, 32)
    key = _hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
    # RFC 8188 section 2: header, then the record with its delimiter; 2 marks the last one.
    header = salt + struct.pack("!IB", RECORD_SIZE, len(ours)) + ours
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\2", None)


class Vapid:
    """Says to push services that it is always the same relay that asks. `subject` is an https URL at which its operator can be found."""

    def __init__(self, private_key: bytes, subject: str, *, wall_clock: Callable[[], float]) -> None:
        self._key = ec.derive_private_key(int.from_bytes(private_key), ec.SECP256R1())
        self._subject = subject
        self._wall_clock = wall_clock
        self.public_key = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        """65 bytes; apps give it to their push service when they subscribe."""

    def authorization(self, origin: str) -> str:
        """The value of the Authorization header for the push service at `origin`."""
        claims = {"aud": origin, "exp": int(self._wall_clock()) + TOKEN_TTL_S, "sub": self._subject}
        signed = ".".join(to_b64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        token = f"{signed}.{to_b64(r.to_bytes(32) + s.to_bytes(32))}"
        return f"vapid t={token}, k={to_b64(self.public_key)}"


def make_private_key() -> bytes:
    """A new VAPID key, 32 bytes."""
    return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(PRIVATE_KEY_BYTES)


def _point(encoded: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)
