"""What the relay is to reach, and whether what was published reaches it. Nobody types a measured number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.questions.growth import COUNTED
from bench.questions.online import PAIRS
from bench.questions.workers import EACH, FREE
from bench.results import OURS, Results, elsewhere, medians, ratios, rounds_compared

Measure = Callable[[Mapping[str, Any]], float | None]
"""From the result of a question; None if it was not measured."""


@dataclass(frozen=True)
class Target:
    """`lever` is what is said when it is missed: why, and what would be next. `against` is the variant and the peer, if there is one."""

    text: str
    question: str
    measure: Measure
    at: Literal["at least", "at most"]
    bound: float
    unit: str = "x"
    lever: str = ""
    against: tuple[str, str] | None = None

    def measured(self, results: Results) -> float | None:
        return self.measure(results[self.question]) if self.question in results else None

    def counted(self, results: Results) -> tuple[int, int]:
        """In how many rounds the comparison counted, of how many."""
        result = results[self.question]
        rounds: int = result["rounds"]
        return rounds if self.against is None else rounds_compared(result["rows"], *self.against), rounds

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at == "at least" else value <= self.bound


def by_peer(peer: str, variant: str, key: str = "rate") -> Measure:
    """How many times the peer's number ours is."""
    return lambda result: ratios(result["rows"], key).get((variant, peer))


def own(variant: str, key: str) -> Measure:
    """Our own number."""
    return lambda result: medians(result["rows"]).get((variant, OURS), {}).get(key)


def most(key: str, of: Callable[[str], bool] = lambda _variant: True) -> Measure:
    """The largest of our numbers over the variants."""

    def measure(result: Mapping[str, Any]) -> float | None:
        own = {variant: row for (variant, system), row in medians(result["rows"]).items() if system == OURS}
        numbers = [row[key] for variant, row in own.items() if of(variant) and key in row]
        return max(numbers, default=None)

    return measure


def first_of(*measures: Measure) -> Measure:
    """The first of them that was measured."""
    return lambda result: next((found for measure in measures if (found := measure(result)) is not None), None)


def two_processes(pairs: str, where: str) -> Callable[[str], bool]:
    """Picks these variants of question `workers`, in every mode."""
    return lambda variant: variant.endswith(f", two processes{pairs}{where}")


def not_counted(variant: str) -> bool:
    """Of question `growth`: those that are as an operator would run them."""
    return not variant.endswith(COUNTED)


def tail(result: Mapping[str, Any]) -> float | None:
    """p99 by p50 with one frame unanswered."""
    numbers = medians(result["rows"]).get(("1x1", OURS), {})
    return numbers["p99_ms"] / numbers["p50_ms"] if numbers.get("p50_ms") else None


SCHEDULER = (
    "The profile, with one frame unanswered, is flat: a fifth of the server's CPU are system calls on sockets, an eighth the "
    "database's driver, an eighth Trio's scheduler, a tenth reading and writing JSON, and no function of ours has more than a twenty-fifth. "
    "The peer's loop and socket are compiled (uvloop). The next levers are to compile the hot path (up to a tenth less, decision 46), and "
    "fewer steps a message: reader, parser and batch writer in one function, at the cost of their borders."
)
OTHERS = (
    "How far ahead of servers in other languages it is depends on the machine: the tables of both show what CPU each takes for a "
    "message, and NATS and RabbitMQ take less of it on one than on the other, the relay the same. It also depends on the hour (decision "
    "47). NATS, which waits for the disk with each message, gains from a quick one. "
) + SCHEDULER.replace("The peer's loop and socket are compiled (uvloop). ", "")
SECONDS = (
    "Seconds are those of one machine at one hour: the table says at what pace its core ran, and what the FastAPI peer took in the same "
    "run. "
)
POSTGRESQL = (
    SECONDS
    + "With one frame unanswered some twenty posts share a batch. Measured apart, the statement costs its backend 300 "
    "microseconds, and 17 for each post. By perf(1), of a batch of 22: 16 % is the commit (11 of it the CPU of waiting for the disk), "
    "11 % starting and ending the plan, 17 % judging access and counting mailboxes, 13 % the two indexes, 10 % the table itself (7 of it "
    "its growth), 5 % partitions and checks, 3 % looking for the same id; then the protocol, sorting, what is answered. An INSERT that "
    "judges nothing takes four fifths. No sorting, another way to count, to wait for the disk (open_datasync) or to keep memory: none made "
    "a difference that could be told from noise; nor did fuller batches, by waiting for them. What is left to win is little: a message "
    "without its second index entry, or without the partitions."
)

BURSTS = (
    "The profile, with 20,000 messages: when recipients come, half of the server's CPU goes into opening their sessions. A sixth of that "
    "is the statement that begins a session, a tenth each are reading the head of the request and what Hypercorn and h11 do with it. The "
    "next lever is to answer a WebSocket's handshake without HTTP's layers."
)

GROWTH = (
    "A mailbox that was not counted lately is counted, in the index of every partition: nine after a month and three in a new relay, and an "
    "index with many entries is gone down three levels where an empty one ends at once. Decision 48 has what that costs, and when it is "
    "spared. Cores may also run slower beside full tables, by their traffic with memory and disk, so the ratio at one pace may be too kind. "
    "The next lever is more posts for each count."
)

CROSSING = (
    "Three things come together. Of two processes each has half of the pairs, so its batches and turns are half as large: the table has what "
    "one process with half of the pairs costs. Two processes displace each other's caches: the table has two relays that share nothing, each "
    "with half of the pairs. What crosses goes by a local socket, some envelopes in a record, and is taken apart by the other process: that "
    "is what two processes cost beyond two such relays, and the lever is in the first two. To make a turn with little to do cheaper would "
    "be next."
)


def exchanges() -> Iterator[Target]:
    for variant in ("1x1", "4x1", "1x16"):
        yield Target(
            f"Rate by FastAPI with the same group commit, {variant}",
            "online",
            by_peer("fastapi-group", variant),
            "at least",
            1.0,
            lever=SCHEDULER,
            against=(variant, "fastapi-group"),
        )
    peers = (
        ("ejabberd that always archives", "ejabberd-archive", 4.0),
        ("NATS, sync always", "nats", 5.0),
        ("RabbitMQ", "rabbitmq", 1.5),
    )
    for title, peer, bound in peers:
        for variant in ("1x1", "4x1"):
            yield Target(
                f"Rate by {title}, {variant}",
                "online",
                by_peer(peer, variant),
                "at least",
                bound,
                lever=OTHERS,
                against=(variant, peer),
            )


TARGETS: tuple[Target, ...] = (
    *exchanges(),
    Target(
        "Server CPU for 1,000 messages, 1x1",
        "online",
        own("1x1", "server_cpu"),
        "at most",
        0.15,
        " s",
        lever=SECONDS + SCHEDULER,
    ),
    Target(
        "The same at full pace of its core",
        "online",
        own("1x1", "server_cpu_at_full_pace"),
        "at most",
        0.15,
        " s",
        lever=SECONDS + SCHEDULER,
    ),
    Target(
        "PostgreSQL CPU for 1,000 messages, 1x1",
        "online",
        own("1x1", "postgres_cpu"),
        "at most",
        0.05,
        " s",
        lever=POSTGRESQL,
    ),
    Target(
        "The same at full pace of the core it uses most",
        "online",
        own("1x1", "postgres_cpu_at_full_pace"),
        "at most",
        0.05,
        " s",
        lever=POSTGRESQL,
    ),
    Target(
        "p99 by p50, 1x1",
        "online",
        tail,
        "at most",
        3.0,
        lever="Checkpoints and other tenants of the machine show here first.",
    ),
    *(
        Target(
            f"{what} by FastAPI with the same group commit, {variant}",
            "offline",
            by_peer("fastapi-group", variant, key),
            "at least",
            1.0,
            lever=BURSTS,
            against=(variant, "fastapi-group"),
        )
        for what, key in (("Stored", "store_rate"), ("Drained", "drain_rate"))
        for variant in ("4x1", "1x16")
    ),
    Target(
        "An idle session of 10,000",
        "idle",
        own("10,000", "kib"),
        "at most",
        32.0,
        " KiB",
        lever="The next lever is fewer tasks a session: one heartbeat for all of them.",
    ),
    Target(
        "Ring p99 while mail saturates the relay, by its idle p99",
        "signals",
        most("times_idle"),
        "at most",
        3.0,
        lever=(
            "Relay, PostgreSQL and load share two cores, and mail alone keeps both busy: most of a ring's time is a wait for one of them. What "
            "each part of the way takes, and what was tried, is in decision 41. Shorter batches of mail do help (24 posts: p99 a quarter "
            "less), at three fifths of the rate. What is left is a third core."
        ),
    ),
    Target(
        "CPU of a message while much mail waits for others, and after a week of churn, by that of an empty relay",
        "growth",
        most("times_empty", of=not_counted),
        "at most",
        1.5,
        lever=GROWTH,
    ),
    Target(
        "The same at one pace of the cores",
        "growth",
        most("times_empty_at_one_pace", of=not_counted),
        "at most",
        1.5,
        lever=GROWTH,
    ),
    *(
        Target(
            text,
            "workers",
            first_of(most(f"{ratio}_at_one_pace", of), most(ratio, of)),
            "at most",
            1.25,
            lever=CROSSING,
        )
        for ratio, text, of in (
            ("times_one", "CPU of a message with two processes, by that with one", two_processes("", "")),
            ("times_one", "The same where both cores are free for everybody", two_processes("", FREE)),
            ("times_one", f"Two processes with {PAIRS} pairs each, by one with {PAIRS}", two_processes(EACH, "")),
            (
                "times_one",
                "The same where both cores are free for everybody, each with its pairs",
                two_processes(EACH, FREE),
            ),
            (
                "times_apart",
                "CPU of a message with two processes, by that with two relays that share nothing",
                two_processes("", ""),
            ),
            (
                "times_apart",
                "The same where both cores are free for everybody, by relays that share nothing",
                two_processes("", FREE),
            ),
        )
    ),
)


MISSED = "**missed**"


def judged(target: Target, results: Results) -> tuple[str, str]:
    """What was measured, and the verdict. A comparison that counted in half of the rounds or fewer has none."""
    if (value := target.measured(results)) is None:
        return "", "not measured yet"
    counted, rounds = target.counted(results)
    shown = f"{value:.3g}{target.unit}" + (f" in {counted} of {rounds} rounds" if counted < rounds else "")
    if 2 * counted <= rounds:
        return shown, "**too few rounds**"
    return shown, "met" if target.is_met(value) else MISSED


def section(results: Results) -> str:
    """Each target with its number, then why some were missed, then whether anything was left behind."""
    lines = ["### Targets", "", "| target | wanted | measured | | on another machine | |", "|---|--:|--:|---|--:|---|"]
    others = elsewhere(results)
    missed: dict[str, list[str]] = {}
    for target in TARGETS:
        shown, verdict = judged(target, results)
        there = " | ".join(judged(target, others)) if target.question in others else " | "
        lines.append(f"| {target.text} | {target.at} {target.bound:g}{target.unit} | {shown} | {verdict} | {there} |")
        if MISSED in (verdict, there.rpartition(" | ")[2]):
            missed.setdefault(target.lever, []).append(target.text)
    for lever, texts in missed.items():
        lines += ["", f"*Missed: {'; '.join(texts)}.* {lever}"]
    if (times := TARGETS[-2].measured(results)) is not None:
        lines += [
            "",
            f"*An estimate, not a measurement:* if a message costs {times:.2f} times as much with two processes, two cores of their own carry "
            f"{2 / times:.1f} times what one carries. With more processes more messages cross, at the same price each; and PostgreSQL needs "
            "cores too.",
        ]
    lost = [
        f"{name}, {one['variant'] or name}, round {one['round'] + 1}"
        for name, result in results.items()
        for one in result["failures"]
        if one["system"] == OURS
    ]
    empty = "All runs of the relay counted: the mailbox was empty at the end of each."
    lines += ["", f"*Runs of the relay that do not count: {'; '.join(lost)}.*" if lost else empty]
    return "\n".join(lines)
