"""The app salt: the key under which apps hash numbers before the oblivious function blinds them.

It travels in the fragments of invites. The relay's process never opens this file (an import rule keeps this module to the commands): a
relay that knew the salt could recognise, by trying them all, what it must not know if ever a hash were to reach it unblinded.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from relay import numbers
from relay.numbers import APP_SALT_BYTES
from relay.oprf import NumberOprf
from relay.secret_files import RelayKeys, read_or_make, ready_directory

APP_SALT: Final = "app_salt.key"


def phone_token_of(number: str, keys: RelayKeys, directory: Path) -> bytes:
    """The phone token (32 bytes) of an E.164 number. Both halves of the secret meet here, in a command, and never in the relay's process.

    Raises:
        SecretFileError: as load_app_salt.
    """
    return numbers.phone_token(NumberOprf(keys.oprf_seed).output(numbers.phone_hash(load_app_salt(directory), number)))


def load_app_salt(directory: Path) -> bytes:
    """The salt (32 bytes) in `directory`; made when it is not there.

    Raises:
        SecretFileError: as relay.secret_files.load_keys.
    """
    ready_directory(directory)
    return read_or_make(directory / APP_SALT, lambda: secrets.token_bytes(APP_SALT_BYTES), size=APP_SALT_BYTES)
