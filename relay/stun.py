"""SANS-IO: STUN messages (RFC 8489) as far as a TURN client needs them (RFC 8656), with long-term credentials.

Only for `relay turn-check` and tests: media never passes through the relay. No cryptography of our own: HMAC-SHA1 and MD5, which the RFC
prescribes, are the standard library's.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

MAGIC: Final = 0x2112A442
HEADER_BYTES: Final = 20
TRANSACTION_ID_BYTES: Final = 12
_FINGERPRINT_XOR: Final = 0x5354554E
_INTEGRITY_BYTES, _FINGERPRINT_BYTES = 24, 8  # attribute headers included


class NotStun(ValueError):
    """The bytes are not one STUN message."""


class Method(IntEnum):
    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009


class Kind(IntEnum):
    """The class of a message (RFC 8489 section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Attribute(IntEnum):
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    REQUESTED_TRANSPORT = 0x0019
    XOR_MAPPED_ADDRESS = 0x0020
    FINGERPRINT = 0x8028


REQUESTED_UDP: Final = bytes([17, 0, 0, 0])
REQUESTED_IPV6: Final = bytes([2, 0, 0, 0])

Address = tuple[str, int]
"""Host as a literal, and port."""


@dataclass(frozen=True)
class Credentials:
    """Long-term credentials as the server asked for them (RFC 8489 section 9.2)."""

    username: str
    password: str
    realm: str
    nonce: bytes

    @property
    def key(self) -> bytes:
        """MD5 of `username:realm:password`, which is what the RFC says (section 9.2.2)."""
        return hashlib.md5(f"{self.username}:{self.realm}:{self.password}".encode(), usedforsecurity=False).digest()


@dataclass(frozen=True)
class Message:
    """One message that came. `attributes` holds the first of each type."""

    kind: Kind
    method: int
    transaction_id: bytes
    attributes: dict[int, bytes]

    def address(self, attribute: Attribute) -> Address | None:
        """An XOR-...-ADDRESS; None when it is not there or not readable."""
        value = self.attributes.get(attribute)
        return None if value is None else _read_address(value, self.transaction_id)

    @property
    def error_code(self) -> int | None:
        """ERROR-CODE (RFC 8489 section 14.8), 300 to 699."""
        value = self.attributes.get(Attribute.ERROR_CODE)
        return None if value is None or len(value) < 4 else (value[2] & 0x07) * 100 + value[3]

    def text(self, attribute: Attribute) -> str:
        return self.attributes.get(attribute, b"").decode(errors="replace")


def encode(
    kind: Kind,
    method: Method,
    transaction_id: bytes,
    attributes: list[tuple[Attribute, bytes]],
    credentials: Credentials | None = None,
) -> bytes:
    """A message with FINGERPRINT; with `credentials` also USERNAME, REALM, NONCE and MESSAGE-INTEGRITY."""
    named = list(attributes)
    if credentials is not None:
        named += [
            (Attribute.USERNAME, credentials.username.encode()),
            (Attribute.REALM, credentials.realm.encode()),
            (Attribute.NONCE, credentials.nonce),
        ]
    body = b"".join(_attribute(type_, value) for type_, value in named)
    if credentials is not None:
        covered = _header(kind, method, len(body) + _INTEGRITY_BYTES, transaction_id) + body
        body += _attribute(Attribute.MESSAGE_INTEGRITY, hmac.digest(credentials.key, covered, "sha1"))
    covered = _header(kind, method, len(body) + _FINGERPRINT_BYTES, transaction_id) + body
    return covered + _attribute(Attribute.FINGERPRINT, struct.pack(">I", zlib.crc32(covered) ^ _FINGERPRINT_XOR))


def parse(message: bytes) -> Message:
    """Reads one message. A FINGERPRINT that is there must be right; MESSAGE-INTEGRITY is for `is_authentic`.

    Raises:
        NotStun
    """
    if len(message) < HEADER_BYTES or message[0] & 0xC0:
        raise NotStun("no STUN header")
    type_, length, magic = struct.unpack_from(">HHI", message)
    if magic != MAGIC or length % 4 or len(message) != HEADER_BYTES + length:
        raise NotStun("not one whole message")
    kind = Kind(((type_ >> 4) & 1) | ((type_ >> 7) & 2))
    method = (type_ & 0x0F) | ((type_ >> 1) & 0x70) | ((type_ >> 2) & 0xF80)
    attributes: dict[int, bytes] = {}
    at = HEADER_BYTES
    while at < len(message):
        name, size = struct.unpack_from(">HH", message, at)
        end = at + 4 + size
        if end > len(message):
            raise NotStun("an attribute reaches past the end")
        attributes.setdefault(name, message[at + 4 : end])
        if name == Attribute.FINGERPRINT:
            right = struct.pack(">I", zlib.crc32(message[:at]) ^ _FINGERPRINT_XOR)
            if message[at + 4 : end] != right or end != len(message):
                raise NotStun("wrong fingerprint")
        at = end + -size % 4
    return Message(kind, method, message[8:HEADER_BYTES], attributes)


def is_authentic(message: bytes, key: bytes) -> bool:
    """Whether MESSAGE-INTEGRITY (RFC 8489 section 14.5) is there and made with `key`."""
    at = HEADER_BYTES
    while at + 4 <= len(message):
        name, size = struct.unpack_from(">HH", message, at)
        if name == Attribute.MESSAGE_INTEGRITY:
            covered = message[:2] + struct.pack(">H", at - HEADER_BYTES + _INTEGRITY_BYTES) + message[4:at]
            return hmac.compare_digest(hmac.digest(key, covered, "sha1"), message[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return False


def written_address(address: Address, transaction_id: bytes) -> bytes:
    """The value of an XOR-...-ADDRESS (RFC 8489 section 14.2). IPv4-mapped IPv6 stays IPv6."""
    host, port = address
    ip = ip_address(host)
    family = 1 if isinstance(ip, IPv4Address) else 2
    return struct.pack(">BBH", 0, family, port ^ (MAGIC >> 16)) + _xor(ip.packed, transaction_id)


def _read_address(value: bytes, transaction_id: bytes) -> Address | None:
    if len(value) not in (8, 20):
        return None
    port = int.from_bytes(value[2:4]) ^ (MAGIC >> 16)
    packed = _xor(value[4:], transaction_id)
    ip = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
    return str(ip), port


def _xor(packed: bytes, transaction_id: bytes) -> bytes:
    mask = struct.pack(">I", MAGIC) + transaction_id
    return bytes(a ^ b for a, b in zip(packed, mask, strict=False))


def _header(kind: Kind, method: Method, length: int, transaction_id: bytes) -> bytes:
    type_ = (method & 0x0F) | ((method & 0x70) << 1) | ((method & 0xF80) << 2) | ((kind & 1) << 4) | ((kind & 2) << 7)
    return struct.pack(">HHI", type_, length, MAGIC) + transaction_id


def _attribute(type_: Attribute, value: bytes) -> bytes:
    return struct.pack(">HH", type_, len(value)) + value + bytes(-len(value) % 4)
