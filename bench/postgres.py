"""The one PostgreSQL that all systems of a run use: the relay's own binaries and settings, fsync on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.processes import cpu_seconds
from relay.database import Database, DatabaseSettings, open_database
from relay.embedded_postgres import private_postgres

LONG_S = 120.0

_COUNTERS = """
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal_bytes,
       (SELECT coalesce(sum(io.fsyncs), 0) FROM pg_stat_activity a, LATERAL pg_stat_get_backend_io(a.pid) io
        WHERE a.datname = $1 AND io.object = 'wal')::bigint AS fsyncs,
       (SELECT coalesce(sum(xact_commit), 0) FROM pg_stat_database WHERE datname = $1)::bigint AS commits
"""


def database_of(dsn: str) -> str:
    """Its name."""
    return urlsplit(dsn).path.removeprefix("/")


class Counters(NamedTuple):
    """Bytes of WAL of the whole server, exact. Fsyncs of WAL files and commits of one database, which each backend reports once a second: those
    of the whole server would hold what other systems did before, since a backend that has nothing to do reports ten seconds later."""

    wal_bytes: int
    fsyncs: int
    commits: int

    def since(self, earlier: Counters) -> Counters:
        return Counters(*(now - then for now, then in zip(self, earlier, strict=True)))


@dataclass
class Postgres:
    """A running server and a superuser's connection to it."""

    directory: Path
    relay_dsn: str
    admin: Database
    version: str
    address: str
    """Where it listens on port 5432, for those who cannot use its socket."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def pid(self) -> int:
        return int((self.directory / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def socket_directory(self) -> Path:
        return self.directory / "socket"

    def dsn(self, database: str, user: str = "relay") -> str:
        return self.relay_dsn.replace("@/relay?", f"@/{database}?").replace("://relay@", f"://{user}@")

    def cpu_seconds(self) -> float:
        return cpu_seconds([self.pid])

    async def counters(self, database: str | None) -> Counters:
        """What was counted until now, of this database's sessions that are open."""
        row = await self.admin.fetchrow(_COUNTERS, database)
        assert row is not None
        return Counters(row["wal_bytes"], row["fsyncs"], row["commits"])

    async def let_in(self, role: str) -> None:
        """Makes the role, if there is none, and lets it in over TCP. There is no password: the server lives for a run."""
        if await self.admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            return
        rules = self.directory / "data" / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 trust\n{rules.read_text()}")
        await self.admin.execute(f"CREATE ROLE {role} LOGIN")
        await self.admin.fetchval("SELECT pg_reload_conf()")

    @asynccontextmanager
    async def database(self, owner: str = "relay") -> AsyncIterator[str]:
        """The DSN of an empty database, dropped afterwards."""
        name = f"bench_{next(self._numbers)}"
        await self.admin.execute(f"CREATE DATABASE {name} OWNER {owner}", timeout_s=LONG_S)
        try:
            yield self.dsn(name)
        finally:
            await self.admin.execute(f"DROP DATABASE {name} WITH (FORCE)", timeout_s=LONG_S)


@asynccontextmanager
async def running_postgres(directory: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Postgres]:
    """Started in `directory`, with the settings that a relay without a database URL uses."""
    # All of 127.0.0.0/8 is this machine: an address of this run's own, so that the port is free.
    address = f"127.{os.getpid() >> 16 & 0x7F | 0x40}.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF or 1}"
    settings = {"listen_addresses": address, **(settings or {})}
    one = DatabaseSettings(pool_size=1, command_timeout_s=LONG_S, application_name="bench")
    async with private_postgres(directory, settings=settings) as dsn:
        superuser = dsn.replace("://relay@", "://postgres@").replace("@/relay?", "@/postgres?")
        async with open_database(superuser, settings=one) as admin:
            version = str(await admin.fetchval("SELECT current_setting('server_version')"))
            yield Postgres(directory, dsn, admin, version, address)
