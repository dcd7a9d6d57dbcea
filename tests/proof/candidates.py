"""Everything that somebody with the app salt, but without the relay's evaluating key, could compute from a number and look for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s")
SHORTEST = 16
"""Bytes of a hash that are searched for: a truncated hash of that length is found too."""


def writings(number: str) -> Iterator[str]:
    """A number of E.164 as people and programs write it."""
    digits = number.removeprefix("+")
    yield from (number, digits, "00" + digits)


def hashes(number: str, salt: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and value of each hash of each writing, keyed or not, salt before or after, and what our own derivation would make of it."""
    salts = (salt, salt.hex().encode())
    for written in writings(number):
        plain = written.encode()
        mixed = [("plain", plain)]
        for one in salts:
            mixed += [("salt first", one + plain), ("salt last", plain + one)]
        for name in HASHES:
            for what, value in mixed:
                digest = hashlib.new(name, value).digest()
                yield f"{name} {what}", digest
                yield f"{name} twice {what}", hashlib.new(name, digest).digest()
        keyed = [("salt is key", one, plain) for one in salts] + [("number is key", plain, one) for one in salts]
        for name in ("sha1", "sha256", "sha512"):
            for what, key, message in keyed:
                digest = hmac.new(key, message, name).digest()
                yield f"hmac-{name} {what}", digest
                yield f"{name} of hmac-{name} {what}", hashlib.new(name, digest).digest()
                yield from _derived(f"hmac-{name} {what}", digest)
        yield from _derived("the number", plain)


def _derived(what: str, key: bytes) -> Iterator[tuple[str, bytes]]:
    """As our app derives what it registers, from something that can be computed without the relay."""
    for info, size in ((b"sottovoce phone token v1", 32), (b"sottovoce number access key v1", 16)):
        derived = hkdf_sha256(key, info, size)
        yield f"our derivation of {what}", derived
        yield f"sha256 of our derivation of {what}", hashlib.sha256(derived).digest()


def hkdf_sha256(key: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 without salt, up to 32 bytes."""
    extracted = hmac.new(bytes(32), key, "sha256").digest()
    return hmac.new(extracted, info + b"\x01", "sha256").digest()[:size]
