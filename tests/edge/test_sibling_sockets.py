"""Sockets between workers: how they find each other, and whom they do not let in."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from relay import sibling_sockets as module
from relay.sibling_sockets import Line, SiblingSockets


class Kept:
    """One end that keeps what it hears."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.heard_all: list[bytes] = []
        self.is_over = False
        self.wants = True

    def heard(self, message: memoryview) -> bool:
        if message == b"a bug":
            raise ValueError
        self.heard_all.append(bytes(message))
        return self.wants

    def ended(self) -> None:
        self.is_over = True


class Siblings:
    def __init__(self) -> None:
        self.givers: list[Kept] = []
        self.takers: list[Kept] = []

    def giver(self, line: Line) -> Kept:
        self.givers.append(Kept(line))
        return self.givers[-1]

    def taker(self, line: Line) -> Kept:
        self.takers.append(Kept(line))
        return self.takers[-1]

    async def run(self) -> None:
        await trio.sleep_forever()


class Machine:
    def __init__(self, nursery: trio.Nursery, directory: Path) -> None:
        self._nursery = nursery
        self.directory = directory

    async def start(self) -> tuple[Siblings, trio.CancelScope]:
        siblings = Siblings()
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await SiblingSockets(self.directory, siblings).run(task_status)

        await self._nursery.start(run)
        return siblings, scope


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    deep = tmp_path / ("a-path-that-is-longer-than-the-address-of-a-socket-may-be-" * 2) / "siblings"
    async with trio.open_nursery() as nursery:
        yield Machine(nursery, deep)
        nursery.cancel_scope.cancel()


async def until(condition: object) -> None:
    with trio.fail_after(10):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_all_that_run_meet_each_other_both_ways_and_messages_cross(machine: Machine) -> None:
    everybody = [(await machine.start())[0] for _ in range(3)]
    await until(lambda: all(len(one.givers) == len(one.takers) == 2 for one in everybody))
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert all(len(one.givers) == len(one.takers) == 2 for one in everybody), "each pair once each way"
    first, second, third = everybody
    for giver in first.givers:
        assert giver.line.send([b"give", b"n"])
    await until(lambda: [taker.heard_all for one in (second, third) for taker in one.takers].count([b"given"]) == 2)
    (taker,) = [taker for taker in second.takers if taker.heard_all]
    assert taker.line.send([b"back"])
    await until(lambda: [giver.heard_all for giver in first.givers].count([b"back"]) == 1)


async def test_the_directory_and_what_is_in_it_are_the_owners_alone_and_nothing_is_left(machine: Machine) -> None:
    _, scope = await machine.start()
    assert machine.directory.stat().st_mode & 0o777 == 0o700
    assert len(list(machine.directory.iterdir())) == 1
    scope.cancel()
    await until(lambda: not list(machine.directory.iterdir()))


async def test_one_that_ends_is_heard_to_end_and_its_successor_is_met(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    one, _ = await machine.start()
    _, scope = await machine.start()
    await until(lambda: one.givers and one.takers)
    scope.cancel()
    await until(lambda: one.givers[0].is_over and one.takers[0].is_over)
    assert not one.givers[0].line.send([b"anybody?"])
    await machine.start()
    await until(lambda: len(one.givers) == len(one.takers) == 2)


async def test_a_directory_that_others_may_read_is_not_used(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.directory.mkdir(parents=True)
    machine.directory.chmod(0o755)
    siblings, _ = await machine.start()
    assert list(machine.directory.iterdir()) == []
    assert "by the database only" in caplog.text
    assert not siblings.givers


async def test_a_process_of_another_user_is_neither_let_in_nor_given_to(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = await machine.start()
    (path,) = machine.directory.iterdir()
    other = os.open(machine.directory, os.O_RDONLY)
    monkeypatch.setattr(module, "_is_ours", lambda peer: False)  # as the kernel would say of another user's
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(f"/proc/self/fd/{other}/{path.name}")
        assert await trio.to_thread.run_sync(peer.recv, 10) == b""
    assert module._connected(other, path.name) is None
    os.close(other)
    assert not one.takers


def test_the_kernel_is_asked_whose_process_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert module._is_ours(ours)
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        assert not module._is_ours(ours)


async def test_what_a_dead_one_left_is_removed_when_it_is_old(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    machine.directory.mkdir(parents=True, mode=0o700)
    directory = os.open(machine.directory, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"/proc/self/fd/{directory}/dead")
    os.close(directory)
    await machine.start()
    await trio.sleep(0.1)
    assert (machine.directory / "dead").exists(), "it may be another machine's, on a shared disk"
    long_ago = time.time() - module.DEAD_AFTER_S - 1
    os.utime(machine.directory / "dead", (long_ago, long_ago))
    await until(lambda: not (machine.directory / "dead").exists())


async def test_one_that_does_not_read_holds_nobody_up_and_takes_no_more_than_its_buffer(machine: Machine) -> None:
    one, _ = await machine.start()
    (path,) = machine.directory.iterdir()
    directory = os.open(machine.directory, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        await until(lambda: one.takers)
        began = time.monotonic()
        sent = 0
        while one.takers[0].line.send([bytes(60_000)]):
            sent += 1
        assert time.monotonic() - began < 1
        assert 0 < sent < 100
    await until(lambda: one.takers[0].is_over)


async def test_too_many_open_files_do_not_end_the_process(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    one, _ = await machine.start()
    refuse = OSError(24, "Too many open files")

    def fail(*_: object) -> None:
        raise refuse

    with monkeypatch.context() as without:
        without.setattr(module.os, "listdir", fail)
        await trio.sleep(0.05)
    with monkeypatch.context() as without:
        without.setattr(module, "Line", fail)
        await machine.start()
        await trio.sleep(0.05)
        assert not one.takers
    await until(lambda: len(one.givers) == 1)


@pytest.mark.parametrize("said", [b"enough", b"a bug", bytes(module.MOST_A_MESSAGE)])
async def test_a_message_that_is_refused_or_too_large_or_meets_a_bug_cuts_its_line_only(
    machine: Machine, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = await machine.start()
    other, _ = await machine.start()
    await until(lambda: one.takers and other.givers and other.takers)
    one.takers[0].wants = False
    assert other.givers[0].line.send([said])
    await until(lambda: one.takers[0].is_over and other.givers[0].is_over)
    assert not other.takers[0].is_over
    assert ("ValueError" in caplog.text) == (said == b"a bug")
