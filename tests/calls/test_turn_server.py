"""Debian's coturn under coturn.conf: what it relays, what it refuses, and what `relay turn-check` says of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
import trio

from relay.turn import TurnCredential, mint
from relay.turn_check import MUST_BE_REFUSED, Finding, check
from relay.turn_client import TurnAllocation, TurnError, connect, read_uri
from tests.calls.coturn import HOST, SECRET, Coturn, coturn, free_port
from tests.calls.sniffer import Sniffer, allowed, sniffer

TARGET_PORT = 7
"""Nobody else on a test machine sends to echo."""
DENIED = tuple(host for host in MUST_BE_REFUSED if host != HOST)
OPENED = ("denied-peer-ip=0.0.0.0-255.255.255.255", "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
"""The two lines that make it a closed relay; the boxes must hold without them."""


def _credential() -> TurnCredential:
    return mint(SECRET, math.ceil(time.time()) + 600)


async def _allocate(
    stack: AsyncExitStack, server: Coturn, credential: TurnCredential, transport: str = "udp"
) -> TurnAllocation:
    allocation = await stack.enter_async_context(connect(read_uri(server.url(transport))))
    await allocation.allocate(credential.username, credential.password)
    return allocation


def _words(findings: list[Finding], step: str) -> str:
    (found,) = [finding for finding in findings if finding.step == step]
    assert found.state == "bad", found
    return found.words


async def test_check_finds_it_well() -> None:
    async with coturn() as server:
        findings = await check((server.url("udp"), server.url("tcp")), SECRET, time.time)
    assert [(finding.step, finding.state) for finding in findings] == [
        (step, "ok") for step in ("allocate", "relay", "denied", "ipv4_only")
    ] * 2, findings


async def test_check_tells_a_wrong_secret_from_a_wrong_clock() -> None:
    async with coturn() as server:
        wrong = await check((server.url(),), "another secret", time.time)
        late = await check((server.url(),), SECRET, lambda: time.time() - 7200)
    assert "static-auth-secret" in _words(wrong, "allocate")
    assert "clocks differ" in _words(late, "allocate")


async def test_check_says_that_nobody_answers() -> None:
    port = free_port()
    for transport in ("udp", "tcp"):
        findings = await check((f"turn:{HOST}:{port}?transport={transport}",), SECRET, time.time)
        assert f"{transport.upper()} port {port}" in _words(findings, "allocate")
    assert "leads nowhere" in _words(await check(("turn:nobody.invalid:3478",), SECRET, time.time), "allocate")


async def test_check_notices_an_open_relay() -> None:
    async with coturn(without=("denied-peer-ip=",)) as server:
        words = _words(await check((server.url(),), SECRET, time.time), "denied")
    assert "127.0.0.1" in words
    assert "169.254.169.254" in words


async def test_check_notices_that_the_own_address_is_refused() -> None:
    async with coturn(without=("allowed-peer-ip=",)) as server:
        assert "allowed-peer-ip" in _words(await check((server.url(),), SECRET, time.time), "relay")


async def test_check_notices_a_full_server() -> None:
    async with coturn(extra=("total-quota=1",)) as server:
        assert "quota" in _words(await check((server.url(),), SECRET, time.time), "allocate")


@pytest.fixture
def watch() -> Iterator[Sniffer | None]:
    """What leaves the machine; None without root, and then only the answers are looked at."""
    if not allowed():
        yield None
        return
    with sniffer() as watching:
        yield watching


@pytest.mark.parametrize("without", [(), OPENED], ids=["closed", "boxes alone"])
async def test_the_attack_list_is_refused_and_no_packet_leaves(without: tuple[str, ...], watch: Sniffer | None) -> None:
    async with coturn(without) as server, AsyncExitStack() as stack:
        attacker = await _allocate(stack, server, _credential())
        for channel, host in enumerate(DENIED, 0x4000):
            with pytest.raises(TurnError) as refused:
                await attacker.permit((host, TARGET_PORT))
            assert refused.value.code in (403, 443), host
            with pytest.raises(TurnError):
                await attacker.bind_channel((host, TARGET_PORT), channel)
            for _ in range(3):
                await attacker.send((host, TARGET_PORT), b"is anybody there")
        # What is sent last has been handled when the answer to a later request is here.
        await attacker.permit((HOST, TARGET_PORT))
        if watch is not None:
            assert [gone for gone in watch.destinations() if gone[1] == TARGET_PORT] == []
            # And the sniffer is no sleeper: a permitted datagram is seen.
            await attacker.send((HOST, TARGET_PORT), b"hello")
            await watch.until_seen((HOST, TARGET_PORT))


async def test_a_closed_relay_sends_to_nobody_else_at_all() -> None:
    async with coturn() as server, AsyncExitStack() as stack:
        allocation = await _allocate(stack, server, _credential())
        for host in ("8.8.8.8", "127.0.0.3", "2606:4700::1"):
            with pytest.raises(TurnError):
                await allocation.permit((host, 443))


async def test_without_the_boxes_the_attack_goes_through(watch: Sniffer | None) -> None:
    """So that the test above is known to be able to fail."""
    async with coturn(without=("denied-peer-ip=",)) as server, AsyncExitStack() as stack:
        attacker = await _allocate(stack, server, _credential())
        await attacker.permit(("127.0.0.1", TARGET_PORT))
        await attacker.send(("127.0.0.1", TARGET_PORT), b"is anybody there")
        if watch is not None:
            await watch.until_seen(("127.0.0.1", TARGET_PORT))


@pytest.mark.parametrize("username", ["expired", "garbage", "wrong password"])
async def test_credentials_that_are_none(username: str) -> None:
    expired, good = mint(SECRET, int(time.time()) - 10), _credential()
    bad = {
        "expired": (expired.username, expired.password),
        "garbage": ("nobody", "nothing"),
        "wrong password": (good.username, expired.password),
    }[username]
    async with coturn() as server, connect(read_uri(server.url())) as client:
        with pytest.raises(TurnError) as refused:
            await client.allocate(*bad)
    assert refused.value.code == 401


async def test_ten_calls_hold_and_the_eleventh_is_refused() -> None:
    async with coturn(extra=("total-quota=20",)) as server, AsyncExitStack() as stack:
        pairs = []
        for _ in range(10):
            pair = [await _allocate(stack, server, _credential()) for _ in range(2)]
            await pair[0].permit(pair[1].relayed)
            await pair[1].permit(pair[0].relayed)
            pairs.append(pair)
        with pytest.raises(TurnError) as refused:
            await _allocate(stack, server, _credential())
        assert refused.value.code == 486
        for number, (one, other) in enumerate(pairs):
            await one.send(other.relayed, str(number).encode())
            with trio.fail_after(5):
                peer, heard = await other.receive()
            assert (peer, heard) == (one.relayed, str(number).encode())


async def test_one_credential_cannot_take_it_all() -> None:
    async with coturn() as server, AsyncExitStack() as stack:
        credential = _credential()
        for _ in range(12):
            await _allocate(stack, server, credential)
        with pytest.raises(TurnError) as refused:
            await _allocate(stack, server, credential)
        assert refused.value.code == 486
        await _allocate(stack, server, _credential())  # another one's quota is its own
