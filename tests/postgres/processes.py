"""The operating system's view of a PostgreSQL: its processes, stalled, resumed or killed; and waiting for the world."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

PATIENCE_S = 20.0  # for what surely happens; a test that waits this long has failed


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Other processes cannot set an Event, so this polls."""
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


async def until_it_answers(ask: Callable[[], Awaitable[object]], wanted: object, within_s: float = PATIENCE_S) -> None:
    """The same for a question to PostgreSQL."""
    with trio.fail_after(within_s):
        while await ask() != wanted:  # noqa: ASYNC110
            await trio.sleep(0.01)


def postmaster_pid(directory: Path) -> int:
    """Of the private PostgreSQL in `directory`."""
    return int((directory / "data" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    """Zombies are dead: their parents have yet to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def family(pid: int) -> list[int]:
    """The process and its children."""
    return [pid, *(other for other in _everybody() if _parent(other) == pid)]


def command_of(pid: int) -> list[bytes]:
    """Its words, as /proc/PID/cmdline has them; none of a zombie, nor of a process that has ended, maybe this very moment."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return words.rstrip(b"\0").split(b"\0") if words else []


def servers_of(directory: Path) -> list[int]:
    """Every postmaster that names this data directory, whatever the pid file says."""
    found = _with_argument(str(directory / "data"))
    return [pid for pid in found if _parent(pid) not in found]  # a child just forked still has its parent's words


def guards_of(directory: Path) -> list[int]:
    return [pid for pid in _with_argument("relay.postgres_guard") if pid in _with_argument(str(directory))]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _with_argument(wanted: str) -> list[int]:
    return [pid for pid in _everybody() if wanted.encode() in command_of(pid)]


def _everybody() -> list[int]:
    """Not by a pattern with a slash in it: that asks of each process again whether it is there, and may be told ESRCH."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


@contextmanager
def stalled(pids: list[int]) -> Iterator[None]:
    """SIGSTOP: the sockets stay open and nobody answers."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
