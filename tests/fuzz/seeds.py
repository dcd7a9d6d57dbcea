"""Inputs to start from: what honest apps say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from relay.frames import to_b64
from relay.stun import Attribute, Credentials, Kind, Method, encode
from relay.xeddsa_signatures import make_private_key
from tests.live.app import registration

_PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def _frames() -> list[bytes]:
    """The examples of the protocol page, with bodies in place of the words for them."""
    lines = [line for line in _PAGE.splitlines() if line.startswith('{"type"')]
    return [re.sub(r"b64\((\d+)\)", lambda size: to_b64(bytes(int(size[1]))), line).encode() for line in lines]


def _stun() -> bytes:
    credentials = Credentials("1789000000:x", "secret", "realm", b"nonce")
    return encode(
        Kind.REQUEST, Method.ALLOCATE, bytes(12), [(Attribute.REQUESTED_TRANSPORT, bytes([17, 0, 0, 0]))], credentials
    )


SEEDS: dict[str, list[bytes]] = {
    "frames": _frames(),
    "bodies": [json.dumps(registration(make_private_key(), bytes(32), bytes(16))).encode()],
    "base64url": [b"AAECAw", b"AAECAw==", b"__--"],
    "signatures": [b"\x05" + os.urandom(96) + b"message"],
    "oprf_elements": [bytes(32), os.urandom(96)],
    "stun": [_stun()],
}
