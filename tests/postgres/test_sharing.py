"""Several processes and one private PostgreSQL: who starts it, who stops it, and what is left when they are killed."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from relay.database import open_database
from relay.embedded_postgres import private_postgres
from relay.postgres_binaries import become
from relay.postgres_files import Lock, PidFile
from tests.postgres.processes import PATIENCE_S, alive, family, guards_of, postmaster_pid, servers_of, until
from tests.postgres.server import TEST_SETTINGS, temporary_directory

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_directory() as directory:
        place = directory / "pg"
        yield place
        assert (servers_of(place), guards_of(place)) == ([], [])  # every test here ends with nothing running


class User:
    """A process that uses the server."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process

    async def is_in(self) -> None:
        assert self.process.stdout is not None
        said = b""
        with trio.fail_after(PATIENCE_S):
            while not said.endswith(b"\n"):
                piece = await self.process.stdout.receive_some()
                assert piece, "it ended before it was in"
                said += piece
        assert said == b"in\n"

    async def leave(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        await self.ends(0)

    async def ends(self, returncode: int, number: signal.Signals | None = None) -> None:
        if number is not None:
            self.process.send_signal(number)
        with trio.fail_after(PATIENCE_S):
            assert await self.process.wait() == returncode


@asynccontextmanager
async def users(place: Path, number: int) -> AsyncIterator[list[User]]:
    """Started together; those that are left at the end are killed, and so is their server."""
    command = [sys.executable, "-m", "tests.postgres.one_user", str(place)]
    started = [
        User(await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT))
        for _ in range(number)
    ]
    try:
        yield started
    finally:
        with trio.CancelScope(shield=True):
            for user in started:
                user.process.kill()
                await user.process.wait()
            await until(lambda: not servers_of(place) and not guards_of(place))


def kill_guards(place: Path) -> None:
    for pid in guards_of(place):
        os.kill(pid, signal.SIGKILL)


async def test_processes_that_start_together_share_one_server(place: Path) -> None:
    async with users(place, 3) as started:
        for user in started:
            await user.is_in()
        assert servers_of(place) == [postmaster_pid(place)]
        for user in started:
            await user.leave()
        assert servers_of(place) == []


async def test_it_outlives_whoever_started_it_and_ends_with_the_last(place: Path) -> None:
    async with users(place, 1) as (starter,):
        await starter.is_in()
        pid = postmaster_pid(place)
        async with private_postgres(place, settings=TEST_SETTINGS) as dsn:
            await starter.leave()
            assert alive(pid)
            async with open_database(dsn) as database:
                assert await database.fetchval("SELECT 1") == 1
        assert not alive(pid)


async def test_the_others_do_not_notice_that_its_starter_was_killed(place: Path) -> None:
    async with users(place, 1) as (starter,):
        await starter.is_in()
        pid = postmaster_pid(place)
        async with private_postgres(place, settings=TEST_SETTINGS) as dsn:
            await starter.ends(-signal.SIGKILL, signal.SIGKILL)
            async with open_database(dsn) as database:
                assert await database.fetchval("SELECT 1") == 1
            assert servers_of(place) == [pid]
        assert not alive(pid)


async def test_when_every_user_was_killed_the_guard_stops_it(place: Path) -> None:
    async with users(place, 2) as started:
        for user in started:
            await user.is_in()
        await until(lambda: len(guards_of(place)) == 1)  # it is a process of its own, and may be a moment behind
        await started[0].ends(-signal.SIGKILL, signal.SIGKILL)
        assert servers_of(place) == [postmaster_pid(place)]
        await started[1].ends(-signal.SIGHUP, signal.SIGHUP)  # a closed terminal
        await until(lambda: not servers_of(place) and not guards_of(place))
    assert "database system is shut down" in (place / "log").read_text()


async def test_the_guard_leaves_a_server_alone_that_somebody_uses_again(place: Path) -> None:
    """The guard has seen that all were gone, and waits for its turn; somebody enters first."""
    async with users(place, 1) as (killed,):
        await killed.is_in()
        await until(lambda: bool(guards_of(place)))  # it is a process of its own, and may be a moment behind
        pid = postmaster_pid(place)
        locks = turn, *held = [Lock(place / name) for name in ("turn.lock", "users.lock", "guard.lock")]
        turn.wait_exclusive()
        await killed.ends(-signal.SIGKILL, signal.SIGKILL)
        await until(lambda: waits_for(guards_of(place)[0], place / "turn.lock"))
        for lock in held:
            lock.share()
        turn.release()
        await until(lambda: waits_for(guards_of(place)[0], place / "guard.lock"))
        assert servers_of(place) == [pid]
        for lock in locks:
            lock.close()
        await until(lambda: not servers_of(place))


def waits_for(pid: int, path: Path) -> bool:
    """/proc/locks: "9: -> FLOCK  ADVISORY  WRITE 123 fe:00:4711 0 EOF" is a waiting one."""
    inode = path.stat().st_ino
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(words[1] == "->" and words[5] == str(pid) and words[6].endswith(f":{inode}") for words in lines)


async def test_one_at_a_time(place: Path) -> None:
    """Two that start at once would both make the cluster; one that starts while the last one leaves would find a ruin."""
    await trio.Path(place).mkdir(mode=0o711)
    turn = Lock(place / "turn.lock")
    turn.wait_exclusive()
    entered = trio.Event()

    async def enter() -> None:
        async with private_postgres(place, settings=TEST_SETTINGS):
            entered.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        with trio.move_on_after(0.5):
            await entered.wait()
        assert not entered.is_set()
        assert not (place / "data.new").exists()
        turn.close()


async def test_an_orphan_is_replaced_and_its_data_is_kept(place: Path) -> None:
    async with users(place, 1) as (killed,):
        await killed.is_in()
        kill_guards(place)
        orphan = postmaster_pid(place)
        async with open_database(f"postgresql://relay@/relay?host={place}/socket") as database:
            await database.execute("CREATE TABLE kept AS SELECT 7 AS a")
        await killed.ends(-signal.SIGKILL, signal.SIGKILL)
        assert alive(orphan)
        async with private_postgres(place, settings=TEST_SETTINGS) as dsn:
            assert not alive(orphan)
            assert servers_of(place) == [postmaster_pid(place)]
            async with open_database(dsn) as database:
                assert await database.fetchval("SELECT a FROM kept") == 7


async def test_everything_killed_at_once_leaves_nothing_that_stops_a_start(place: Path) -> None:
    """As the kernel's out-of-memory killer or `docker kill` do: the pid file stays, its process does not."""
    async with users(place, 1) as (killed,):
        await killed.is_in()
        kill_guards(place)
        await killed.ends(-signal.SIGKILL, signal.SIGKILL)
        everybody = family(postmaster_pid(place))
        for pid in everybody:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not any(map(alive, everybody)))
        # The pid belongs to somebody else by now, under the same user: PostgreSQL alone would refuse to start.
        data = place / "data"
        owner = data.stat()
        user = pwd.getpwuid(owner.st_uid) if os.geteuid() == 0 else None
        stranger = await trio.lowlevel.open_process(["sleep", "60"], **become(user))
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            async with private_postgres(place, settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
                assert await database.fetchval("SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()
            await stranger.wait()


async def test_killed_in_the_middle_of_initdb(place: Path) -> None:
    async with users(place, 1) as (killed,):
        await until((place / "data.new" / "global").exists)
        await killed.ends(-signal.SIGKILL, signal.SIGKILL)
        assert not (place / "data").exists()
        async with private_postgres(place, settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
            assert await database.fetchval("SELECT 1") == 1


async def test_a_start_waits_for_an_initdb_whose_relay_was_killed(place: Path) -> None:
    """It would write into what the new one has cleared away."""
    async with users(place, 1) as (killed,):
        await until((place / "data.new" / "global").exists)
        running = [pid for pid in family(killed.process.pid) if pid != killed.process.pid]
        for pid in running:
            os.kill(pid, signal.SIGSTOP)
        await killed.ends(-signal.SIGKILL, signal.SIGKILL)
        entered = trio.Event()

        async def enter() -> None:
            async with private_postgres(place, settings=TEST_SETTINGS):
                entered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(enter)
            with trio.move_on_after(0.5):
                await entered.wait()
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            assert not entered.is_set()


async def test_sigterm_leaves_nothing_behind(place: Path) -> None:
    async with users(place, 2) as started:
        for user in started:
            await user.is_in()
        for user in started:
            user.process.send_signal(signal.SIGTERM)
        for user in started:
            await user.ends(0)
        assert servers_of(place) == []


async def test_a_start_that_was_interrupted_leaves_nothing_behind(place: Path) -> None:
    with trio.move_on_after(0.3):  # in the middle of initdb, or of the server's start
        async with private_postgres(place, settings=TEST_SETTINGS):
            await trio.sleep_forever()
    assert servers_of(place) == []
    async with private_postgres(place, settings=TEST_SETTINGS):
        pass


async def test_a_server_that_died_is_started_again_by_one_of_its_users(place: Path) -> None:
    async with users(place, 1) as (other,):
        await other.is_in()
        async with private_postgres(place, settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
            first = postmaster_pid(place)
            os.kill(first, signal.SIGKILL)
            await until(
                lambda: (found := PidFile.read(place / "data")) and found.status == "ready" and found.pid != first
            )
            assert servers_of(place) == [postmaster_pid(place)]
            assert await database.fetchval("SELECT 1") == 1
        await other.leave()
        assert servers_of(place) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to_all", [False, True])
async def test_hypercorn_with_two_workers_shares_it_and_leaves_nothing_behind(
    place: Path, number: signal.Signals, to_all: bool
) -> None:
    """Its parent sends SIGTERM to the second worker as soon as the first has ended: the guard does the rest."""
    address = place.with_name("http")
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-m", "hypercorn", "-k", "trio", "-w", "2"),
            *("-b", f"unix:{address}", "tests.postgres.lifespan_app:app"),
        ],
        cwd=ROOT,
        env={**os.environ, "TEST_PLACE": str(place)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await until(lambda: len(list(place.parent.glob("worker-*"))) == 2)
        with trio.fail_after(PATIENCE_S):
            await ask_for_42(address)
        assert servers_of(place) == [postmaster_pid(place)]
        if to_all:  # Ctrl-C in a terminal, `timeout`, systemd's control-group
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        with trio.fail_after(PATIENCE_S):
            await process.wait()
        await until(lambda: not servers_of(place) and not guards_of(place))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def ask_for_42(address: Path) -> None:
    stream = await trio.open_unix_socket(str(address))
    async with stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n")
        answer = b""
        while not answer.endswith((b"\r\n\r\n42", b"\r\n\r\n2\r\n42\r\n0\r\n\r\n")):  # however it is framed
            piece = await stream.receive_some()
            assert piece, answer
            answer += piece
