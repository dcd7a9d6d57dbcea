"""People of the demo: each is the headless client, a process of its own with a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOBILE = Path(__file__).parents[2] / "mobile"
PATIENCE_S = 60.0


class DemoFailed(AssertionError):
    """Something that the demo promises did not happen."""


@dataclass
class Person:
    """One member. Commands run one at a time; `come_online` starts the process that receives and sends."""

    name: str
    directory: Path
    account: str = ""
    card: str = ""
    online: Online | None = field(default=None, repr=False)
    environ: dict[str, str] = field(default_factory=dict)
    hook: Path | None = None
    """A module that Node loads before the client: a client that has been tampered with."""

    def command(self, *command: str) -> list[str]:
        hook = [] if self.hook is None else ["--import", str(self.hook)]
        main = ["node", "--import", "tsx", *hook, "src/client/main.ts"]
        return [*main, *command, "--data", str(self.directory), "--json"]

    def run(self, *command: str) -> list[dict[str, Any]]:
        """One command of the client; its results, one JSON object a line.

        Raises:
            DemoFailed: it exited with an error; the message is what it said.
        """
        done = subprocess.run(
            self.command(*command), env=os.environ | self.environ,
            cwd=MOBILE, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise DemoFailed(f"{self.name}: {command[0]} exited with {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def join(self, invite: str, *flags: str) -> None:
        (joined,) = self.run("join", invite, "--name", self.name, *flags)
        self.account, self.card = joined["account"], joined["card"]

    def history(self, other: Person) -> list[dict[str, Any]]:
        return self.run("history", other.account)

    def come_online(self) -> Online:
        self.online = Online(self)
        self.online.wait_for(lambda event: event["event"] == "drained")
        return self.online


class Online:
    """A running `watch`: what it printed so far, and its standard input."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            person.command("watch"), env=os.environ | person.environ,
            cwd=MOBILE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()

    def write(self, to: Person, text: str) -> None:
        """Hands the text to the client, which has it on disk before anything leaves."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"send": {"to": to.account, "text": text}}) + "\n")
        self._process.stdin.flush()

    def wait_for(self, wanted: Any, count: int = 1) -> None:
        """Waits until `count` events satisfy `wanted`."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while sum(1 for event in self.events if wanted(event)) < count:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise DemoFailed(f"{self.person.name} waited in vain; last events: {self.events[-3:]}")

    def wait_for_texts(self, *texts: str) -> None:
        for text in texts:
            self.wait_for(lambda event, text=text: event["event"] == "message" and event["text"] == text)

    def kill(self) -> None:
        """SIGKILL: no chance to write anything down."""
        self._process.kill()
        self._process.wait()

    def leave(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
