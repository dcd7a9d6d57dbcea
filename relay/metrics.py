"""Metrics in Prometheus's text format: how the relay is, and nothing of anybody in it. No label has more than a handful of values.

Each worker process counts for itself. Since a scrape reaches any one of them, each leaves its numbers in a file of `var/metrics` every few
seconds, and whoever is asked adds those of the others, told apart by the label `process`.
"""

from __future__ import annotations

import collections
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from nursery_tasks.ports import PostStore, PushService
from relay.errors import DatabaseUnavailable, Refusal
from relay.records import Outcome, Posting, PushOutcome, PushTarget, Stored

log = logging.getLogger("relay.metrics")

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LEAVE_EVERY_S: Final = 5.0
STALE_S: Final = 60.0
"""A file that is older belongs to a process that is no more, whoever has its number now."""

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_ITEMS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 512)


class Metrics:
    """All that one process counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: Any = {"namespace": "sottovoce", "registry": self.registry}
        self._posts = Counter("posts", "Posts by lane and by what came of them.", ["lane", "outcome"], **own)
        self._commit = Histogram(
            "commit_seconds", "A batch, from statement to commit.", ["lane"], buckets=_SECONDS, **own
        )
        self._batch = Histogram("batch_items", "Posts in a batch.", ["lane"], buckets=_ITEMS, **own)
        self._failures = Counter("commit_failures", "Batches whose outcome is unknown.", ["lane"], **own)
        self._notify = Histogram("notify_seconds", "From NOTIFY to its arrival here.", buckets=_SECONDS, **own)
        self._pushes = Counter("pushes", "Pushes by what came of them.", ["outcome"], **own)
        self._gauges = {
            "sessions": Gauge("sessions", "Open sessions.", ["kind"], **own),
            "waiting": Gauge("posts_waiting", "Posts that wait for the next batch.", ["lane"], **own),
        }
        self._mail = Gauge("envelopes_waiting", "Envelopes in all mailboxes, as PostgreSQL estimates it.", **own)
        Gauge("info", "The version that runs.", ["version"], **own).labels(version("sottovoce-relay")).set(1)
        for outcome in PushOutcome:
            self._pushes.labels(outcome.value)

    def watch(self, gauge: str, label: str, value: Callable[[], int]) -> None:
        """Has `value` asked at every scrape, for `sessions` or `waiting`."""
        self._gauges[gauge].labels(label).set_function(value)

    def batch(self, lane: str, outcomes: Sequence[Outcome], seconds: float) -> None:
        """A batch was committed."""
        self._commit.labels(lane).observe(seconds)
        self._batch.labels(lane).observe(len(outcomes))
        if stored := outcomes.count(Stored.NEW) + outcomes.count(Stored.AGAIN):
            self._posts.labels(lane, "stored").inc(stored)
        if stored < len(outcomes):
            refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
            for refusal, times in collections.Counter(refused).items():
                self._posts.labels(lane, refusal.value).inc(times)

    def batch_failed(self, lane: str) -> None:
        """A batch was not answered."""
        self._failures.labels(lane).inc()

    def notified(self, seconds: float) -> None:
        """A notification of ours came back."""
        self._notify.observe(seconds)

    def pushed(self, outcome: PushOutcome) -> None:
        """A push was sent, or not."""
        self._pushes.labels(outcome.value).inc()

    def mail_waits(self, envelopes: int) -> None:
        """So many are in the table, about."""
        self._mail.set(envelopes)

    def text(self) -> bytes:
        """This process alone."""
        return bytes(generate_latest(self.registry))


class MeasuredStore:
    """A store of posts whose batches are counted (nursery_tasks.ports.PostStore)."""

    def __init__(self, store: PostStore, lane: str, metrics: Metrics) -> None:
        self._store, self._lane, self._metrics = store, lane, metrics

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        began = time.monotonic()
        try:
            outcomes = await self._store.put(batch)
        except DatabaseUnavailable:
            self._metrics.batch_failed(self._lane)
            raise
        self._metrics.batch(self._lane, outcomes, time.monotonic() - began)
        return outcomes


class MeasuredPush:
    """A push service whose pushes are counted (nursery_tasks.ports.PushService)."""

    def __init__(self, service: PushService, metrics: Metrics) -> None:
        self._metrics = metrics
        self._knock = service.knock
        self.waiting = service.waiting
        self.forget = service.forget

    async def knock(self, target: PushTarget) -> PushOutcome:
        outcome = await self._knock(target)
        self._metrics.pushed(outcome)
        return outcome


class Exchange:
    """The files by which workers tell each other their numbers. One line a number: nothing in them is anybody's."""

    def __init__(self, directory: Path, metrics: Metrics) -> None:
        self._directory = directory
        self._metrics = metrics
        self._own = directory / f"{os.getpid()}.prom"

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Leaves this process's numbers every few seconds until cancelled, and takes them away then."""
        try:
            await trio.to_thread.run_sync(self._leave)
            task_status.started()
            while True:
                await trio.sleep(LEAVE_EVERY_S)
                await trio.to_thread.run_sync(self._leave)
        finally:
            self._own.unlink(missing_ok=True)

    async def everybody(self) -> bytes:
        """The numbers of all workers on this machine, this one's as they are now."""
        return await trio.to_thread.run_sync(self._merge)

    def _leave(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = self._own.with_suffix(".new")
            aside.write_bytes(self._metrics.text())
            aside.replace(self._own)
        except OSError as error:
            log.warning("numbers cannot be left for other workers: %s", error.strerror)

    def _merge(self) -> bytes:
        texts = {str(os.getpid()): self._metrics.text().decode()}
        for path in sorted(self._directory.glob("*.prom")):
            try:
                if path != self._own and time.time() - path.stat().st_mtime < STALE_S:
                    texts[path.stem] = path.read_text()
            except OSError:
                continue  # that worker ended just now
        registry = CollectorRegistry()
        registry.register(_Merged(texts))
        return bytes(generate_latest(registry))


class _Merged(Collector):
    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for process, text in self._texts.items():
            for family in text_string_to_metric_families(text):
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
        yield from families.values()
