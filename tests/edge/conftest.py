from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.edge import wire
from tests.edge.server import Server, serve

LIMITS = {"write_deadline_s": 1.5, "head_deadline_s": 1.5, "max_message_bytes": 20_000}
OPTIONS = ("--keep-alive", "60", "--access-logfile", "-", "--server-name", "relay.test")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One hypercorn for every test that does not stop it, with short deadlines and an operator who wants an access log."""
    with serve(tmp_path_factory.mktemp("edge") / "log", *OPTIONS, **LIMITS) as running:
        yield running


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """The server's port, and the proof that what the test did there harmed nobody else.

    A session that was open before must still be served afterwards, by the same worker.
    """
    worker = server.worker()
    with wire.websocket(server.port) as witness:
        yield server.port
        witness.say(wire.frame(wire.TEXT, b"still here"))
        assert witness.hear_frame() == (wire.TEXT, b"still here", True)
    assert server.worker() == worker


@pytest.fixture
def noted(server: Server) -> Callable[[str], None]:
    """Wait until a handler has noted one more `what` than when the test began."""
    before = _notes(server)

    def wait_for(what: str) -> None:
        deadline = time.monotonic() + wire.PATIENCE_S
        while _notes(server).get(what, 0) <= before.get(what, 0):
            assert time.monotonic() < deadline, f"no handler noted {what!r}: {_notes(server)}"
            time.sleep(0.05)

    return wait_for


def _notes(server: Server) -> dict[str, int]:
    notes: dict[str, int] = json.loads(wire.get(server.port, b"/notes").body)
    return notes
