"""The newcomer's way, step by step as docs/operations.md has it, with the time of each. Exits 0 only if two people have talked.

With --fresh the project is cloned and installed first, as it would be on a new machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.demo import people
from tests.demo.people import DemoFailed, Person
from tests.live.relay_process import ROOT
from tests.postgres.server import temporary_directory

MOST_S = 600.0
READY_WITHIN_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make newcomer", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="clone and install first; takes minutes")
    fresh = parser.parse_args().fresh
    began = time.monotonic()
    try:
        with temporary_directory() as directory:
            _story(directory, fresh)
    except (DemoFailed, AssertionError, subprocess.SubprocessError) as failure:
        print(f"FAILED: {failure}")  # noqa: T201
        return 1
    took = time.monotonic() - began
    print(f"\nTwo people have talked, {took:.0f} s after the beginning{'' if fresh else ' (installation left out)'}.")  # noqa: T201
    return 0 if took < MOST_S else 1


@contextmanager
def _step(title: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"{title} ...", flush=True)  # noqa: T201
    yield
    print(f"    {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201


def _story(directory: Path, fresh: bool) -> None:
    checkout = ROOT
    if fresh:
        checkout = directory / "relay"
        with _step("git clone; make setup"):
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
            subprocess.run(["make", "--no-print-directory", "setup"], cwd=checkout, check=True)
            people.MOBILE = checkout / "mobile"
    bin_ = checkout / ".venv/bin"
    home = directory / "home"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    def relay(*arguments: str) -> str:
        done = subprocess.run(
            [bin_ / "relay", *arguments],
            cwd=home,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"relay {arguments[0]} exited with {done.returncode}: {done.stderr}"
        return done.stdout

    home.mkdir()
    with _step(f"relay init . --public-url {url}"):
        next_steps = relay("init", ".", "--public-url", url)
    told = re.search(r"^  (hypercorn .*?\S)  +", next_steps, re.MULTILINE)
    assert told is not None, "relay init does not say what comes next"
    command = told[1].replace("127.0.0.1:8000", f"127.0.0.1:{port}").split()
    with _step(" ".join(command)), (directory / "relay.log").open("wb") as log:
        process = subprocess.Popen(
            [bin_ / command[0], *command[1:]], cwd=home, env=environ, stdout=log, stderr=log, start_new_session=True
        )
        _until(lambda: _answers(url), process)
    try:
        with _step("relay invite, twice"):
            invites = [json.loads(relay("invite", "--json"))[0]["link"] for _ in range(2)]
        with _step("two people join"):
            ada, ben = Person("Ada", directory / "ada"), Person("Ben", directory / "ben")
            for person, invite in zip((ada, ben), invites, strict=True):
                person.join(invite)
            ada.run("add", ben.card)
        with _step("they talk"):
            ada.run("send", "Ben", "Is anybody there?", "--wait")
            online = ben.come_online()
            online.wait_for_texts("Is anybody there?")
            online.write(ada, "I am.")
            answer = ada.come_online()
            answer.wait_for_texts("I am.")
            online.leave()
            answer.leave()
        with _step("relay check"):
            assert json.loads(relay("check", "--json"))["ok"] is True
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urlopen(url + "/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not true():
        assert process.poll() is None, "the relay ended"
        assert time.monotonic() < deadline, "the relay was not ready in time"
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
