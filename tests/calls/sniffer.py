"""Every IP packet that leaves this machine, loopback included, seen through a packet socket. Needs root, as Linux has it."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import trio

_ALL = 0x0003
_OUTGOING = 4  # PACKET_OUTGOING (linux/if_packet.h)


def allowed() -> bool:
    return os.geteuid() == 0


class Sniffer:
    """UDP datagrams by destination, collected by the kernel while a test runs."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    def destinations(self) -> set[tuple[str, int]]:
        """Where UDP datagrams have gone since the last look."""
        found = set()
        while True:
            try:
                packet, where = self._raw.recvfrom(65536)
            except BlockingIOError:
                return found
            if where[2] != _OUTGOING:
                continue
            if (destination := _destination(where[1], packet)) is not None:
                found.add(destination)

    async def until_seen(self, destination: tuple[str, int]) -> None:
        with trio.fail_after(5):
            while destination not in self.destinations():  # noqa: ASYNC110 - a packet socket has no event of Trio's
                await trio.sleep(0.01)


def _destination(protocol: int, packet: bytes) -> tuple[str, int] | None:
    if protocol == 0x0800 and packet[9] == socket.IPPROTO_UDP:
        header = (packet[0] & 0x0F) * 4
        return str(ip_address(packet[16:20])), struct.unpack_from(">H", packet, header + 2)[0]
    if protocol == 0x86DD and packet[6] == socket.IPPROTO_UDP:
        return str(ip_address(packet[24:40])), struct.unpack_from(">H", packet, 42)[0]
    return None


@contextmanager
def sniffer() -> Iterator[Sniffer]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        raw.setblocking(False)
        yield Sniffer(raw)
