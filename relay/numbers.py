"""From a phone number to what a relay may know of it (docs/protocol.md, section Numbers).

The relay process sees neither number nor hash. This is for the operator's commands, which have the app salt, and for tests; apps do the
same in mobile/src/core/discovery/.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

APP_SALT_BYTES: Final = 32
PHONE_TOKEN_INFO: Final = b"sottovoce phone token v1"
NUMBER_ACCESS_KEY_INFO: Final = b"sottovoce number access key v1"
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")


def is_e164(number: str) -> bool:
    """Whether it is written as ITU-T E.164 has it, with the plus: what goes into the hash."""
    return _E164.fullmatch(number) is not None


def phone_hash(app_salt: bytes, number: str) -> bytes:
    """The input of the oblivious function, 32 bytes: HMAC-SHA256 of an E.164 number under the salt (32 bytes)."""
    return hmac.digest(app_salt, number.encode("ascii"), hashlib.sha256)


def phone_token(output: bytes) -> bytes:
    """What a number is registered under, 32 bytes, from the output of the oblivious function (64 bytes)."""
    return _derive(output, PHONE_TOKEN_INFO, 32)


def number_access_key(output: bytes) -> bytes:
    """What lets somebody who knows a number write to its account, 16 bytes, from the output of the oblivious function (64 bytes)."""
    return _derive(output, NUMBER_ACCESS_KEY_INFO, 16)


def _derive(output: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(output)
