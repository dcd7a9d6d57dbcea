"""One run: start a cluster, load it, hurt it by a seeded schedule, heal it, wait for the mail, judge."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import trio

from relay.frames import from_b64
from tests.faults.checker import Verdict, judge
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.history import History
from tests.faults.injuries import INJURIES, PAIR_INJURIES
from tests.faults.load import Load, Mailbox
from tests.faults.pair import running_pair
from tests.live.app import App, call
from tests.postgres.server import temporary_directory

SMALL_DISK_MIB = 768
"""Room for PostgreSQL and its write-ahead log under this load; small enough to be filled in a moment."""

DELETES_ON_DISK_S = 1.0
"""Acknowledgements are committed without waiting for the disk; PostgreSQL writes them within three times wal_writer_delay (200 ms)."""


FATES_WITHIN_S = 60.0
"""Far more than it takes: a run that sees none of what it is about must not pass."""


@dataclass(frozen=True)
class Plan:
    """What to do. Counts are of events, times are in seconds."""

    seed: int = 1
    injuries: tuple[str, ...] = ()
    """Names of INJURIES, in order; see `schedule`."""
    nodes: int = 2
    pair: bool = False
    """On a primary with a synchronous standby, instead of the private PostgreSQL."""
    synchronous: bool = True
    """The standby; False is the wrong way, which the checker must notice."""
    mailboxes: int = 4
    senders: int = 2
    between_s: tuple[float, float] = (0.3, 1.5)
    """The pause before an injury: from, to."""
    acknowledged_between: int = 0
    """Envelopes that must have been acknowledged since the last injury before the next one, so that each one finds the relay at work."""
    fates: Mapping[str, int] = field(default_factory=dict)
    """So many frames of each of load.Load.fates must have been before the apps calm down, however slow the machine."""
    lead_in_s: float = 1.0
    lead_out_s: float = 3.0
    heal_within_s: float = 30.0
    """From the last injury until every acknowledged envelope is with its app."""
    application: str | None = None
    """None: the relay itself, or altered_app.py where an injury needs it."""
    bug: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    takeover_odds: float = 0.03
    crash_odds: float = 0.06
    away: bool = False
    """Apps come only after the injuries, so that everything must have waited at the relay."""
    restart_at_end: bool = True
    """Whether settled mail must stay gone over a last kill -9 of everything."""


@dataclass
class Result:
    plan: Plan
    verdict: Verdict
    history: History
    injured: Counter[str]
    seconds: float
    healed_s: float
    log: str
    kills: Counter[str] = field(default_factory=Counter)
    """SIGKILLs that found their process, by what they hit."""
    failovers_s: list[float] = field(default_factory=list)
    """Of each failover: seconds from the death of the primary to the first post that was acknowledged after the promotion."""


def schedule(seed: int, kinds: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` injuries of these kinds: the kinds in turn, each turn in another order, so that none is forgotten."""
    dice = random.Random(f"schedule {seed}")
    names: list[str] = []
    while len(names) < count:
        turn = list(kinds)
        dice.shuffle(turn)
        names += turn
    return tuple(names[:count])


def shuffled(seed: int, times: Mapping[str, int]) -> tuple[str, ...]:
    """Each kind so many times, in an order of this seed."""
    names = [name for name, count in times.items() for _ in range(count)]
    random.Random(f"schedule {seed}").shuffle(names)
    return tuple(names)


async def run(plan: Plan, progress: Callable[[str], None] = lambda _: None) -> Result:
    """Carries a plan out on real processes in a directory of its own.

    Raises:
        AssertionError: the relay did not start, or does not answer after everything has healed.
    """
    began = trio.current_time()
    environ = {"PLANTED_BUG": plan.bug} if plan.bug else {}
    with (
        temporary_directory() as directory,
        running_pair(directory / "pair", synchronous=plan.synchronous) if plan.pair else nullcontext() as pair,
        running_cluster(
            directory,
            nodes=plan.nodes,
            application=plan.application,
            environ=environ,
            pair=pair,
            disk_mebibytes=SMALL_DISK_MIB if "fill_disk" in plan.injuries else None,
            faked_time="jump_clock" in plan.injuries,
            **plan.settings,
        ) as cluster,
    ):
        mailboxes = await _join(cluster, plan.mailboxes)
        async with trio.open_nursery() as lines:
            for link in cluster.links:
                await lines.start(link.run)
            load = Load(cluster.urls(), plan.seed, plan.takeover_odds, plan.crash_odds)
            async with trio.open_nursery() as receiving:
                here = iter(mailboxes)
                for mailbox in () if plan.away else here:
                    receiving.start_soon(load.receive, mailbox)
                injured = await _hurt(plan, cluster, load, mailboxes, progress)
                kills = cluster.kills.copy()
                for mailbox in here:
                    receiving.start_soon(load.receive, mailbox)
                healed_s = await _all_arrived(load, mailboxes, plan.heal_within_s)
                await _settle(load, cluster, mailboxes, plan.heal_within_s)
                receiving.cancel_scope.cancel()
            lines.cancel_scope.cancel()
        # Whoever asks once more gets nothing: what was settled stays gone, also over a restart.
        if plan.restart_at_end:
            for node in cluster.nodes:
                node.kill()
            await cluster.revive()
        for mailbox in mailboxes:
            for one in await mailbox.app.drain():
                last = load.history.deliver(one["id"], mailbox.name, from_b64(one["body"]), 0, load.now())
                last.stored = True  # it came in the end: late, but not lost
        log = cluster.log()
        took = [_recovered(load, killed, promoted) for killed, promoted in cluster.failovers]
    return Result(
        plan, judge(load.history), load.history, injured, trio.current_time() - began, healed_s, log, kills, took
    )


def _recovered(load: Load, killed: float, promoted: float) -> float:
    answers = (a.ended for a in load.history.attempts if a.outcome == "ok" and a.ended is not None)
    return min((at for at in answers if at > promoted - load.began), default=float("inf")) - (killed - load.began)


async def _hurt(
    plan: Plan, cluster: Cluster, load: Load, mailboxes: list[Mailbox], progress: Callable[[str], None]
) -> Counter[str]:
    """The load with the plan's injuries; returns when the relay is whole again and the senders have stopped."""
    dice = random.Random(f"injuries {plan.seed}")
    known = PAIR_INJURIES if plan.pair else INJURIES
    injured: Counter[str] = Counter()
    async with trio.open_nursery() as sending:
        for mailbox in mailboxes:
            for number in range(plan.senders):
                sending.start_soon(load.send, mailbox, number)
        await trio.sleep(plan.lead_in_s)
        for number, name in enumerate(plan.injuries, 1):
            await trio.sleep(dice.uniform(*plan.between_s))
            await _goes_on(load, plan.acknowledged_between, plan.heal_within_s)
            what = await known[name](cluster, dice)
            injured[name] += 1
            load.history.injuries.append(f"{load.now():.1f} {what}")
            killed = ", ".join(f"{count} {name}" for name, count in cluster.kills.items())
            progress(
                f"{number}/{len(plan.injuries)} {what}; {load.acknowledged} acknowledged"
                + (f"; kill -9: {killed}" if killed else "")
            )
        await cluster.revive()
        await _answers_again(cluster, plan.heal_within_s)
        await _met(load, plan.fates)
        load.calm.set()
        # Sessions stand and mail goes on: from here it must come by itself, since no app connects again to look.
        await trio.sleep(plan.lead_out_s)
        load.enough.set()
    return injured


async def _goes_on(load: Load, count: int, within_s: float) -> None:
    enough = load.acknowledged + count
    with trio.fail_after(2 * within_s):
        while load.acknowledged < enough:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def _met(load: Load, fates: Mapping[str, int]) -> None:
    with trio.fail_after(FATES_WITHIN_S):
        while any(load.fates[fate] < count for fate, count in fates.items()):  # noqa: ASYNC110
            await trio.sleep(0.02)


async def _join(cluster: Cluster, count: int) -> list[Mailbox]:
    links = await trio.to_thread.run_sync(cluster.nodes[0].invite, count)
    return [Mailbox(await App.join(cluster.nodes[0].url, link), f"m{n}") for n, link in enumerate(links)]


async def _answers_again(cluster: Cluster, within_s: float) -> None:
    with trio.fail_after(within_s):
        for node in cluster.nodes:
            while True:
                try:
                    if (await call(node.url, "GET", "/readyz")).status == 200:
                        break
                except OSError:
                    pass
                await trio.sleep(0.1)


async def _all_arrived(load: Load, mailboxes: list[Mailbox], within_s: float) -> float:
    """Waits until every app has what was acknowledged; what an app waits for in vain, with its session open, is late."""
    began = load.now()
    with trio.move_on_after(within_s):
        while any(load.history.acknowledged(m.name) - load.history.stored(m.name) for m in mailboxes):  # noqa: ASYNC110
            await trio.sleep(0.1)
    for mailbox in mailboxes:
        missing = load.history.acknowledged(mailbox.name) - load.history.stored(mailbox.name)
        if mailbox.drained:
            load.history.late.update(dict.fromkeys(missing, load.now() - began))
    return load.now() - began


async def _settle(load: Load, cluster: Cluster, mailboxes: list[Mailbox], within_s: float) -> None:
    """Waits until the relay holds nothing for anybody, and the deletes are on disk."""
    empty: list[Mailbox] = []
    with trio.move_on_after(within_s):
        for mailbox in mailboxes:
            while await _waiting(cluster, mailbox):  # noqa: ASYNC110
                await trio.sleep(0.1)
            empty.append(mailbox)
    await trio.sleep(DELETES_ON_DISK_S)
    for mailbox in empty:
        load.history.settle(load.history.stored(mailbox.name), load.now())


async def _waiting(cluster: Cluster, mailbox: Mailbox) -> int:
    answer = await call(cluster.nodes[0].url, "GET", "/v1/account", None, mailbox.app.bearer)
    return int(answer.json()["waiting_envelopes"])
