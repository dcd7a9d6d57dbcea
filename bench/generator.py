"""The load generator as the bench sees it: a process that is told a job and says when it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from bench.systems import ROOT

BUSY = 0.80
"""Share of its core above which the generator may be what was measured."""


class LoadFailed(Exception):
    """The generator gave up; the text says why."""


class Generator:
    """Its lines, as they come."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""

    async def next(self) -> dict[str, Any]:
        """Raises LoadFailed on an error line and at the end of its output."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            piece = await self._process.stdout.receive_some()
            if not piece:
                raise LoadFailed("the generator ended without a result")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        if said["event"] == "error":
            raise LoadFailed(said["text"])
        return said

    async def expect(self, event: str) -> dict[str, Any]:
        """The next line, which must be this event."""
        said = await self.next()
        if said["event"] != event:
            raise LoadFailed(f"{said['event']} instead of {event}")
        return said

    async def say(self, word: str = "go") -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(word.encode() + b"\n")


@asynccontextmanager
async def generating(job: dict[str, Any], *, within_s: float = 300.0) -> AsyncIterator[Generator]:
    """The generator at work on `job`; killed when the block is left. Raises trio.TooSlowError after `within_s`."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        with trio.fail_after(within_s):
            generator = Generator(process)
            await generator.say(json.dumps(job))
            yield generator
    finally:
        with trio.CancelScope(shield=True):
            with trio.move_on_after(2):
                await process.wait()  # it has said its result, usually
            if process.poll() is None:
                process.kill()
            await process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.aclose()
            await process.stdout.aclose()


async def measured(
    job: dict[str, Any], begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
) -> dict[str, Any]:
    """Runs the job; `begin` and `end` are called when its measuring begins and ends. Answers what it says last."""
    async with generating(job) as generator:
        await generator.expect("begin")
        await begin()
        if "messages" in job:
            await generator.say()
        await generator.expect("end")
        await end()
        result = await generator.expect("result")
    return {key: value for key, value in result.items() if key != "event"}
