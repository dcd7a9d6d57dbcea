"""Two PostgreSQL servers of our own, a primary and its synchronous standby, and what an operator does when the primary dies.

They are run here without relay.embedded_postgres, which would start a killed server again: that is what an operator with a standby does not
want. Everything blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.postgres_binaries import become, find_binaries, unprivileged_user
from tests.postgres.processes import alive, family

PATIENCE_S = 60.0
SETTINGS = (
    "unix_socket_permissions=0700",
    "wal_level=replica",
    "wal_receiver_status_interval=1s",
    "wal_retrieve_retry_interval=200ms",
    "max_connections=60",
    "shared_buffers=32MB",
)


@dataclass
class Server:
    """One of the two. `place` holds its data and its socket."""

    place: Path
    binaries: Path
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    """Where it listens besides its socket."""

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def socket(self) -> Path:
        return self.place / "socket"

    def run(self, *command: str) -> str:
        """One of PostgreSQL's own programs, as the server's user; what it printed."""
        program, *arguments = command
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            cwd=self.place, check=True, capture_output=True, text=True, timeout=PATIENCE_S, **become(unprivileged_user(self.place)),
        )  # fmt: skip
        return done.stdout

    def ask(self, question: str, database: str = "postgres") -> str:
        return self.run(
            "psql", "-XAtq", "-h", str(self.socket), "-U", "postgres", "-d", database, "-c", question
        ).strip()

    def start(self) -> None:
        options = [word for setting in (*SETTINGS, f"listen_addresses={self.address}") for word in ("-c", setting)]
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.socket), *options],
                cwd=self.place, stdout=log, stderr=log, start_new_session=True, **become(unprivileged_user(self.place)),
            )  # fmt: skip
        self._until("SELECT 1", "1")

    def kill(self) -> None:
        """SIGKILL to all of it, as when the machine is gone."""
        assert self.process is not None
        pids = family(self.process.pid)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "a PostgreSQL process survives SIGKILL"
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _until(self, question: str, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(subprocess.SubprocessError):
                if self.ask(question) == wanted:
                    return
            assert time.monotonic() < deadline, f"PostgreSQL never said {wanted} to {question}"
            time.sleep(0.05)

    def await_standby(self) -> None:
        """From here a commit means: on both disks."""
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask("SELECT pg_reload_conf()")
        self._until("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")

    def stand_alone(self) -> None:
        """As a primary that waits for nobody."""
        self.ask("ALTER SYSTEM RESET synchronous_standby_names")
        self.ask("SELECT pg_reload_conf()")
        self.ask("SELECT pg_promote(true, 30)")
        self._until("SELECT pg_is_in_recovery()", "f")

    def copy_from(self, primary: Server) -> None:
        """Becomes a fresh standby of `primary`."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"host={primary.socket} user=postgres application_name=standby"
        self.run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream", "-c", "fast")
        self.start()


@dataclass
class Pair:
    primary: Server
    standby: Server
    synchronous: bool = True

    @property
    def url(self) -> str:
        """Names both hosts; the relay looks for the one that takes writes."""
        hosts = ",".join(str(place) for place in sorted([self.primary.socket, self.standby.socket]))
        return f"postgresql://relay@/relay?host={hosts}&port=5432,5432"

    def promote(self) -> tuple[float, float]:
        """The standby falls behind a little, then the primary's machine is gone, and the standby takes over.

        Answers when it died and when the other had taken over (time.monotonic).

        What was committed meanwhile is not on the standby: whoever answered `posted` without waiting for it has lost something.
        """
        assert self.standby.process is not None
        receivers = [pid for pid in family(self.standby.process.pid) if "walreceiver" in _command(pid)]
        _send(receivers, signal.SIGSTOP)
        time.sleep(0.5)
        killed = time.monotonic()
        self.primary.kill()
        _send(receivers, signal.SIGCONT)
        self.standby.stand_alone()
        promoted = time.monotonic()
        self.primary, self.standby = self.standby, self.primary
        return killed, promoted

    def revive_the_old_primary(self, seconds: float) -> None:
        """Somebody switches the dead machine on again: for a while there are two that take writes. The old one still waits for a standby
        before it confirms a commit, so nothing can be acknowledged by it."""
        self.standby.start()
        time.sleep(seconds)
        self.standby.kill()

    def make_whole(self) -> None:
        """The old primary becomes the new standby."""
        self.standby.copy_from(self.primary)
        if self.synchronous:
            self.primary.await_standby()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def running_pair(directory: Path, *, synchronous: bool = True) -> Iterator[Pair]:
    """A primary with role and database `relay`, and its standby, in `directory`."""
    servers = []
    for name in ("a", "b"):
        place = directory / name
        (place / "socket").mkdir(parents=True)
        user = unprivileged_user(place)
        if user is not None:
            for path in (place, place / "socket"):
                os.chown(path, user.pw_uid, user.pw_gid)
        servers.append(Server(place, find_binaries(place, user)))
    first, second = servers
    try:
        first.run("initdb", "-D", str(first.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        first.start()
        first.ask("CREATE ROLE relay LOGIN")
        first.ask("CREATE DATABASE relay OWNER relay")
        pair = Pair(first, second, synchronous)
        pair.make_whole()
        yield pair
    finally:
        for server in servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()
