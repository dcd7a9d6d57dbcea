"""A phone: the whole client core in a process of its own, asked through the interface that screens use."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOBILE = Path(__file__).parents[2] / "mobile"
PROCESS = "tests/support/messenger_process.ts"
PATIENCE_S = 60.0


class PhoneFailed(AssertionError):
    """A call was refused, or something did not happen. `code` is that of the client's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Phone:
    """`hook`: a module that Node loads before the client, for a client that has been tampered with."""

    def __init__(self, directory: Path, *, hook: Path | None = None, environ: dict[str, str] | None = None) -> None:
        directory.mkdir(mode=0o700)
        before = [] if hook is None else ["--import", str(hook)]
        self._process = subprocess.Popen(
            ["node", "--import", "tsx", *before, PROCESS, str(directory)],
            cwd=MOBILE, env=os.environ | (environ or {}), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._asked = 0
        threading.Thread(target=self._read, daemon=True).start()

    def call(self, method: str, *params: Any) -> Any:
        """A method of the Messenger interface.

        Raises:
            PhoneFailed: with the code of its error.
        """
        assert self._process.stdin is not None
        self._asked += 1
        number = self._asked
        self._process.stdin.write(json.dumps({"id": number, "method": method, "params": params}) + "\n")
        self._process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while number not in self._answers:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise PhoneFailed("no_answer", method)
            answer = self._answers.pop(number)
        if "error" in answer:
            raise PhoneFailed(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def texts(self, peer: str) -> list[str | None]:
        """What others wrote in the newest page of a conversation."""
        page = self.call("messages", peer, {"before": None, "limit": 50})
        return [message["text"] for message in page["messages"] if not message["mine"]]

    def until(self, what: str, done: Callable[[], bool]) -> None:
        """Polls until it is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > deadline:
                raise PhoneFailed("waited_in_vain", what)
            time.sleep(0.05)

    def close(self) -> None:
        """Ends it in an orderly way, or by force after a while."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._changed:
                self._answers[answer["id"]] = answer
                self._changed.notify_all()
