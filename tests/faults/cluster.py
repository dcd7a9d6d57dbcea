"""The relay under test: one or more nodes, as an operator starts them, on one PostgreSQL; and handles to hurt it by."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.faults.link import Link
from tests.faults.pair import Pair
from tests.live.relay_process import START_S, RelayProcess, running_relay
from tests.postgres.processes import alive, family, postmaster_pid

# The load is heavier than people are; limits are not what is under test here.
RAISED = {
    "posts_burst": 1_000_000,
    "posts_per_s": 100_000,
    "post_bytes_burst": 1 << 40,
    "post_bytes_per_s": 1 << 30,
    "session_posts_per_s": 100_000,
    "mailbox_envelopes": 100_000,
    "mailbox_bytes": 1 << 30,
    "database_timeout_s": 2,
    "ping_every_s": 2,
    "answer_within_s": 4,
}


@dataclass
class Cluster:
    """Nodes share `directory`: keys, and the private PostgreSQL."""

    nodes: list[RelayProcess]
    directory: Path
    pair: Pair | None = None
    """A primary and its standby, instead of the private PostgreSQL."""
    links: list[Link] = field(default_factory=list)
    """What apps connect through, one a node."""
    small_disk: bool = False
    """Whether `directory`/var is a small file system of its own."""
    clock: Path | None = None
    """By how many seconds the nodes' wall clocks are off, as text (see altered_app.py)."""
    kills: Counter[str] = field(default_factory=Counter)
    """SIGKILLs that found their process, by what they hit: relay, worker, postmaster, backend, primary (of a pair, all of it)."""
    failovers: list[tuple[float, float]] = field(default_factory=list)
    """Of each, on the run's clock: when the primary died, when the standby had been promoted."""

    @property
    def postgres(self) -> Path:
        return self.directory / "var" / "postgres"

    def urls(self) -> list[str]:
        """As apps see the nodes."""
        return [link.url for link in self.links]

    async def postmaster(self) -> int:
        """Waits for one: after the last injury the nodes may still be starting it."""
        with trio.fail_after(60):
            while True:
                try:
                    pid = postmaster_pid(self.postgres)
                except (FileNotFoundError, IndexError, ValueError):
                    pid = 0
                if pid and alive(pid):
                    return pid
                await trio.sleep(0.05)

    async def database_processes(self) -> list[int]:
        """The postmaster, then its children."""
        return family(await self.postmaster())

    def kill(self, node: RelayProcess) -> None:
        """SIGKILL to all of a node."""
        self.kills["relay"] += node.process is not None and node.process.poll() is None
        node.kill()

    async def revive(self) -> None:
        """Every node runs again; those that do not are started, all at once."""
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                if node.process is None or node.process.poll() is not None:
                    node.kill()  # reaps it, and ends workers that outlived their parent
                    nursery.start_soon(trio.to_thread.run_sync, start_as_a_service, node)

    def log(self) -> str:
        return "\n".join(node.logged() for node in self.nodes)


def workers_of(node: RelayProcess) -> list[int]:
    """The parent and its workers."""
    assert node.process is not None
    return family(node.process.pid)


def start_as_a_service(node: RelayProcess) -> None:
    """As a service manager does it (deploy/systemd: Restart=always): a node that gave up, since PostgreSQL was still recovering, is
    started again, until one stays. Blocks."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return node.start()
        except AssertionError:
            assert node.process is not None
            if node.process.poll() is None or time.monotonic() > deadline:
                raise
            node.kill()
            time.sleep(0.1)


def send(pids: list[int], number: signal.Signals) -> int:
    """To how many it was sent: who is gone is passed over."""
    sent = 0
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        sent += 1
    return sent


def limit_files(pids: list[int], soft: int) -> None:
    """At most this many open files from now on; what is open stays."""
    for pid in pids:
        try:
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(soft, hard), hard))
        except ProcessLookupError:
            continue


def open_files(pid: int) -> int:
    """0 of a process that has just ended."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return 0


@contextmanager
def small_disk(place: Path, mebibytes: int) -> Iterator[None]:
    """A file system in memory of this size at `place`. Needs root."""
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=711", "sottovoce-faults", str(place)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def running_cluster(
    directory: Path,
    *,
    nodes: int = 1,
    application: str | None = None,
    environ: dict[str, str] | None = None,
    pair: Pair | None = None,
    disk_mebibytes: int | None = None,
    faked_time: bool = False,
    **settings: object,
) -> Iterator[Cluster]:
    """Started nodes of `application` on `pair`, else on the private PostgreSQL under `directory`; stopped at the end."""
    with ExitStack() as stack:
        if disk_mebibytes is not None:
            stack.enter_context(small_disk(directory / "var", disk_mebibytes))
        clock = directory / "clock" if faked_time else None
        if clock is not None:
            clock.write_text("0")
        running: list[RelayProcess] = []
        for number in range(nodes):
            place = directory / f"node{number}"
            place.mkdir(exist_ok=True)
            running.append(
                stack.enter_context(
                    running_relay(
                        place,
                        application=application or ("tests.faults.altered_app:app" if faked_time else "relay.app:app"),
                        database_url=pair.url if pair else None,
                        extra_environ={**(environ or {}), **({"CLOCK_FILE": str(clock)} if clock else {})},
                        **{**RAISED, "var_directory": directory / "var", **settings},
                    )
                )
            )
        links = [Link(node.port) for node in running]
        yield Cluster(running, directory, pair, links, disk_mebibytes is not None, clock)
