"""Our XEdDSA against libsignal's: theirs verify here (fixed vectors), ours verify there (its Node package)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.xeddsa_signatures import make_private_key, public_key_of, sign, verifies
from tests.identity.libsignal import VECTORS, judge


def _vectors() -> list[dict[str, bytes]]:
    listed: list[dict[str, Any]] = json.loads((VECTORS / "libsignal_signatures.json").read_text())
    return [{name: bytes.fromhex(value) for name, value in one.items()} for one in listed]


def test_signatures_of_libsignal_verify() -> None:
    vectors = _vectors()
    # Half of all keys have the sign bit set; a verifier that forgets about it still takes the other half.
    assert len({one["signature"][63] >> 7 for one in vectors}) == 2
    assert all(verifies(one["public_key"], one["message"], one["signature"]) for one in vectors)


def test_public_keys_are_those_of_libsignal() -> None:
    assert all(public_key_of(one["private_key"]) == one["public_key"] for one in _vectors())


@pytest.mark.parametrize("part", ["public_key", "message", "signature"])
@pytest.mark.parametrize("place", [1, 20, -1])
def test_a_changed_bit_anywhere_does_not_verify(part: str, place: int) -> None:
    for vector in _vectors()[:6]:
        changed = bytearray(vector[part])
        changed[place] ^= 0x10
        assert not verifies(**{**_signed(vector), part: bytes(changed)})


def _signed(vector: dict[str, bytes]) -> dict[str, bytes]:
    return {name: vector[name] for name in ("public_key", "message", "signature")}


@pytest.mark.parametrize(
    ("public_key", "signature"),
    [
        (b"", bytes(64)),
        (bytes(33), bytes(64)),
        (b"\x05" + bytes(32), bytes(64)),  # the point of order two
        (b"\x05" + b"\x01" + bytes(31), bytes(64)),  # of order four
        (b"\x05" + b"\xff" * 32, bytes(64)),
        (b"\x05" + bytes(31), bytes(64)),
        (b"\x05" + bytes(32), bytes(63)),
        (b"\x05" + bytes(32), b"\xff" * 64),
    ],
)
def test_nonsense_does_not_verify(public_key: bytes, signature: bytes) -> None:
    assert not verifies(public_key, b"message", signature)


def test_two_signatures_of_one_message_differ_and_both_verify() -> None:
    key = make_private_key()
    first, second = sign(key, b"message"), sign(key, b"message")
    assert first != second
    assert verifies(public_key_of(key), b"message", first)
    assert verifies(public_key_of(key), b"message", second)


def test_our_signatures_verify_in_libsignal() -> None:
    keys = [make_private_key() for _ in range(40)]
    messages = [public_key_of(make_private_key()) for _ in keys]
    asked = [
        {"public_key": public_key_of(key).hex(), "message": message.hex(), "signature": sign(key, message).hex()}
        for key, message in zip(keys, messages, strict=True)
    ]
    asked.append({**asked[0], "message": messages[1].hex()})
    assert judge({"signatures": asked})["signatures"] == [True] * 40 + [False]
