"""Network namespaces: a place of its own for a server, joined to ours by one cable that can be pulled. Needs root and `ip` (iproute2)."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


def permitted() -> bool:
    """Whether this machine lets us make namespaces. Root without ip(8) has to learn it by a failure: `make setup-operator` brings that."""
    name = f"sv-try-{os.getpid()}"
    if os.geteuid() != 0:
        return False
    if shutil.which("ip") is None:
        return True
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Namespace:
    """`here` and `there` are the addresses of the two ends of its cable; nothing else leads into it or out of it."""

    name: str
    device: str
    here: str
    there: str

    def call(self, function: Callable[[], T]) -> T:
        """Runs it in a thread that is in the namespace; processes that it starts are there as well."""
        answers: list[T] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                with Path(f"/run/netns/{self.name}").open() as file:
                    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                answers.append(function())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return answers[0]

    def cut(self) -> None:
        """The cable is pulled: no packet arrives, and nobody is told."""
        _ip("-n", self.name, "link", "set", "inside", "down")

    def heal(self) -> None:
        _ip("-n", self.name, "link", "set", "inside", "up")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Removed at the end, and its cable with it. What a crash leaves is removed by the next one."""
    for left in Path("/run/netns").glob("sv-faults-*") if Path("/run/netns").exists() else ():
        if not Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            subprocess.run(["ip", "netns", "del", left.name], capture_output=True, check=False)
    number = os.getpid()
    net = f"10.203.{number // 64 % 256}"
    base = number % 64 * 4
    made = Namespace(f"sv-faults-{number}", f"svf{number}", f"{net}.{base + 1}", f"{net}.{base + 2}")
    _ip("netns", "add", made.name)
    try:
        _ip("link", "add", made.device, "type", "veth", "peer", "name", "inside", "netns", made.name)
        _ip("addr", "add", f"{made.here}/30", "dev", made.device)
        _ip("link", "set", made.device, "up")
        _ip("-n", made.name, "addr", "add", f"{made.there}/30", "dev", "inside")
        for device in ("lo", "inside"):
            _ip("-n", made.name, "link", "set", device, "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", made.device], capture_output=True, check=False)
