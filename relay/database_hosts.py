"""Which servers a database URL names. Pure: nothing is looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Host:
    """One server of a database URL. `port` belongs to it alone."""

    dsn: str
    name: str | None  # None: what the driver takes by itself (PGHOST, or the usual socket)
    port: int | None


def hosts_of(dsn_or_hosts: str | Sequence[str]) -> list[Host]:
    """One entry a host, as each gets a deadline of its own: the driver has one for all, and tries on only after OSError."""
    dsns = [dsn_or_hosts] if isinstance(dsn_or_hosts, str) else list(dsn_or_hosts)
    return [Host(dsn, name, port) for dsn in dsns for name, port in _split(dsn)]


def _split(dsn: str) -> list[tuple[str | None, int | None]]:
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    in_query = "host" in query and not parts.netloc.rpartition("@")[2]
    names = query["host"][-1] if in_query else parts.netloc.rpartition("@")[2]
    if not names:
        return [(None, None)]
    found: list[tuple[str | None, int | None]] = []
    for name in names.split(","):
        if not name.startswith(("/", "%2F", "%2f")) and ":" in name.rpartition("]")[2]:
            bare, _, port = name.rpartition(":")
            found.append((unquote(bare.strip("[]")), int(port)))
        else:
            found.append((unquote(name.strip("[]")), None))
    ports = [int(port) for port in query["port"][-1].split(",")] if "port" in query else []
    if len(ports) not in (0, 1, len(found)):
        raise ValueError("the database URL names more ports than hosts, or fewer")
    return [
        (name, port or (ports[number % len(ports)] if ports else 5432)) for number, (name, port) in enumerate(found)
    ]
