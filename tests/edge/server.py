"""Starts the real `hypercorn -k trio` on a socket of ours, so that no port is ever guessed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.edge import wire

ROOT = Path(__file__).parents[2]
START_S = 30.0


@dataclass
class Server:
    """A running hypercorn. `process` is the parent; its workers are its children."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def logged(self) -> str:
        return self.log.read_text()

    def wait_until_logged(self, text: str) -> None:
        deadline = time.monotonic() + wire.PATIENCE_S
        while text not in self.logged():
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.logged()}"
            time.sleep(0.02)

    def worker(self) -> int:
        """The process id of the worker that answers now."""
        return int(wire.get(self.port).body)

    def stop(self) -> float:
        """Send SIGTERM to the parent and give the seconds until it was gone. Fails after 15."""
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - asked


@contextlib.contextmanager
def serve(
    log: Path,
    *options: str,
    app: str = "tests.edge.hostile_app:app",
    wait: bool = True,
    open_files: int | None = None,
    **limits: float,
) -> Iterator[Server]:
    """Run `app` until the block ends. `limits` are fields of `EdgeSettings`, handed over in the environment."""
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as stderr:
        number = listener.fileno()
        prefix = [] if open_files is None else ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh"]
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "hypercorn", "-k", "trio", "-b", f"fd://{number}", *options, app],
            cwd=ROOT,
            env={**os.environ, **{name: str(value) for name, value in limits.items()}},
            pass_fds=[number],
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
        server = Server(process, listener.getsockname()[1], log)
    try:
        if wait:
            _wait_until_it_answers(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError, EOFError):
            server.worker()
            return
        time.sleep(0.05)
    raise AssertionError(f"hypercorn did not start:\n{server.logged()}")
