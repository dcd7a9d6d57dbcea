"""What the private PostgreSQL leaves on disk and what guards it: locks, the pid file, private directories, the log."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from relay.errors import RelayError

LOG_KEPT_BYTES = 1_000_000  # of `log`, and as much of `log.1`

Owner = tuple[int, int]
"""uid and gid that files get when root makes them; None when we are not root."""


class EmbeddedPostgresError(RelayError):
    """The private PostgreSQL cannot be run; the message is for the operator and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def __str__(self) -> str:
        return self.message


class Lock:
    """flock(2) on a file that is never deleted: two processes could each lock "it" if it were made again."""

    def __init__(self, path: Path, owner: Owner | None = None) -> None:
        # O_NOFOLLOW: as root we may work in a directory that belongs to somebody else.
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if owner is not None:
            os.fchown(self.fd, *owner)

    def try_exclusive(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_exclusive(self) -> None:
        """Blocks the whole process until nobody else holds it."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def share(self) -> None:
        """Blocks while another process holds it exclusively."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def release(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Releases it too, unless a child process has inherited it."""
        os.close(self.fd)


@dataclass(frozen=True)
class PidFile:
    """What postmaster.pid says in its lines 1 and 8."""

    pid: int
    status: str  # starting, stopping, ready, standby

    @classmethod
    def read(cls, data: Path) -> PidFile | None:
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):
            return None  # not there, or not yet written to the end


def is_postmaster_of(pid: int, data: Path) -> bool:
    """Whether the process is alive and its command line names this data directory (a zombie's names nothing)."""
    if not Path("/proc/self").exists():
        return send_signal(pid, 0)  # no /proc on this system: the pid file's word must do
    try:
        return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def send_signal(pid: int, number: signal.Signals | int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def make_private_directory(path: Path, owner: Owner | None) -> None:
    """A directory of mode 0700 that belongs to the server's user, made or found so.

    Raises EmbeddedPostgresError if something else is there: in /tmp anybody may have put it.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
    found = path.lstat()
    uid = os.geteuid() if owner is None else owner[0]
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise EmbeddedPostgresError(f"{path} is not a directory of the user that runs PostgreSQL (uid {uid})")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def open_log(path: Path, owner: Owner | None) -> BufferedWriter:
    """For appending; what was there goes to `log.1` when it has grown long."""
    if path.exists() and path.stat().st_size > LOG_KEPT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if owner is not None:
        os.fchown(fd, *owner)
    return os.fdopen(fd, "ab")


def sync_directory(path: Path) -> None:
    """Make a rename in it last."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
