"""Whether calls would work: every TURN URI is tried as two phones would use it, and what is wrong is said in words.

For each URI: two allocations, a permission each way, a datagram through both and back. Then what must not work: permissions towards the
server's own machine and networks, and a relayed IPv6 address.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import trio

from relay.turn import TurnCredential, mint
from relay.turn_client import TurnAllocation, TurnError, TurnServer, TurnUnreachable, connect, read_uri

State = Literal["ok", "bad"]

MUST_BE_REFUSED: Final = (
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 - a peer address that must be refused, nothing is bound
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.0.1",
    "169.254.169.254",  # where clouds hand out the machine's credentials
    "fd00::1",
    "fe80::1",
)
_ECHO_WITHIN_S: Final = 3
_SHORT_S: Final = 3600
_TEN_YEARS_S: Final = 10 * 365 * 86400


class Finding(NamedTuple):
    """One step: what was tried, whether it is well, and in words what follows."""

    url: str
    step: str
    state: State
    words: str


async def check(urls: tuple[str, ...], secret: str, wall_clock: Callable[[], float]) -> list[Finding]:
    """All findings, in order; a URI whose allocation fails has no later steps."""
    findings: list[Finding] = []
    for url in urls:
        findings += await _check_one(url, secret, wall_clock)
    return findings


async def _check_one(url: str, secret: str, wall_clock: Callable[[], float]) -> list[Finding]:
    server = read_uri(url)
    if server.secure:
        words = (
            "a turns: URI is not tried: phones trust only certificates built into WebRTC, and Let's Encrypt's are not among them. "
            "Offer turn: instead"
        )
        return [Finding(url, "allocate", "bad", words)]
    findings: list[Finding] = []
    try:
        async with connect(server) as one, connect(server) as other:
            credential = mint(secret, math.ceil(wall_clock()) + _SHORT_S)
            try:
                for allocation in (one, other):
                    await allocation.allocate(credential.username, credential.password)
            except TurnError as error:
                words = await _why_no_allocation(server, error, secret, wall_clock)
                return [Finding(url, "allocate", "bad", words)]
            findings.append(Finding(url, "allocate", "ok", f"relayed addresses on {one.relayed[0]}"))
            findings.append(await _echo(url, one, other))
            findings.append(await _refusals(url, one))
            findings.append(await _no_ipv6(url, server, credential))
    except TurnUnreachable as error:
        words = (
            f"not reachable ({error}); does coturn run there, and does the firewall let {server.transport.upper()} port {server.port} "
            "through?"
        )
        findings.append(Finding(url, "allocate", "bad", words))
    return findings


async def _why_no_allocation(server: TurnServer, error: TurnError, secret: str, wall_clock: Callable[[], float]) -> str:
    if error.code == 401:
        # An expired name and a wrong secret look alike. One that lasts ten years tells them apart.
        lasting = mint(secret, int(wall_clock()) + _TEN_YEARS_S)
        try:
            async with connect(server) as probe:
                await probe.allocate(lasting.username, lasting.password)
        except (TurnError, TurnUnreachable):
            return (
                "coturn refuses the credential: its static-auth-secret is not this relay's. Write its configuration again with "
                "`relay turn-config` and restart coturn"
            )
        return "the clocks differ: to coturn, a credential that is good for an hour has expired. Set the time on both machines (NTP)"
    words = {
        403: "coturn forbids allocations to this client",
        437: "coturn still has an allocation for this port; try again in a minute",
        442: "coturn does not relay UDP (no-udp-relay is set)",
        486: "a quota is full: user-quota or total-quota in coturn's configuration; either many people call now or the quota is too small",
        508: "coturn has no room: its port range (min-port to max-port) or bps-capacity is used up",
    }
    return words.get(error.code, f"coturn answers {error}")


async def _echo(url: str, one: TurnAllocation, other: TurnAllocation) -> Finding:
    """A datagram from one allocation to the other and back, as media goes."""
    step = "relay"
    try:
        await one.permit(other.relayed)
        await other.permit(one.relayed)
    except TurnError as error:
        words = (
            f"coturn refuses its own address as a peer ({error}): set allowed-peer-ip to it, which is what `relay turn-config` does"
            if error.code == 403
            else f"no permission for the other end: coturn answers {error}"
        )
        return Finding(url, step, "bad", words)
    sent = secrets.token_bytes(64)
    with trio.move_on_after(_ECHO_WITHIN_S):
        for sender, receiver in ((one, other), (other, one)):
            while True:  # a datagram may be lost: say it again until it is heard
                await sender.send(receiver.relayed, sent)
                with trio.move_on_after(0.5):
                    if (await receiver.receive())[1] == sent:
                        break
        return Finding(url, step, "ok", "a datagram went through and came back")
    words = (
        f"nothing came through within {_ECHO_WITHIN_S} s: the machine does not let UDP reach its own relayed ports (min-port to max-port), "
        "or external-ip is wrong"
    )
    return Finding(url, step, "bad", words)


async def _refusals(url: str, allocation: TurnAllocation) -> Finding:
    """Permissions that would let members of the relay look into the operator's network."""
    let_in = []
    for host in MUST_BE_REFUSED:
        if host == allocation.relayed[0]:
            continue  # a server on a private or loopback address, for tests
        try:
            await allocation.permit((host, 80))
        except TurnError:
            continue
        let_in.append(host)
    if let_in:
        words = (
            f"coturn would send to {', '.join(let_in)}: anybody who may call could reach your own network. "
            "Use the denied-peer-ip lines of coturn.conf"
        )
        return Finding(url, "denied", "bad", words)
    return Finding(url, "denied", "ok", "addresses of this machine and of private networks are refused")


async def _no_ipv6(url: str, server: TurnServer, credential: TurnCredential) -> Finding:
    try:
        async with connect(server) as third:
            await third.allocate(credential.username, credential.password, ipv6=True)
    except TurnError:
        return Finding(url, "ipv4_only", "ok", "no relayed IPv6 addresses")
    words = (
        "coturn gives relayed IPv6 addresses, by which version 4.6 can be led to this machine (CVE-2026-27624). "
        "Set relay-ip to an IPv4 address only"
    )
    return Finding(url, "ipv4_only", "bad", words)
