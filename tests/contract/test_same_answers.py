"""The fakes and PostgreSQL give the same answers to the same random calls, in the same order."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from relay.records import AckBatch, BeginAsk
from tests.contract.portal import Portal, portal
from tests.contract.worlds import (
    CONTACT,
    MOST_SIGNALS,
    NUMBER,
    WRONG,
    World,
    memory_world,
    posting,
    stranger_to_all,
)  # fmt: skip
from tests.fakes import new_id
from tests.postgres.server import FreshDatabases

IDS = [new_id() for _ in range(12)]
NOBODY = stranger_to_all()

posts = st.tuples(
    st.integers(0, 2),  # which account; the last does not exist
    st.sampled_from(IDS),
    st.sampled_from(["a", "b"]),
    st.sampled_from([1024, 1024, 4096, 16384]),
    st.sampled_from([CONTACT, CONTACT, NUMBER, WRONG]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([3600, 3600, -3600]),
)
ids = st.lists(st.sampled_from(IDS), max_size=6)
kinds = st.sampled_from(["mailbox", "mailbox", "signals"])


class SameAnswers(RuleBasedStateMachine):
    """Two accounts and one that does not exist; few ids, so that they meet again."""

    portal: ClassVar[Portal]

    @initialize()
    def begin(self) -> None:
        self.memory = memory_world()
        real = self.portal.world
        self.accounts = [trio.run(self.memory.add_account, CONTACT, NUMBER) for _ in range(2)]
        for account_id in self.accounts:
            real.accounts[account_id] = self.memory.accounts[account_id]
            self.portal.call(real.insert, account_id, 3)
        self.accounts.append(NOBODY)

    def same(self, store: str, method: str, *args: Any, **options: Any) -> Any:
        async def ask(world: World) -> Any:
            return await getattr(getattr(world, store), method)(*args, **options)

        ours, theirs = trio.run(ask, self.memory), self.portal.call(ask, self.portal.world)
        assert ours == theirs
        return ours

    @rule(kind=kinds, batch=st.lists(posts, min_size=1, max_size=10, unique_by=lambda p: (p[0], p[1])))
    def put(self, kind: str, batch: list[tuple[int, Any, str, int, bytes, bool, int]]) -> None:
        self.same(kind, "put", [
            posting(self.accounts[to], fill, id_=id_, size=size, access=access, over_rate=over_rate, ttl_s=ttl_s)
            for to, id_, fill, size, access, over_rate, ttl_s in batch
        ])  # fmt: skip

    @rule(kind=kinds, to=st.integers(0, 2), back=st.sampled_from([0, 0, 0, 1]), acked=ids)
    def remove(self, kind: str, to: int, back: int, acked: list[Any]) -> None:
        epoch = self.same("mailbox", "epochs", [self.accounts[to]]).get(self.accounts[to], 1)
        self.same(kind, "remove", [AckBatch(self.accounts[to], epoch - back, tuple(acked))])

    @rule(
        kind=kinds,
        to=st.integers(0, 2),
        limit=st.integers(1, 9),
        max_bytes=st.sampled_from([1, 1024, 5120, 20480, 10**6]),
        skip=st.frozensets(st.sampled_from(IDS)),
    )
    def page(self, kind: str, to: int, limit: int, max_bytes: int, skip: frozenset[Any]) -> None:
        self.same(kind, "page", self.accounts[to], limit=limit, max_bytes=max_bytes, skip=skip)

    @rule(
        asked=st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 0, 1])), max_size=3, unique_by=lambda a: a[0]
        )
    )
    def begin_sessions(self, asked: list[tuple[int, int]]) -> None:
        self.same(
            "mailbox", "begin_sessions", [BeginAsk(self.accounts[to], bytes([wrong] * 32)) for to, wrong in asked]
        )

    @rule(to=st.integers(0, 1))
    def recover(self, to: int) -> None:
        self.portal.call(
            self.portal.world.recover_account, self.accounts[to]
        )  # both worlds share the account in memory

    @rule(to=st.integers(0, 2))
    def notices(self, to: int) -> None:
        self.same("mailbox", "notices", self.accounts[to])

    @invariant()
    def all_is_the_same(self) -> None:
        for account_id in getattr(self, "accounts", ()):
            for kind in ("mailbox", "signals"):
                self.same(kind, "page", account_id, limit=100, max_bytes=10**9, skip=())


def test_the_fakes_answer_like_postgresql(fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.signals.MOST_SIGNALS", MOST_SIGNALS)
    with portal(fresh_databases) as opened:
        machine = type("Bound", (SameAnswers,), {"portal": opened})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=20,
                stateful_step_count=25,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
