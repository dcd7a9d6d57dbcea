"""The relay's keys on disk: read, or made at the first start, whichever worker comes first.

Directory 0700, files 0600. What group or others can read is refused rather than repaired: it may have been read already, and only the
operator can judge that. A file appears complete or not at all, and is never overwritten, so workers that race end with one key.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from relay.sender_certificates import server_certificate
from relay.xeddsa_signatures import PRIVATE_KEY_BYTES, make_private_key, public_key_of

TRUST_ROOT: Final = "trust_root.key"
SERVER_KEY: Final = "server.key"
SERVER_CERTIFICATE: Final = "server_certificate.bin"
_MAX_BYTES: Final = 4096
_GROUP_AND_OTHERS: Final = 0o077


class SecretFileError(Exception):
    """A secret cannot be used. The message names the path, what is wrong with it and what to do; never its content."""


@dataclass(frozen=True)
class RelayKeys:
    """What the relay signs with. The public trust root travels in every invite; apps believe what hangs from it."""

    trust_root: bytes
    """Serialized public key, 33 bytes."""
    server_key: bytes = field(repr=False)
    """Private key that signs sender certificates, 32 bytes."""
    server_certificate: bytes
    """libsignal ServerCertificate: the public server key, signed by the trust root."""


def load_keys(directory: Path) -> RelayKeys:
    """Reads the relay's keys from `directory`; makes those that are not there yet.

    The trust root's private key is used only here, to sign a new server key, and is not kept in memory.

    Raises:
        SecretFileError: the directory or a file can be read by others, cannot be read by us, or has the wrong size.
    """
    _ready_directory(directory)
    trust_root_key = _read_or_make(directory / TRUST_ROOT, make_private_key, size=PRIVATE_KEY_BYTES)
    server_key = _read_or_make(directory / SERVER_KEY, make_private_key, size=PRIVATE_KEY_BYTES)
    certificate = _read_or_make(
        directory / SERVER_CERTIFICATE, lambda: server_certificate(public_key_of(server_key), trust_root_key)
    )
    return RelayKeys(public_key_of(trust_root_key), server_key, certificate)


def load_trust_root(directory: Path) -> bytes:
    """The serialized public trust root (33 bytes), for invites. Makes keys as load_keys does, and raises what it raises."""
    return load_keys(directory).trust_root


def _ready_directory(directory: Path) -> None:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise SecretFileError(
            f"{directory}: {error.strerror}; give the relay a var_directory that it may write"
        ) from None
    if mode & _GROUP_AND_OTHERS:
        raise SecretFileError(
            f"{directory} is open to other users (mode {stat.S_IMODE(mode):04o}); run: chmod 700 {directory}"
        )


def _read_or_make(path: Path, make: Callable[[], bytes], size: int | None = None) -> bytes:
    try:
        content = _read(path)
        if content is None:
            _publish(path, make())
            content = _read(path)  # not what we made: another worker may have been first
    except OSError as error:
        raise SecretFileError(
            f"{path}: {error.strerror}; run the relay and its commands as the user who owns the file"
        ) from None
    if content is None or not content or (size is not None and len(content) != size):
        raise SecretFileError(f"{path} is damaged; restore it from a backup (a new one would make every invite void)")
    return content


def _read(path: Path) -> bytes | None:
    """The content; None when there is no such file.

    Mode and content are taken from one open file, so nobody can swap it in between; symbolic links are not followed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if mode & _GROUP_AND_OTHERS:
            raise SecretFileError(
                f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}); if nobody has read it, run: chmod 600 {path}"
            )
        return file.read(_MAX_BYTES)


def _publish(path: Path, content: bytes) -> None:
    """Puts `content` at `path` unless something is there already: written aside, synced, then linked, which never overwrites."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # else a power cut could lose a key that is already out in invites
    finally:
        os.close(directory)
