"""What is done to a relay. Each injury is a function that hurts, waits, and heals; `INJURIES` names them for the schedule.

After an injury the cluster is whole again (`Cluster.revive`); how long the relay takes to notice is its own affair, within the bound
that the run sets.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping

import trio

from relay.database import DatabaseSettings, open_database
from relay.errors import DatabaseUnavailable
from tests.faults.cluster import Cluster, limit_files, open_files, send, start_as_a_service, workers_of
from tests.live.app import call

Injury = Callable[[Cluster, random.Random], Awaitable[str]]
"""Answers what was done, in words, for the history."""


async def kill_relay(cluster: Cluster, dice: random.Random) -> str:
    """SIGKILL to a node, in the middle of whatever it does."""
    cluster.kill(dice.choice(cluster.nodes))
    await trio.sleep(dice.random() * 0.2)
    await cluster.revive()
    return "kill -9 of a node"


async def kill_worker(cluster: Cluster, dice: random.Random) -> str:
    """SIGKILL to a worker, as the kernel does when memory is short. Its parent must end too, so that somebody starts both again."""
    node = dice.choice(cluster.nodes)
    cluster.kills["worker"] += send(workers_of(node)[1:], signal.SIGKILL) > 0  # its helper process does not count
    assert node.process is not None
    await trio.to_thread.run_sync(node.process.wait, 60)
    await cluster.revive()
    return "kill -9 of a worker"


async def kill_all_relays(cluster: Cluster, dice: random.Random) -> str:
    for node in cluster.nodes:
        cluster.kill(node)
    await cluster.revive()
    return "kill -9 of every node"


async def restart_relay(cluster: Cluster, dice: random.Random) -> str:
    """SIGTERM, as a rolling restart does it: one node after the other."""
    for node in cluster.nodes:
        await trio.to_thread.run_sync(node.stop)
        await trio.to_thread.run_sync(start_as_a_service, node)
    return "rolling restart"


async def stall_relay(cluster: Cluster, dice: random.Random) -> str:
    """SIGSTOP: sockets stay open, nobody answers. Then it goes on as if nothing had been."""
    pids = workers_of(dice.choice(cluster.nodes))
    send(pids, signal.SIGSTOP)
    await trio.sleep(0.5 + dice.random() * 6)
    send(pids, signal.SIGCONT)
    return "a node stalled"


async def kill_postgres(cluster: Cluster, dice: random.Random) -> str:
    """SIGKILL to the postmaster; its children notice and go, the nodes start it again."""
    cluster.kills["postmaster"] += send([await cluster.postmaster()], signal.SIGKILL)
    return "kill -9 of PostgreSQL"


async def kill_backend(cluster: Cluster, dice: random.Random) -> str:
    """SIGKILL to a child of the postmaster: PostgreSQL resets all of itself and recovers from its log."""
    hit = 0
    with trio.fail_after(60):
        while not hit:
            children = (await cluster.database_processes())[1:]
            hit = send([dice.choice(children)], signal.SIGKILL) if children else 0
            await trio.sleep(0.02)
    cluster.kills["backend"] += hit
    return "kill -9 of a PostgreSQL process"


async def stop_postgres_at_once(cluster: Cluster, dice: random.Random) -> str:
    """SIGQUIT: an immediate shutdown, without a checkpoint."""
    send([await cluster.postmaster()], signal.SIGQUIT)
    return "immediate stop of PostgreSQL"


async def stall_postgres(cluster: Cluster, dice: random.Random) -> str:
    """SIGSTOP to all of PostgreSQL, for longer or shorter than a statement's deadline."""
    pids = await cluster.database_processes()
    send(pids, signal.SIGSTOP)
    await trio.sleep(0.2 + dice.random() * 5)
    send(pids, signal.SIGCONT)
    return "PostgreSQL stalled"


async def cut_database_connections(cluster: Cluster, dice: random.Random) -> str:
    """Every connection of every node ends at once: LISTEN, NOTIFY, the held ones of the hot path, the pool."""
    ended = await _ask(
        cluster, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'sottovoce'"
    )
    return f"{ended} connections to PostgreSQL cut"


async def cut_listeners(cluster: Cluster, dice: random.Random) -> str:
    """The backends that LISTEN: notifications are lost until the relay notices."""
    ended = await _ask(
        cluster,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'sottovoce' AND query ILIKE '%LISTEN%'",
    )
    return f"{ended} listeners cut"


async def run_out_of_files(cluster: Cluster, dice: random.Random) -> str:
    """No file can be opened any more, so no socket is accepted; what is open goes on."""
    pids = workers_of(dice.choice(cluster.nodes))
    for pid in pids:
        limit_files([pid], open_files(pid))
    await trio.sleep(1 + dice.random() * 2)
    limit_files(pids, 1 << 20)
    return "out of file descriptors"


async def cut_line(cluster: Cluster, dice: random.Random) -> str:
    """Every connection to a node is reset."""
    dice.choice(cluster.links).cut()
    return "line cut"


async def hold_line(cluster: Cluster, dice: random.Random) -> str:
    """Half-open connections: nothing passes, for shorter or longer than a heartbeat, and then everything does, late."""
    link = dice.choice(cluster.links)
    link.hold()
    await trio.sleep(1 + dice.random() * 8)
    link.heal()
    return "line held"


async def drip_line(cluster: Cluster, dice: random.Random) -> str:
    """Peers that read and write a few kilobytes a second."""
    link = dice.choice(cluster.links)
    link.drip()
    await trio.sleep(1 + dice.random() * 4)
    link.heal()
    return "line slowed to a drip"


async def fill_disk(cluster: Cluster, dice: random.Random) -> str:
    """No byte is left for data, log or temporary files; then somebody makes room."""
    filler = cluster.directory / "var" / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass

    await trio.to_thread.run_sync(fill)
    await trio.sleep(1 + dice.random() * 3)
    filler.unlink()
    return "disk full"


async def jump_clock(cluster: Cluster, dice: random.Random) -> str:
    """The wall clock of every node jumps by hours or days, forth or back, and after a while it is right again. Sometimes a node starts
    under the wrong clock, as a machine does that has lost its battery."""
    assert cluster.clock is not None, "needs a faked clock"
    offset = dice.choice((2, -50, 10 * 24, -3 * 24, 45 * 24))
    cluster.clock.write_text(str(offset * 3600))
    if dice.random() < 0.5:
        cluster.kill(dice.choice(cluster.nodes))
        await cluster.revive()
    await trio.sleep(2 + dice.random() * 3)
    cluster.clock.write_text("0")
    return f"clock off by {offset} h"


async def fail_over(cluster: Cluster, dice: random.Random) -> str:
    """The primary's machine dies, the standby is promoted, the dead one comes back thinking that it is the primary, and is then made a
    standby. Only with a pair."""
    assert cluster.pair is not None, "needs a primary and a standby"
    own_clock = trio.current_time() - time.monotonic()
    killed, promoted = (own_clock + at for at in await trio.to_thread.run_sync(cluster.pair.promote))
    cluster.failovers.append((killed, promoted))
    cluster.kills["primary"] += 1
    with trio.fail_after(60):
        for node in cluster.nodes:
            while (await call(node.url, "GET", "/readyz")).status != 200:  # noqa: ASYNC110
                await trio.sleep(0.05)
    took = trio.current_time() - killed
    await trio.to_thread.run_sync(cluster.pair.revive_the_old_primary, 0.5 + dice.random())
    await trio.to_thread.run_sync(cluster.pair.make_whole)
    return f"failover; promoted {promoted - killed:.1f} s after the kill, every node answered after {took:.1f} s"


async def _ask(cluster: Cluster, question: str) -> object:
    """A superuser's question from outside; nothing if PostgreSQL is not there just now."""
    dsn = f"postgresql://postgres@/relay?host={cluster.postgres / 'socket'}"
    try:
        async with open_database(dsn, settings=DatabaseSettings(pool_size=1, application_name="injuries")) as database:
            return await database.fetchval(question)
    except DatabaseUnavailable:
        return 0


INJURIES: Mapping[str, Injury] = {
    "kill_relay": kill_relay,
    "kill_worker": kill_worker,
    "kill_all_relays": kill_all_relays,
    "restart_relay": restart_relay,
    "stall_relay": stall_relay,
    "kill_postgres": kill_postgres,
    "kill_backend": kill_backend,
    "stop_postgres_at_once": stop_postgres_at_once,
    "stall_postgres": stall_postgres,
    "cut_database_connections": cut_database_connections,
    "cut_listeners": cut_listeners,
    "run_out_of_files": run_out_of_files,
    "cut_line": cut_line,
    "hold_line": hold_line,
    "drip_line": drip_line,
    "fill_disk": fill_disk,
    "jump_clock": jump_clock,
}
"""For a relay with the private PostgreSQL."""

PAIR_INJURIES: Mapping[str, Injury] = {
    "fail_over": fail_over,
    "kill_relay": kill_relay,
    "restart_relay": restart_relay,
    "stall_relay": stall_relay,
    "hold_line": hold_line,
}
"""For a relay on a primary with a synchronous standby."""
