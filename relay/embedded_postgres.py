"""A private PostgreSQL for a relay that was given no database URL.

    async with private_postgres(Path("var/postgres")) as dsn:
        ...

runs PostgreSQL's own binaries on a Unix socket that nobody else can open. Every process of the relay enters this block:
each worker of `hypercorn -w N`, and a `relay` command typed beside a running relay. They share **one** server.

How they share it
-----------------
Files are locked with flock(2), which the kernel releases when a process dies, however it dies:

`turn.lock`    exclusive, held for the moment somebody enters, leaves or restarts the server: one at a time.
`users.lock`   shared, held by every process inside the block. Whoever can lock it exclusively is alone.
`guard.lock`   shared, held by them too. The guard waits to lock it exclusively.
`server.lock`  exclusive, inherited by the postmaster and so by all its backends. It is free exactly when no process of
               the server is left. A pid file cannot say that: pids are reused, mean nothing in another container, and
               stay "alive" as zombies.

*Entering* takes the turn. No server: start one. A server, and other users: join it. A server and no other user: its
relay was killed; it may run with old settings or old binaries, so it is stopped (a fast shutdown loses nothing) and a
new one started.

*Leaving* takes the turn. Alone: stop the server and wait until its last process is gone. Not alone: leave it running.
So the server is a child of the process that started it but does not depend on it, and the last one out stops it, be it
worker, command or Ctrl-C.

*Being killed* leaves the locks to the kernel. When the last user is gone without having stopped the server, the guard
(relay.postgres_guard, a small process that was started with it) does so. If that was killed too, the server goes on
alone, harmlessly, and the next start replaces it.

*While inside* each user watches the postmaster. If it dies (the kernel's out-of-memory killer, say) the users take
turns; the first starts it again on the same socket, the others find it running.

Two postmasters can never share the data: one starts only while holding `server.lock`, and PostgreSQL's own pid file is
checked besides, for a server that somebody started by hand.

What is safe about it
---------------------
*A half-made cluster is never used*: initdb works in `data.new`, which is renamed to `data` when it is whole and on disk.

*Who may connect*: authentication is `trust`, because the socket lies in a directory of mode 0700. Whoever can open it is
the server's own user or root, and could read the data files anyway; a password beside them would protect nothing. The
relay is not a superuser of its database, so a slip in a statement cannot read files or run programs.

*What is logged*: the server's own life, its FATAL and PANIC messages. Never a statement, a parameter or an ERROR: the
messages of errors quote what they choke on, and their details quote key values.

*Root*: PostgreSQL refuses to run as root. It then runs as the owner of the directory if that is somebody else, else as
`sottovoce`, `postgres` or `nobody`. If the binaries lie where that user may not go (a virtualenv in /root), they are
copied once to `binaries/` beside the data.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio

from relay.postgres_binaries import become, find_binaries, may_enter, unprivileged_user
from relay.postgres_files import (
    EmbeddedPostgresError,
    Lock,
    Owner,
    PidFile,
    is_postmaster_of,
    make_private_directory,
    open_log,
    sync_directory,
)
from relay.postgres_guard import (
    FAST_STOP_DEADLINE_S,
    IMMEDIATE_STOP_DEADLINE_S,
    is_gone,
    postmaster_of,
    stop_server,
)

__all__ = ["SETTINGS", "EmbeddedPostgresError", "private_postgres"]

log = logging.getLogger(__name__)

START_DEADLINE_S = 120  # replaying the log after a crash is part of a start; it is bounded by max_wal_size
POLL_EVERY_S = 0.02  # of locks and of the pid file, which cannot be waited for
LONGEST_RESTART_PAUSE_S = 30
GUARD_ENDS_WITHIN_S = 1.0
LONGEST_SOCKET_DIRECTORY = 90  # sun_path takes 107 bytes, and PostgreSQL appends "/.s.PGSQL.5432.lock"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Durability: `posted` means that the envelope survives a power cut.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # The log: see "What is logged" above. LOG ranks between ERROR and FATAL here.
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "log",
    "log_error_verbosity": "terse",  # no DETAIL: a crash would print "Failed process was running: ..." there
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_duration": "off",
    "log_lock_waits": "off",
    "log_temp_files": "-1",
    "log_connections": "off",
    "log_disconnections": "off",
    "log_hostname": "off",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    # A small machine is the normal case; the operating system's cache does the rest.
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",
}


@asynccontextmanager
async def private_postgres(directory: Path, *, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the PostgreSQL in `directory`, or join the one that runs there, and yield its DSN.

    The first start makes the database. `settings` are added to SETTINGS (for tests and tuning); they count only for
    the process that starts the server. Leaving the block as the last user stops the server.

    Raises EmbeddedPostgresError when it cannot be started, at once or within START_DEADLINE_S.
    """
    failure: Exception | None = None
    try:
        server = await trio.to_thread.run_sync(_prepare, directory, {**SETTINGS, **(settings or {})})
    except OSError as error:
        raise EmbeddedPostgresError(f"cannot use {directory}: {error.strerror}") from error
    try:
        await server.enter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.keep_running)
            try:
                yield server.dsn
            except Exception as error:
                failure = error  # raised outside of the nursery, which would wrap it in a group
            nursery.cancel_scope.cancel()
    finally:
        # Shielded: a cancelled relay still has a server to stop. Stopping has deadlines.
        with trio.CancelScope(shield=True):
            await server.leave()
    if failure is not None:
        raise failure


def _prepare(directory: Path, settings: Mapping[str, str]) -> _Server:
    """Make the directories and open the lock files. Touches nothing that may be running."""
    directory = directory.resolve()  # every process must name the data directory in the same words
    directory.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    user = unprivileged_user(directory)
    found = directory.stat()
    if user is None and found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"{directory} belongs to another user; start the relay as that user or as root")
    if not may_enter(user, directory):
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {user.pw_name if user else ''!r} may not enter {directory}. "
            "Put the relay where it may (/srv/sottovoce, say), or set SOTTOVOCE_DATABASE_URL."
        )
    socket_directory = directory / "socket"
    if len(os.fsencode(socket_directory)) > LONGEST_SOCKET_DIRECTORY or "," in str(socket_directory):
        # The same for every process whatever its environment says. If somebody else was there first, we refuse.
        name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        socket_directory = Path("/tmp") / f"sottovoce-{name}"  # noqa: S108
    owner = (found.st_uid, found.st_gid) if user else None
    return _Server(
        directory=directory,
        socket_directory=socket_directory,
        settings=settings,
        user=user,
        owner=owner,
        turn_lock=Lock(directory / "turn.lock", owner),
        users_lock=Lock(directory / "users.lock", owner),
        guard_lock=Lock(directory / "guard.lock", owner),
    )


@dataclass
class _Server:
    """The server as one of its users sees it. `*_server` methods are called in one's turn only."""

    directory: Path
    socket_directory: Path
    settings: Mapping[str, str]
    user: pwd.struct_passwd | None  # who runs PostgreSQL; None: ourselves
    owner: Owner | None  # of the files that we make beside the data
    turn_lock: Lock
    users_lock: Lock
    guard_lock: Lock
    child: trio.Process | None = None  # the postmaster, if it was this process that started it
    guard: trio.Process | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def _server_owner(self) -> Owner | None:
        return (self.user.pw_uid, self.user.pw_gid) if self.user else None

    @property
    def log_path(self) -> Path:
        return self.directory / "log"

    @property
    def dsn(self) -> str:
        return f"postgresql://relay@/relay?host={quote(str(self.socket_directory))}"

    # -- one user's life --

    async def enter(self) -> None:
        async with self._turn():
            # In one's turn: between making and chown another process would find a directory that is not right yet.
            make_private_directory(self.socket_directory, self._server_owner)
            alone = self.users_lock.try_exclusive()
            if alone and not is_gone(self.directory):
                log.warning("a PostgreSQL of an earlier relay still runs; replacing it")
                await self._stop_server()
            await self._ensure_server()
            self.users_lock.share()
            self.guard_lock.share()
            if self.child is not None:
                await self._start_guard()

    async def keep_running(self) -> None:
        """Notice the server's death and start it again."""
        pause_s = 0.0
        while True:
            since = trio.current_time()
            await self._wait_for_death()
            if trio.current_time() - since > LONGEST_RESTART_PAUSE_S:
                pause_s = 0.0
            log.error("PostgreSQL is gone; starting it again")
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s + 1, LONGEST_RESTART_PAUSE_S)
            try:
                async with self._turn():
                    await self._ensure_server()
            except EmbeddedPostgresError as error:
                log.error("%s", error)

    async def leave(self) -> None:
        """Stop the server if nobody else uses it. Gives up our locks whatever happens."""
        stopped = False
        try:
            async with self._turn():
                if self.users_lock.try_exclusive():
                    await self._stop_server()
                    stopped = True
        except EmbeddedPostgresError as error:
            log.error("%s", error)
        finally:
            for lock in (self.users_lock, self.guard_lock, self.turn_lock):
                lock.close()
        if stopped and self.guard is not None:
            with trio.move_on_after(GUARD_ENDS_WITHIN_S):
                await self.guard.wait()  # it sees that there is nothing left to guard; this reaps it

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        patience_s = START_DEADLINE_S + FAST_STOP_DEADLINE_S + IMMEDIATE_STOP_DEADLINE_S
        with trio.move_on_after(patience_s) as waiting:
            while not self.turn_lock.try_exclusive():  # noqa: ASYNC110 (another process cannot set an Event)
                await trio.sleep(POLL_EVERY_S)
        if waiting.cancelled_caught:
            raise EmbeddedPostgresError(f"another process has held {self.directory}/turn.lock for {patience_s} s")
        try:
            yield
        finally:
            self.turn_lock.release()

    # -- starting --

    async def _ensure_server(self) -> None:
        """Return when a server is ready: the one that runs, or a new one if none does."""
        with trio.move_on_after(START_DEADLINE_S) as starting:
            while True:
                lock = self._server_lock()
                try:
                    if lock.try_exclusive():
                        await self._start_server(lock)
                finally:
                    lock.close()  # the postmaster has inherited its own
                found = PidFile.read(self.data)
                if found and found.status in ("ready", "standby") and is_postmaster_of(found.pid, self.data):
                    return
                if self.child is not None and self.child.poll() is not None:
                    self.child = None
                    raise EmbeddedPostgresError(f"PostgreSQL ended while it started; see {self.log_path}")
                await trio.sleep(POLL_EVERY_S)
        if starting.cancelled_caught:
            raise EmbeddedPostgresError(f"PostgreSQL did not start within {START_DEADLINE_S} s; see {self.log_path}")

    async def _start_server(self, lock: Lock) -> None:
        """Holding server.lock, so that no process of it is alive: make the cluster if need be, start the postmaster."""
        self.child = None
        try:
            binaries = await trio.to_thread.run_sync(find_binaries, self.directory, self.user)
            if not (self.data / "PG_VERSION").exists():
                await self._make_cluster(binaries, lock)
            self._clear_traces()
            command = [str(binaries / "postgres"), "-D", str(self.data), "-k", str(self.socket_directory)]
            command += [f"--{name}={value}" for name, value in self.settings.items()]
            with open_log(self.log_path, self.owner) as output:
                self.child = await trio.lowlevel.open_process(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._popen_options(lock)
                )
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot start PostgreSQL in {self.directory}: {error.strerror}") from error

    async def _start_guard(self) -> None:
        """Once a server; harmless if there is one already."""
        package = Path(__file__).parent.parent
        with open_log(self.log_path, self.owner) as output:
            self.guard = await trio.lowlevel.open_process(
                # -S: without site-packages, of which it needs nothing, it starts faster and stays smaller.
                [sys.executable, "-S", "-P", "-m", "relay.postgres_guard", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env={"LC_ALL": "C", "PYTHONPATH": str(package)},
            )

    async def _make_cluster(self, binaries: Path, lock: Lock) -> None:
        """initdb beside the place, then one rename: whoever is killed on the way leaves nothing that looks finished."""
        new = self.directory / "data.new"
        if new.exists():
            await trio.to_thread.run_sync(shutil.rmtree, new)
        make_private_directory(new, self._server_owner)
        await self._run(
            [
                *(str(binaries / "initdb"), "-D", str(new), "-U", "postgres", "--data-checksums", "--no-instructions"),
                *("--encoding=UTF8", "--no-locale", "--auth-local=trust", "--auth-host=reject"),
            ],
            b"",
            lock,
        )
        # The relay's own role may do everything in its database and nothing outside of it.
        setup = b"CREATE ROLE relay LOGIN;\n\nCREATE DATABASE relay OWNER relay;\n\n"  # -j: a blank line ends a command
        single = [str(binaries / "postgres"), "--single", "-j", "-D", str(new)]
        await self._run([*single, "-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres"], setup, lock)
        new.rename(self.data)
        sync_directory(self.directory)

    async def _run(self, command: list[str], stdin: bytes, lock: Lock) -> None:
        with open_log(self.log_path, self.owner) as output:
            done = await trio.run_process(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=output,
                check=False,
                **self._popen_options(lock),
            )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{Path(command[0]).name} failed; see {self.log_path}")

    def _popen_options(self, lock: Lock) -> dict[str, Any]:
        return {
            "pass_fds": (lock.fd,),  # if we are killed, it still shows that this process lives
            "start_new_session": True,  # Ctrl-C in the terminal is for the relay, which then stops its server
            "cwd": "/",
            "umask": 0o077,
            # Nothing of the relay's own environment: it may hold keys.
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self.directory)},
            **become(self.user),
        }

    def _clear_traces(self) -> None:
        """Remove the pid and lock files of a killed server.

        PostgreSQL looks whether the pid in them is alive, and refuses to start if it belongs to somebody else by now.
        We know better, except about a server that was started by hand.
        """
        found = PidFile.read(self.data)
        if found is not None and is_postmaster_of(found.pid, self.data):
            raise EmbeddedPostgresError(
                f"a PostgreSQL that no relay started uses {self.data} (pid {found.pid}); stop it first"
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.socket_directory / name).unlink(missing_ok=True)

    def _server_lock(self) -> Lock:
        return Lock(self.directory / "server.lock", self.owner)

    async def _stop_server(self) -> None:
        await trio.to_thread.run_sync(stop_server, self.directory)
        if self.child is not None:
            await self.child.wait()  # reaps it
            self.child = None

    # -- watching --

    async def _wait_for_death(self) -> None:
        if self.child is not None:
            await self.child.wait()
            self.child = None
            return
        pid = postmaster_of(self.directory)
        if pid is None:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):  # not Linux, or forbidden in this container
            while postmaster_of(self.directory) == pid:  # noqa: ASYNC110
                await trio.sleep(1)
            return
        try:
            await trio.lowlevel.wait_readable(pidfd)
        finally:
            os.close(pidfd)
