"""A process of a relay, as far as its private PostgreSQL is concerned: `python -m tests.postgres.one_user DIRECTORY`.

Says "in" when it may use the server and leaves on end of input or SIGTERM.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import trio

from relay.embedded_postgres import private_postgres
from tests.postgres.server import TEST_SETTINGS


async def main(directory: Path) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_sigterm, nursery.cancel_scope)
        async with private_postgres(directory, settings=TEST_SETTINGS):
            print("in", flush=True)  # noqa: T201 (the parent reads it)
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def stop_on_sigterm(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored, by inheritance
    trio.run(main, Path(sys.argv[1]))
