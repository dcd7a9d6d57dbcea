"""A relay as an operator starts it, on a socket of ours (so that no port is ever guessed) and a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
START_S = 60.0


@dataclass
class RelayProcess:
    """One `hypercorn` with its workers. Start it again with `start` after `kill` or `stop`: same port, same directory."""

    listener: socket.socket
    log: Path
    environ: dict[str, str]
    options: tuple[str, ...] = ()
    application: str = "relay.app:app"
    root: Path = ROOT
    """The checkout whose relay it is."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://{self.listener.getsockname()[0]}:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        with self.log.open("ab") as stderr:
            number = self.listener.fileno()
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "hypercorn",
                    "-k",
                    "trio",
                    "-b",
                    f"fd://{number}",
                    *self.options,
                    self.application,
                ],
                cwd=self.root,
                env=self.environ,
                pass_fds=[number],
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(URLError, OSError), urlopen(self.url + "/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the relay did not start:\n{self.logged()}")

    def stop(self) -> float:
        """SIGTERM to the parent; the seconds until it was gone. Fails after 15."""
        assert self.process is not None
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - asked

    def kill(self) -> None:
        """SIGKILL to all of it, the embedded PostgreSQL (which has a session of its own) excepted."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def logged(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def invite(self, count: int = 1) -> list[str]:
        """Links, from the operator's command (of the same checkout)."""
        relay = [sys.executable, "-c", "from relay.cli import main; main()"]
        command = [*relay, "invite", "--json", "--count", str(count)]
        printed = subprocess.run(command, cwd=self.root, env=self.environ, check=True, capture_output=True).stdout
        return [one["link"] for one in json.loads(printed)]


@contextlib.contextmanager
def running_relay(
    directory: Path,
    *options: str,
    database_url: str | None = None,
    address: str = "127.0.0.1",
    application: str = "relay.app:app",
    extra_environ: Mapping[str, str] | None = None,
    root: Path = ROOT,
    **settings: object,
) -> Iterator[RelayProcess]:
    """A started relay; killed at the end. Without `database_url` it has an embedded PostgreSQL."""
    with socket.create_server((address, 0)) as listener:
        url = f"http://{address}:{listener.getsockname()[1]}"
        named = {"var_directory": directory / "var", "public_url": url, **settings}
        if database_url is not None:
            named["database_url"] = database_url
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
        named_in_environ = {f"SOTTOVOCE_{name.upper()}": str(value) for name, value in named.items()}
        environ = {**clean, **named_in_environ, **(extra_environ or {})}
        relay = RelayProcess(listener, directory / "relay.log", environ, options, application, root)
        try:
            relay.start()
            yield relay
        finally:
            if relay.process is not None and relay.process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    relay.stop()
            relay.kill()
