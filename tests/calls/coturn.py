"""Debian's coturn on loopback, with coturn.conf as operators get it and only what loopback needs changed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import trio

from relay.turn_client import TurnServer, TurnUnreachable, connect
from relay.turn_config import filled, template
from tests.postgres.server import temporary_directory

SECRET = "a-secret-of-the-tests"
HOST = "127.0.0.2"
"""Not 127.0.0.1, so that the machine itself can be among the addresses that are refused."""
MISSING = "coturn is not installed; `make setup-calls` installs it, or: apt-get install coturn"


@dataclass(frozen=True)
class Coturn:
    port: int
    process: subprocess.Popen[bytes]
    host: str = HOST

    def url(self, transport: str = "udp") -> str:
        return f"turn:{self.host}:{self.port}?transport={transport}"


def free_port(host: str = HOST) -> int:
    """For UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((host, port))
            except OSError:
                continue
            return port


def configuration(
    port: int, without: Sequence[str] = (), extra: Sequence[str] = (), host: str = HOST, secret: str = SECRET
) -> str:
    """coturn.conf for loopback, or whatever `host` is on; lines that begin with one of `without` are left out."""
    text = filled(template(), secret=secret, public=IPv4Address(host))
    lines = (
        [line for line in text.splitlines() if not line.startswith(tuple(without))] if without else text.splitlines()
    )
    replaced = ["listening-port=", "min-port=", "max-port="]
    lines = [line for line in lines if not line.startswith(tuple(replaced))]
    # Loopback peers are refused whatever the lists say, unless this is set; with it the lists alone decide.
    own = [f"listening-port={port}", "min-port=20000", "max-port=29999", "allow-loopback-peers"]
    return "\n".join([*lines, *own, *extra]) + "\n"


@asynccontextmanager
async def coturn(
    without: Sequence[str] = (), extra: Sequence[str] = (), host: str = HOST, secret: str = SECRET
) -> AsyncIterator[Coturn]:
    """A running server; it is gone at the end."""
    program = shutil.which("turnserver")
    assert program, MISSING
    port = free_port(host)
    with temporary_directory() as directory:
        conf = directory / "turnserver.conf"
        conf.write_text(configuration(port, without, extra, host, secret))
        conf.chmod(0o600)
        command = [program, "-c", str(conf), f"--pidfile={directory}/pid", f"--userdb={directory}/turndb"]
        process = _start(command, directory)
        try:
            await _until_up(host, port, process)
            yield Coturn(port, process, host)
        finally:
            process.kill()
            process.wait()


def _start(command: list[str], directory: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def _until_up(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Until both transports ask for credentials: coturn opens them one after the other."""
    with trio.fail_after(30):
        for transport in ("tcp", "udp"):
            while not await _answers(TurnServer(host, port, transport, secure=False)):
                assert process.poll() is None, "coturn ended at once: coturn.conf is not accepted"
                await trio.sleep(0.05)


async def _answers(server: TurnServer) -> bool:
    try:
        async with connect(server) as client:
            return await client.is_answered()
    except TurnUnreachable:
        return False
