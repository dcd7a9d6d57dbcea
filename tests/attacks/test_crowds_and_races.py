"""Many at once: sockets that say nothing, one envelope from a hundred senders, headers that claim to be somebody."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.attacks.hostile import WORDS
from tests.live.app import App, answers, call, new_body, post
from tests.live.relay_process import RelayProcess, running_relay
from tests.live.test_conversation import join
from tests.postgres.processes import family
from tests.postgres.server import temporary_directory

CROWD = int(os.environ.get("CROWD", "900"))
"""Hostile connections; CROWD=10000 is the long run (both sides need as many open files)."""


def allow_files(crowd: int) -> None:
    """As many open files as both ends of a crowd need, as far as the machine lets us; processes that are started inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 3 * crowd + 2000 if hard == resource.RLIM_INFINITY else min(hard, 3 * crowd + 2000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    allow_files(CROWD)
    with (
        temporary_directory() as directory,
        running_relay(directory, posts_burst=100_000, session_posts_per_s=100_000, first_frame_within_s=5) as running,
    ):
        yield running


def resident_kib(relay: RelayProcess) -> int:
    """Proportional memory of the relay's own processes (Pss: what is shared counts once)."""
    assert relay.process is not None
    total = 0
    for pid in family(relay.process.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(rollup.partition("\nPss:")[2].split()[0])
    return total


async def exchange(app: App, count: int) -> None:
    async with app.mailbox() as mailbox, app.posting() as posting:
        for _ in range(count):
            envelope = app.envelope()
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
            while (frame := await mailbox.next())["type"] != "deliver":
                pass
            assert [one["id"] for one in frame["envelopes"]] == [envelope["id"]]
            await mailbox.say({"type": "ack", "ids": [envelope["id"]]})


async def test_a_crowd_of_unauthenticated_sockets_costs_little_and_is_sent_away(relay: RelayProcess) -> None:
    """Honest members go on meanwhile; memory stays in proportion; nobody may stay who does not say who he is or what he wants."""
    (bob,) = await join(relay)
    await exchange(bob, 5)
    before = resident_kib(relay)
    crowd: list[socket.socket] = []
    try:
        for n in range(CROWD):
            one = socket.create_connection(("127.0.0.1", relay.port), timeout=20)
            one.sendall(WORDS[n % len(WORDS)])
            crowd.append(one)
        await exchange(bob, 20)
        grown = resident_kib(relay) - before
        assert grown < 60 * CROWD, f"{grown / CROWD:.0f} KiB a connection"
        await exchange(bob, 20)
        left = await trio.to_thread.run_sync(_not_sent_away, crowd)
        assert left == 0, f"{left} of {CROWD} may stay"
    finally:
        for one in crowd:
            one.close()
    await exchange(bob, 5)


def _not_sent_away(crowd: list[socket.socket]) -> int:
    """Reads each connection to its end, a deadline for all."""
    deadline = time.monotonic() + 45
    left = 0
    for one in crowd:
        one.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            while one.recv(65536):
                pass
        except TimeoutError:
            left += 1
        except ConnectionError:
            pass
    return left


async def test_one_envelope_from_a_hundred_senders_at_once_is_one_envelope(relay: RelayProcess) -> None:
    """The same id and body in parallel, then the same id with a hundred other bodies: everybody gets the one right answer."""
    (bob,) = await join(relay)
    envelope = bob.envelope()
    verdicts: Counter[str] = Counter()

    async def send(one: dict[str, object]) -> None:
        async with bob.posting() as posting:
            await posting.say({"type": "post", "envelopes": [one]})
            verdicts.update((await answers(posting, 1)).values())

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(send, envelope)
    assert verdicts == {"posted": 100}
    verdicts.clear()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(send, bob.envelope(new_body(), id=envelope["id"]))
    assert verdicts == {"conflict": 100}
    waiting = await bob.drain()
    assert [(one["id"], one["body"]) for one in waiting] == [(envelope["id"], envelope["body"])]


FORGED = {
    "CF-Connecting-IP": "203.0.113.77",
    "X-Forwarded-For": "203.0.113.77, 198.51.100.4",
    "X-Real-IP": "203.0.113.77",
    "True-Client-IP": "203.0.113.77",
    "Forwarded": "for=203.0.113.77;proto=https;host=evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
}


async def test_forged_addresses_change_no_answer_and_leave_no_trace(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    plain = await call(relay.url, "GET", "/v1/account", None, bob.bearer)
    forged = await call(relay.url, "GET", "/v1/account", None, {**bob.bearer, **FORGED})
    assert (plain.status, plain.body) == (forged.status, forged.body)
    # Neither lane takes them for an Origin, and no error path quotes them.
    for path in ("/v1/relay", "/v1/nothing", "/v1/account"):
        await call(relay.url, "GET", path, None, FORGED)
        await call(relay.url, "POST", path, b"{", FORGED)
    assert "203.0.113.77" not in relay.logged()
    assert "evil.example" not in relay.logged()


SMUGGLED = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/relay HTTP/1.1\r\nHost: x\r\n\r\n",
    "an odd encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "encoding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a space before the colon": b"Content-Length : 5\r\n\r\nhello",
    "a folded header": b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a bare line feed": b"X-A: b\nContent-Length: 0\r\n\r\n",
    "a null": b"X-A: b\x00c\r\n\r\n",
    "a bad chunk size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED)
async def test_a_request_that_two_servers_could_read_in_two_ways_is_one_request_at_most(
    relay: RelayProcess, rest: bytes
) -> None:
    """Behind a proxy, a second request hidden in the first one would be answered to somebody else."""

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as peer:
            peer.sendall(
                b"POST /v1/discovery/lookup HTTP/1.1\r\nHost: relay.test\r\nContent-Type: application/json\r\n" + rest
            )
            heard = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while data := peer.recv(65536):
                    heard += data
            return heard

    heard = await trio.to_thread.run_sync(ask)
    assert heard.count(b"HTTP/1.1 ") <= 1
    assert b"HTTP/1.1 2" not in heard
    assert (await call(relay.url, "GET", "/healthz")).status == 200
