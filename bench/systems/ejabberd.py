"""ejabberd, from Debian, with everything in the common PostgreSQL: with an archive of all messages, and without."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import trio

from bench.postgres import database_of
from bench.systems import Person, Place, System, process, until_it_listens
from bench.systems.brokers import debian_version, free_port
from relay.database import Database, open_database

SCHEMA = Path("/usr/share/ejabberd/sql/pg.sql")
DRIVER = Path("/usr/lib/erlang/lib")
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
ROLE = "ejabberd"

ADD_USERS = "INSERT INTO users (username, password) SELECT name, 'secret' FROM unnest($1::text[]) AS u (name)"


class Ejabberd(System):
    dialect = "xmpp"
    archive: ClassVar[bool]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._process: trio.Process | None = None
        self._database: Database | None = None
        self._port = self._people = 0

    @classmethod
    def version(cls) -> str:
        return debian_version("ejabberd")

    @classmethod
    def missing(cls) -> str | None:
        if not SCHEMA.exists() or not list(LIBRARIES.glob("ejabberd-*")):
            return "ejabberd is not installed (make setup-bench)"
        if not list(DRIVER.glob("p1_pgsql-*")):
            return "ejabberd's driver for PostgreSQL, erlang-p1-pgsql, is not installed (make setup-bench)"
        return None

    def _configuration(self, database: str) -> dict[str, Any]:
        """YAML holds JSON."""
        modules: dict[str, Any] = {
            "mod_offline": {"db_type": "sql", "access_max_user_messages": "offline_limit"},
            "mod_stream_mgmt": {"resume_timeout": 0, "max_ack_queue": "infinity"},
        }
        if self.archive:
            modules["mod_mam"] = {"db_type": "sql", "default": "always", "assume_mam_usage": False}
        return {
            "loglevel": "error",
            "hosts": ["localhost"],
            "listen": [
                {
                    "port": self._port,
                    "ip": "127.0.0.1",
                    "module": "ejabberd_c2s",
                    "max_stanza_size": 262144,
                    "backlog": 1024,
                    "shaper": "none",
                    "access": "all",
                }
            ],
            "auth_method": "sql",
            "auth_password_format": "plain",
            "default_db": "sql",
            "sql_type": "pgsql",
            "sql_server": self.place.postgres.address,
            "sql_port": 5432,
            "sql_database": database,
            "sql_username": ROLE,
            "sql_password": "",
            "shaper_rules": {"offline_limit": "infinity", "max_user_sessions": 10},
            "modules": modules,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        postgres = self.place.postgres
        await postgres.let_in(ROLE)
        async with (
            postgres.database(owner=ROLE) as dsn,
            open_database(dsn.replace("://relay@", f"://{ROLE}@")) as database,
        ):
            self._database, self.database_name = database, database_of(dsn)
            await database.execute(SCHEMA.read_text(), timeout_s=60)
            self._port = free_port()
            directory = self.place.directory
            (directory / "spool").mkdir()
            config = directory / "ejabberd.yml"
            config.write_text(json.dumps(self._configuration(self.database_name)))
            env = {
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(directory),
                "LANG": "C.UTF-8",
                "ERL_LIBS": str(LIBRARIES),
                "EJABBERD_CONFIG_PATH": str(config),
                "EJABBERD_LOG_PATH": str(directory / "ejabberd.log"),
                "ERL_CRASH_DUMP": str(directory / "crash"),
            }
            # Without a node name, so without a name server that would stay behind; and without spinning while it waits.
            command = [
                "erl",
                "-noinput",
                "+K",
                "true",
                "+P",
                "250000",
                "+sbwt",
                "none",
                "+sbwtdcpu",
                "none",
                "+sbwtdio",
                "none",
            ]
            command += ["-mnesia", "dir", f'"{directory / "spool"}"', "-s", "ejabberd"]
            log = directory / "log"
            async with process(command, core=self.place.core, log=log, env=env, cwd=directory) as self._process:
                await until_it_listens("127.0.0.1", self._port, self._process, log)
                yield

    def pids(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]

    @property
    def target(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self._port}

    async def people(self, count: int) -> list[Person]:
        assert self._database is not None
        numbers = range(self._people, self._people + count)
        self._people += count
        await self._database.execute(ADD_USERS, [f"{kind}{n}" for n in numbers for kind in "sr"], timeout_s=60)
        return [{"sender": f"s{n}", "recipient": f"r{n}", "password": "secret"} for n in numbers]

    async def mailbox_rows(self) -> int:
        """Of the messages for who was away. The archive, if there is one, keeps what was received: that is what it is for."""
        assert self._database is not None
        return int(await self._database.fetchval("SELECT count(*) FROM spool", timeout_s=60))


class EjabberdArchive(Ejabberd):
    name = "ejabberd-archive"
    title = "ejabberd, archives always"
    archive = True


class EjabberdOffline(Ejabberd):
    name = "ejabberd-offline"
    title = "ejabberd, keeps for who is away"
    durable = False
    archive = False
