"""The relay's keys on disk: read, or made at the first start, whichever worker comes first.

The relay runs on the server key, its certificate and the public half of the trust root. The trust root's private half signs new server
keys and nothing else, so it may leave the machine; `relay init` puts it where it can be taken away, and `relay rotate` asks for it.

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

from relay.oprf import OPRF_SEED_BYTES
from relay.sender_certificates import is_certified, server_certificate
from relay.xeddsa_signatures import PRIVATE_KEY_BYTES, PUBLIC_KEY_BYTES, make_private_key, public_key_of

TRUST_ROOT: Final = "trust_root.key"
"""Private half; what leaves the machine."""
TRUST_ROOT_PUBLIC: Final = "trust_root.pub"
SERVER_KEY: Final = "server.key"
METRICS_TOKEN: Final = "metrics.token"  # noqa: S105 - its name
_METRICS_TOKEN_LENGTH: Final = 43  # 32 bytes in base64url: it travels in a header
SERVER_CERTIFICATE: Final = "server_certificate.bin"
PUSH_KEY: Final = "push.key"
VAPID_KEY: Final = "vapid.key"
TURN_SHARED: Final = "turn.secret"
_TURN_SECRET_CHARACTERS: Final = 43  # 32 bytes, base64url: coturn reads its secret as text
OPRF_SEED: Final = "oprf.seed"
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
    oprf_seed: bytes = field(repr=False)
    """What the key of the oblivious function follows from, 32 bytes. Kept apart from the database, which is worth nothing without it."""


def load_keys(directory: Path) -> RelayKeys:
    """Reads the relay's keys from `directory`; makes those that are not there yet.

    The trust root's private key is used only here, to sign a new server key, and is not kept in memory. Once there is a certificate it
    is not looked at any more.

    Raises:
        SecretFileError: the directory or a file can be read by others, cannot be read by us, has the wrong size, is missing and cannot be
            made without the trust root, or the keys do not belong together.
    """
    ready_directory(directory)
    trust_root = read_or_make(directory / TRUST_ROOT_PUBLIC, lambda: _public_half(directory), size=PUBLIC_KEY_BYTES)
    server_key = read_or_make(directory / SERVER_KEY, make_private_key, size=PRIVATE_KEY_BYTES)
    # Before the certificate, whose being there says that this is no first start.
    oprf_seed = read_or_make(directory / OPRF_SEED, lambda: _new_oprf_seed(directory), size=OPRF_SEED_BYTES)
    certificate = read_or_make(
        directory / SERVER_CERTIFICATE,
        lambda: server_certificate(public_key_of(server_key), _trust_root_here(directory)),
    )
    if not is_certified(certificate, public_key_of(server_key), trust_root):
        raise SecretFileError(
            f"{directory / SERVER_CERTIFICATE} does not certify {SERVER_KEY} under {TRUST_ROOT_PUBLIC}: the files come from different "
            "relays or times; restore all three from one backup, or run: relay rotate server-certificate --trust-root FILE"
        )
    return RelayKeys(trust_root, server_key, certificate, oprf_seed)


def _new_oprf_seed(directory: Path) -> bytes:
    if (directory / SERVER_CERTIFICATE).exists():
        raise SecretFileError(
            f"{directory / OPRF_SEED} is missing; restore it from a backup (with a new one nobody is found by number any more, and every "
            "invite is void)"
        )
    return secrets.token_bytes(OPRF_SEED_BYTES)


def _public_half(directory: Path) -> bytes:
    """Of the trust root that is here, or of a new one at the first start."""
    path = directory / TRUST_ROOT
    if (directory / SERVER_CERTIFICATE).exists() and not path.exists() and not (directory / TRUST_ROOT_PUBLIC).exists():
        raise SecretFileError(
            f"{directory / TRUST_ROOT_PUBLIC} is missing; restore it from a backup (a new one would make every invite void)"
        )
    return public_key_of(read_or_make(path, make_private_key, size=PRIVATE_KEY_BYTES))


def _trust_root_here(directory: Path) -> bytes:
    path = directory / TRUST_ROOT
    key = read_secret(path, size=PRIVATE_KEY_BYTES)
    if key is None:
        raise SecretFileError(
            f"{directory / SERVER_CERTIFICATE} is missing, and so is {path}, which could make it; bring the trust root's private half and "
            "run: relay rotate server-certificate --trust-root FILE"
        )
    return key


def make_keys(directory: Path, trust_root_file: Path) -> None:
    """Makes all keys of a new relay; the trust root's private half goes to `trust_root_file` and is nowhere else.

    Raises:
        SecretFileError: there are keys in the directory already.
        OSError: the file is there already, or cannot be written.
    """
    ready_directory(directory)
    if any(directory.iterdir()):
        raise SecretFileError(f"there are keys in {directory} already; a relay is made once")
    trust_root_key, server_key = make_private_key(), make_private_key()
    # It may lie on a stick whose file system knows neither modes nor links, so not by _publish.
    descriptor = os.open(trust_root_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(trust_root_key)
        file.flush()
        os.fsync(file.fileno())
    read_or_make(directory / TRUST_ROOT_PUBLIC, lambda: public_key_of(trust_root_key))
    read_or_make(directory / SERVER_KEY, lambda: server_key)
    read_or_make(directory / OPRF_SEED, lambda: _new_oprf_seed(directory), size=OPRF_SEED_BYTES)
    read_or_make(directory / SERVER_CERTIFICATE, lambda: server_certificate(public_key_of(server_key), trust_root_key))


def load_metrics_token(directory: Path) -> str:
    """What a scraper of /metrics shows; made when it is not there. Raises what load_keys raises."""
    ready_directory(directory)
    made = read_or_make(directory / METRICS_TOKEN, _new_metrics_token, size=_METRICS_TOKEN_LENGTH)
    return made.decode("ascii", errors="replace")


def replace_metrics_token(directory: Path) -> str:
    """Makes a new one, and answers the name of the file. Raises what load_keys raises."""
    ready_directory(directory)
    replace_secret(directory / METRICS_TOKEN, _new_metrics_token())
    return METRICS_TOKEN


def _new_metrics_token() -> bytes:
    return secrets.token_urlsafe(32).encode()


def rotate_server_key(directory: Path, trust_root_key: bytes) -> list[str]:
    """Replaces the server key and its certificate; answers the names of the files.

    Relays that run go on with the old ones until they are started again; both are good.

    Raises:
        SecretFileError: this trust root is not the one of this relay, or the directory cannot be written.
    """
    ready_directory(directory)
    # Not load_keys, which refuses what a rotation left that was killed between its two files.
    if public_key_of(trust_root_key) != read_secret(directory / TRUST_ROOT_PUBLIC, size=PUBLIC_KEY_BYTES):
        raise SecretFileError(f"this is the private half of another trust root than {directory / TRUST_ROOT_PUBLIC}")
    server_key = make_private_key()
    # Key first: killed between the two, a start says what to do, and the same command again repairs it.
    replace_secret(directory / SERVER_KEY, server_key)
    replace_secret(directory / SERVER_CERTIFICATE, server_certificate(public_key_of(server_key), trust_root_key))
    return [SERVER_KEY, SERVER_CERTIFICATE]


def load_trust_root(directory: Path) -> bytes:
    """The serialized public trust root (33 bytes), for invites. Makes keys as load_keys does, and raises what it raises."""
    return load_keys(directory).trust_root


def load_push_keys(directory: Path, make_vapid: Callable[[], bytes]) -> tuple[bytes, bytes]:
    """The key that seals push subscriptions, and VAPID's (32 bytes each); made when they are not there. Raises what load_keys raises."""
    ready_directory(directory)
    push_key = read_or_make(directory / PUSH_KEY, lambda: secrets.token_bytes(32), size=32)
    return push_key, read_or_make(directory / VAPID_KEY, make_vapid, size=32)


def load_turn_secret(directory: Path) -> str:
    """What the relay shares with coturn (its static-auth-secret); made when it is not there. Raises what load_keys raises."""
    ready_directory(directory)
    made = read_or_make(
        directory / TURN_SHARED, lambda: secrets.token_urlsafe(32).encode(), size=_TURN_SECRET_CHARACTERS
    )
    return made.decode("ascii", errors="replace")


def replace_turn_secret(directory: Path) -> str:
    """Makes a new one, and answers the name of the file. Raises what load_keys raises."""
    ready_directory(directory)
    replace_secret(directory / TURN_SHARED, secrets.token_urlsafe(32).encode())
    return TURN_SHARED


def ready_directory(directory: Path) -> None:
    """Makes the directory, 0700, or makes sure that it is private.

    Raises:
        SecretFileError: it is open to others, or cannot be made.
    """
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


def read_or_make(path: Path, make: Callable[[], bytes], size: int | None = None) -> bytes:
    """The content of a secret file; what `make` gives when there was none. Whoever is first, all end with one content.

    Raises:
        SecretFileError: it can be read by others, cannot be read by us, or is not `size` bytes long.
    """
    content = read_secret(path, size)
    if content is not None:
        return content
    made = make()
    try:
        _publish(path, made)
    except OSError as error:
        raise _unusable(path, error) from None
    content = read_secret(path, size)  # not what we made: another worker may have been first
    if content is None:
        raise _damaged(path)
    return content


def read_secret(path: Path, size: int | None = None) -> bytes | None:
    """The content of a secret file, None when there is none.

    Raises:
        SecretFileError: as read_or_make.
    """
    try:
        content = _read(path)
    except OSError as error:
        raise _unusable(path, error) from None
    if content is not None and (not content or (size is not None and len(content) != size)):
        raise _damaged(path)
    return content


def replace_secret(path: Path, content: bytes) -> None:
    """Puts `content` in the place of what is there: all of it or nothing, synced.

    Raises:
        SecretFileError: the directory cannot be written.
    """
    try:
        _publish(path, content, replace=True)
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> SecretFileError:
    return SecretFileError(f"{path}: {error.strerror}; run the relay and its commands as the user who owns the file")


def _damaged(path: Path) -> SecretFileError:
    return SecretFileError(f"{path} is damaged; restore it from a backup (a new one would make every invite void)")


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


def _publish(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Puts `content` at `path`, unless something is there already: written aside, synced, then linked, which never overwrites."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            aside.replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # else a power cut could lose a key that is already out in invites
    finally:
        os.close(directory)
