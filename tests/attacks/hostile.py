"""A crowd in a process of its own: holds so many connections that say nothing, half a request, or an upgrade and no frame, and opens each
again when it is sent away. `python -m tests.attacks.hostile PORT COUNT` says a line when the crowd is as large as it gets, ends with
standard input, and tells how many it opened in all, and how many were open since that line at the least and on the average."""

# ruff: noqa: T201  # its parent reads it
from __future__ import annotations

import contextlib
import os
import resource
import selectors
import socket
import sys
import time
from pathlib import Path

SILENT = b""
HALF_A_HEAD = b"GET /v1/relay HTTP/1.1\r\nHost: relay.test\r\nX-Slow: "
UPGRADED = (
    b"GET /v1/post HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
WORDS = (SILENT, HALF_A_HEAD, UPGRADED)
GROWS_FOR_S = 40.0
"""Whoever is sent away after ten seconds must be replaced meanwhile: there is a size that one process does not get past."""
MOST_TRYING = 500
AT_ONCE = 200
"""Connections opened between two looks at those that are there."""


def give_way() -> None:
    """To whoever else wants the processor: in life a crowd has machines of its own. Where Linux shares it out by session first
    (sched(7), autogroup), a process's own niceness counts in its session only."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(19)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def main(port: int, count: int) -> None:
    give_way()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = selectors.DefaultSelector()
    crowd.register(sys.stdin, selectors.EVENT_READ)
    here = trying = opened = 0
    seen: list[int] = []
    began = time.monotonic()
    told = False
    while True:
        for _ in range(min(AT_ONCE, count - here - trying, MOST_TRYING - trying)):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            crowd.register(one, selectors.EVENT_WRITE)
            trying += 1
        if told:
            seen.append(here)
        elif here >= count - AT_ONCE or time.monotonic() > began + GROWS_FOR_S:
            told = True
            print("as large as it gets", flush=True)
        for key, event in crowd.select(0.05):
            if key.fileobj is sys.stdin:
                print(opened, min(seen), sum(seen) // len(seen), flush=True)
                return
            one = key.fileobj  # type: ignore[assignment]
            if event & selectors.EVENT_WRITE:
                trying -= 1
                if _speaks(one, opened):
                    crowd.modify(one, selectors.EVENT_READ)
                    here, opened = here + 1, opened + 1
                    continue
            elif not _is_over(one):
                continue
            else:
                here -= 1
            crowd.unregister(one)
            one.close()
        time.sleep(0.01)


def _speaks(one: socket.socket, number: int) -> bool:
    try:
        return not one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) and one.send(WORDS[number % len(WORDS)]) >= 0
    except OSError:
        return False


def _is_over(one: socket.socket) -> bool:
    try:
        return not one.recv(65536)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
