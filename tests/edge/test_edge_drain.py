"""From SIGTERM to the end of the process: who hears what, and how soon."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from relay import edge_worker
from tests.edge import wire
from tests.edge.server import ROOT, Server, serve
from tests.edge.wire import TEXT, frame
from tests.postgres.processes import command_of

TWO_WORKERS = ("-w", "2")


@pytest.mark.parametrize("options", [(), TWO_WORKERS], ids=["one worker", "two workers"])
def test_sessions_hear_1012_within_100_ms_of_sigterm(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The best of three, since the machine may be busy; and with two workers, of six sessions somewhere on them."""
    waits = []
    for attempt in range(3):
        with serve(tmp_path / f"log{attempt}", *options) as server:
            peers = [wire.Peer(server.port) for _ in range(6)]
            for peer in peers:
                peer.say(wire.upgrade(b"/session"))
                assert peer.hear_answer().status == 101
            asked = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert [peer.hear_close() for peer in peers] == [1012] * 6
            waits.append(time.monotonic() - asked)
            for peer in peers:
                peer.close()
            assert server.process.wait(10) == 0
        if waits[-1] < 0.1:
            return
    pytest.fail(f"1012 took {waits} s")


def test_idle_connections_do_not_hold_the_process(tmp_path: Path) -> None:
    with (
        serve(tmp_path / "log", drain_grace_s=12) as server,
        wire.connect(server.port) as silent,
        wire.connect(server.port, wire.request()) as kept,
        wire.connect(server.port, wire.request()[:-2]) as half,
    ):
        assert kept.hear_answer().status == 200
        assert server.stop() < 10
        assert all(peer.hear_end() for peer in (silent, kept, half))


@pytest.mark.parametrize("path", [b"/flood", b"/echo"], ids=["a stalled reader", "a session that does not end"])
def test_the_grace_ends_everything_that_is_left(tmp_path: Path, path: bytes) -> None:
    with (
        serve(tmp_path / "log", drain_grace_s=0.5) as server,
        wire.websocket(server.port, path, receive_buffer=4096),
    ):
        time.sleep(0.3)  # let the flood fill the kernel's buffers
        assert server.stop() < 2.5  # Hypercorn's own grace is 3 s, and a shielded write has none


def test_a_worker_that_is_done_does_not_cut_the_goodbyes_of_another(tmp_path: Path) -> None:
    """Hypercorn's parent terminates all workers when the first has ended; service managers do it from the start."""
    with (
        serve(tmp_path / "log", *TWO_WORKERS) as server,
        wire.websocket(server.port, b"/long-goodbye") as peer,
    ):
        server.process.send_signal(signal.SIGTERM)
        assert peer.hear_close() == 1012
        peer.close()
        server.process.wait(10)


def test_a_worker_that_is_told_to_stop_drains_too(tmp_path: Path) -> None:
    with serve(tmp_path / "log") as server, wire.websocket(server.port, b"/session") as peer:
        worker = server.worker()
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGTERM)
        assert peer.hear_close() == 1012


def test_a_worker_whose_parent_was_killed_drains_and_ends(tmp_path: Path) -> None:
    with serve(tmp_path / "log") as server, wire.websocket(server.port, b"/session") as peer:
        worker = server.worker()
        server.process.kill()
        assert peer.hear_close() == 1012
        peer.close()
        wait_until_gone(worker)


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + wire.PATIENCE_S
    while command_of(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_was_killed_holds_up_neither_its_parent_nor_another_worker(tmp_path: Path) -> None:
    """It was killed while it waited to be told. Hypercorn then stops the others, and ends."""
    with serve(tmp_path / "log", *TWO_WORKERS) as server:
        killed = server.worker()
        with some_session_at_another(server, killed) as peer:
            os.kill(killed, signal.SIGKILL)
            assert peer.hear_close() == 1012
            peer.close()
            server.process.wait(10)


@contextmanager
def some_session_at_another(server: Server, worker: int) -> Iterator[wire.Peer]:
    """Workers share the listener, so who gets a connection is chance."""
    deadline = time.monotonic() + wire.PATIENCE_S
    while True:
        assert time.monotonic() < deadline
        with wire.connect(server.port, wire.request(b"/")) as peer:
            if int(peer.hear_answer().body) != worker:
                peer.say(wire.upgrade(b"/session"))
                assert peer.hear_answer().status == 101
                yield peer
                return


class Steps(trio.abc.Instrument):
    count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@pytest.fixture
def sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("how", ["the parent says so", "SIGTERM"])
async def test_a_worker_does_nothing_until_it_is_told_and_then_at_once(how: str, sigterm: None) -> None:
    told = multiprocessing.get_context("spawn").Event()
    try:
        with trio.fail_after(wire.PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for _ in range(1 if how == "SIGTERM" else 3):  # the event is for all workers
                    nursery.start_soon(edge_worker.wait_for_stop, told, None)
                await trio.testing.wait_all_tasks_blocked()
                steps = Steps()
                trio.lowlevel.add_instrument(steps)
                await trio.sleep(0.3)
                trio.lowlevel.remove_instrument(steps)
                assert steps.count <= 2  # of this test
                if how == "SIGTERM":
                    os.kill(os.getpid(), signal.SIGTERM)
                else:
                    told.set()
        os.kill(os.getpid(), signal.SIGTERM)  # a second one does no harm
        assert told.is_set() == (how != "SIGTERM")
    finally:
        told.set()


def test_sigterm_does_no_harm_when_trio_has_ended(sigterm: None) -> None:
    async def begin_and_end() -> None:
        with trio.move_on_after(0.1):
            await edge_worker.wait_for_stop(told, None)

    told = multiprocessing.get_context("spawn").Event()
    try:
        trio.run(begin_and_end)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        told.set()


# -- install -----------------------------------------------------------------------------------------------------------

INSTALLED_TWICE = """
from hypercorn.config import Config
from relay import edge
assert Config().graceful_timeout == 3
first = edge.install(edge.EdgeSettings(drain_grace_s=7))
assert edge.install() is first is edge.install(edge.EdgeSettings(drain_grace_s=7))
try:
    edge.install(edge.EdgeSettings(drain_grace_s=8))
except RuntimeError:
    pass
else:
    raise AssertionError
assert Config().graceful_timeout == 7
assert Config.from_mapping(graceful_timeout=11).graceful_timeout == 11
assert Config().alpn_protocols == ["http/1.1"]
"""


def test_install_holds_once_and_leaves_the_operator_his_grace() -> None:
    subprocess.run([sys.executable, "-c", INSTALLED_TWICE], cwd=ROOT, check=True, timeout=60)


def test_the_operators_grace_wins(tmp_path: Path) -> None:
    with (
        serve(tmp_path / "log", "--graceful-timeout", "0", drain_grace_s=30) as server,
        wire.websocket(server.port) as peer,
    ):
        peer.say(frame(TEXT, b"x"))
        assert peer.hear_frame().payload == b"x"
        assert server.stop() < 10


def test_a_stopped_server_ends_cleanly(tmp_path: Path) -> None:
    with serve(tmp_path / "log") as server:
        server.stop()
        assert (server.process.returncode, "Traceback" in server.logged()) == (0, False)
