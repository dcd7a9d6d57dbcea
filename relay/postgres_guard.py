"""Stopping the private PostgreSQL, and the process that does it when no user of it is left who could.

`python -m relay.postgres_guard DIRECTORY` is started with each server, as a session of its own. It sleeps in the kernel
until every user of the server is gone, however they went: SIGKILL, a closed terminal (SIGHUP), or Hypercorn, which
sends SIGTERM to all other workers once the first has ended. Then it takes its turn and stops what the last user left
running. Nothing depends on it: without it, the next start finds the server and replaces it.

It imports nothing but the standard library's lighter half: it is there for as long as the relay is.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from relay.postgres_files import EmbeddedPostgresError, Lock, PidFile, is_postmaster_of, send_signal

# SIGINT: disconnect everybody, write a checkpoint. It hangs when it comes in the middle of the recovery after a crash of a
# backend (seen with 18.6).
FAST_STOP_DEADLINE_S = 10
IMMEDIATE_STOP_DEADLINE_S = 10  # SIGQUIT: no checkpoint, the next start replays the log; nothing committed is lost
POLL_EVERY_S = 0.02


def is_gone(directory: Path) -> bool:
    """Whether no process of the server is left, initdb and orphaned backends included. To be asked in one's turn."""
    lock = Lock(directory / "server.lock")
    try:
        return lock.try_exclusive()
    finally:
        lock.close()


def postmaster_of(directory: Path) -> int | None:
    """Its pid, if it is alive and surely the one of this directory."""
    found = PidFile.read(directory / "data")
    return found.pid if found is not None and is_postmaster_of(found.pid, directory / "data") else None


def stop_server(directory: Path) -> None:
    """Fast shutdown, then an immediate one; blocks until the last process of the server is gone. In one's turn only.

    Raises EmbeddedPostgresError after FAST_STOP_DEADLINE_S + IMMEDIATE_STOP_DEADLINE_S.
    """
    for number, patience_s in ((signal.SIGINT, FAST_STOP_DEADLINE_S), (signal.SIGQUIT, IMMEDIATE_STOP_DEADLINE_S)):
        deadline = time.monotonic() + patience_s
        told: int | None = None
        while time.monotonic() < deadline:
            if is_gone(directory):
                return
            # The pid is looked up each time: a server that was just starting has not written it yet.
            pid = postmaster_of(directory)
            if pid is not None and pid != told:
                told = pid
                send_signal(pid, number)
                send_signal(pid, signal.SIGCONT)  # a stopped process would not even hear SIGQUIT
            time.sleep(POLL_EVERY_S)
    raise EmbeddedPostgresError(
        f"a PostgreSQL in {directory} does not stop, or cannot be seen from here (another container?)"
    )


def main(directory: Path) -> None:
    everybody_gone, turn, users = (Lock(directory / name) for name in ("guard.lock", "turn.lock", "users.lock"))
    while True:
        everybody_gone.wait_exclusive()
        everybody_gone.release()
        turn.wait_exclusive()
        if users.try_exclusive():  # and nobody came while we waited
            try:
                stop_server(directory)
            finally:
                users.release()
                turn.release()
            return
        turn.release()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
