"""The mailbox against a model of a dozen lines a rule: the fake alone in many lives, the fake and PostgreSQL side by side in some."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
import trio
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from relay import mailbox as store
from relay.errors import Refusal
from relay.queries import mailbox as queries
from relay.records import AckBatch, BeginAsk, Outcome, Stored
from tests.contract.portal import Portal, portal
from tests.contract.worlds import (
    CONTACT,
    LONG_AGO_S,
    NUMBER,
    SETTINGS,
    WRONG,
    World,
    memory_world,
    posting,
    stranger_to_all,
)  # fmt: skip
from tests.fakes import MemoryMailbox, new_id
from tests.models.profile import SEED, profile, until_convicted
from tests.postgres.server import FreshDatabases

NOW = int(time.time())
RECENT = [new_id(NOW) for _ in range(7)]
OLD = [new_id(NOW - LONG_AGO_S) for _ in range(3)]
KIB = 1024

who = st.integers(0, 2)
ids = st.sampled_from(RECENT + OLD)
envelopes = st.tuples(
    ids,
    st.sampled_from("ab"),
    st.sampled_from([1, 1, 4, 16]),
    st.sampled_from([CONTACT, CONTACT, NUMBER, NUMBER, WRONG]),
    st.sampled_from([False] * 5 + [True]),
)


@dataclass
class Account:
    """What a mailbox is: envelopes in order of arrival, and who may delete them."""

    id: UUID
    exists: bool = True
    epoch: int = 0
    told_full: bool = True
    waiting: list[tuple[UUID, bytes, bool]] = field(default_factory=list)
    """Id, body, whether it is a stranger's."""

    def put(self, batch: list[tuple[UUID, bytes, bytes, bool]]) -> list[Outcome]:
        """Each is judged by what waited before the batch and by those of the batch before it that had access."""
        before, counted, outcomes = list(self.waiting), [], []
        for id_, body, access, over_rate in batch:
            outcome: Outcome
            if not self.exists or access == WRONG:
                outcome = Refusal.NO_ACCESS
            elif over_rate:
                outcome = Refusal.RATE_LIMITED
            else:
                counted.append((id_, body, access == NUMBER))
                there = next((known for known in self.waiting if known[0] == id_), None)
                held = before + counted
                full = (
                    len(held) > SETTINGS.mailbox_envelopes
                    or sum(len(one[1]) for one in held) > SETTINGS.mailbox_bytes
                    or (access == NUMBER and sum(one[2] for one in held) > SETTINGS.mailbox_stranger_envelopes)
                )
                if there is not None:
                    outcome = Stored.AGAIN if there[1] == body else Refusal.CONFLICT
                elif full:
                    outcome = Refusal.MAILBOX_FULL
                    self.told_full = False
                else:
                    outcome = Stored.NEW
                    self.waiting.append(counted[-1])
            outcomes.append(outcome)
        return outcomes

    def page(self, limit: int, max_bytes: int, skip: frozenset[UUID]) -> tuple[list[tuple[UUID, bytes]], bool]:
        left = [(id_, body) for id_, body, _ in self.waiting if id_ not in skip]
        taken: list[tuple[UUID, bytes]] = []
        for one in left[:limit]:
            if taken and sum(len(body) for _, body in [*taken, one]) > max_bytes:
                break
            taken.append(one)
        return taken, taken == left

    def remove(self, epoch: int, acked: tuple[UUID, ...]) -> None:
        if self.exists and epoch == self.epoch:
            self.waiting = [one for one in self.waiting if one[0] not in acked]


class Mailboxes(RuleBasedStateMachine):
    """Two accounts that exist, until they are deleted, and one that never did."""

    portal: ClassVar[Portal | None] = None

    @initialize()
    def begin(self) -> None:
        self.memory = memory_world()
        self.accounts = [Account(trio.run(self.memory.add_account, CONTACT, NUMBER)) for _ in range(2)]
        if self.portal is not None:
            self.portal.call(self.portal.world.expire, NOW)
            for account in self.accounts:
                self.portal.world.accounts[account.id] = self.memory.accounts[account.id]
                self.portal.call(self.portal.world.insert, account.id, 0)
        self.accounts.append(Account(stranger_to_all(), exists=False))

    def both(self, ask: Any) -> Any:
        """What the fake answers, and PostgreSQL must answer too."""
        ours = trio.run(ask, self.memory)
        if self.portal is not None:
            theirs = self.portal.call(ask, self.portal.world)
            assert ours == theirs
        return ours

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        async def ask(world: World) -> Any:
            return await getattr(world.mailbox, method)(*args, **options)

        return self.both(ask)

    @rule(to=who, batch=st.lists(envelopes, min_size=1, max_size=6, unique_by=lambda one: one[0]))
    def store(self, to: int, batch: list[tuple[UUID, str, int, bytes, bool]]) -> None:
        account = self.accounts[to]
        postings = [
            posting(account.id, fill, id_=id_, size=size * KIB, access=access, over_rate=over)
            for id_, fill, size, access, over in batch
        ]
        bodies = [one.body for one in postings]
        wanted = account.put(
            [(id_, body, acc, over) for (id_, _, _, acc, over), body in zip(batch, bodies, strict=True)]
        )
        assert self.call("put", postings) == wanted

    @rule(
        of=who,
        limit=st.integers(1, 9),
        max_kib=st.sampled_from([1, 4, 6, 20, 1000]),
        skip=st.frozensets(ids, max_size=6),
    )
    def take(self, of: int, limit: int, max_kib: int, skip: frozenset[UUID]) -> None:
        account = self.accounts[of]
        page, exhausted = self.call("page", account.id, limit=limit, max_bytes=max_kib * KIB, skip=skip)
        assert ([(one.id, one.body) for one in page], exhausted) == account.page(limit, max_kib * KIB, skip)

    @rule(of=who, back=st.sampled_from([0, 0, 1, -1]), acked=st.lists(ids, max_size=6, unique=True))
    def acknowledge(self, of: int, back: int, acked: list[UUID]) -> None:
        """Under the newest epoch, one that has been superseded, or one that nobody was given."""
        account = self.accounts[of]
        epoch = account.epoch - back
        account.remove(epoch, tuple(acked))
        self.call("remove", [AckBatch(account.id, epoch, tuple(acked))])

    @rule(of=who)
    def open_session(self, of: int) -> None:
        account = self.accounts[of]
        account.epoch += account.exists
        (begun,) = self.call("begin_sessions", [BeginAsk(account.id, bytes(32))])
        assert (begun and begun.epoch) == (account.epoch if account.exists else None)
        assert begun is None or begun.mail == bool(account.page(1, 1000 * KIB, frozenset())[0])

    @rule(of=who)
    def ask_for_notices(self, of: int) -> None:
        account = self.accounts[of]
        assert self.call("notices", account.id).mailbox_was_full is (account.exists and not account.told_full)
        account.told_full = True

    @rule()
    def expire(self) -> None:
        """A sweep: what is too old is gone for all, and nothing else."""
        for account in self.accounts:
            account.waiting = [one for one in account.waiting if one[0] not in OLD]
        self.both(lambda world: world.expire(NOW))

    @rule()
    def sweep_too_early(self) -> None:
        self.both(lambda world: world.expire(NOW - LONG_AGO_S + SETTINGS.envelope_ttl_s))

    @rule(of=st.integers(0, 1), really=st.sampled_from([False, False, True]))
    def delete_account(self, of: int, really: bool) -> None:
        account = self.accounts[of]
        if not really or not account.exists:
            return
        account.exists, account.waiting = False, []

        async def delete(world: World) -> None:
            world.accounts.setdefault(account.id, None)  # both worlds share the account in memory
            await world.delete_account(account.id)
            if world.database is not None:
                await world.database.execute("DELETE FROM envelopes WHERE account_id = $1", account.id)
            else:
                assert isinstance(world.mailbox, MemoryMailbox)
                rows = world.mailbox.rows
                world.mailbox.rows = {key: row for key, row in rows.items() if key[0] != account.id}

        self.both(delete)

    @invariant()
    def all_that_waits_is_what_must(self) -> None:
        for account in getattr(self, "accounts", ()):
            page, exhausted = self.call("page", account.id, limit=100, max_bytes=10**9, skip=())
            assert [(one.id, one.body) for one in page] == [(id_, body) for id_, body, _ in account.waiting]
            assert exhausted


def live(machine: type[Mailboxes], opened: Portal | None, how: Any) -> None:
    run_state_machine_as_test(seed(SEED)(type("Bound", (machine,), {"portal": opened})), settings=how)


def test_the_fake_is_what_the_model_says() -> None:
    live(Mailboxes, None, profile(40))


def test_postgresql_is_what_the_model_says(fresh_databases: FreshDatabases) -> None:
    with portal(fresh_databases) as opened:
        live(Mailboxes, opened, profile(10, share=0.1))


# -- each planted bug is convicted ---------------------------------------------------------------------------------------


def planted_in_the_fake(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if bug == "superseded acknowledgements delete":

        async def remove(self: MemoryMailbox, batch: list[AckBatch]) -> None:
            for acks in batch:
                for id_ in acks.ids:
                    self.rows.pop((acks.account_id, id_), None)

        monkeypatch.setattr(MemoryMailbox, "remove", remove)
    elif bug == "a full mailbox drops its oldest":
        put = MemoryMailbox.put

        async def trimming(self: MemoryMailbox, batch: list[Any]) -> list[Outcome]:
            outcomes = await put(self, batch)
            if Refusal.MAILBOX_FULL in outcomes:
                self.rows.pop(next(iter(self.rows)), None)
            return outcomes

        monkeypatch.setattr(MemoryMailbox, "put", trimming)


@pytest.mark.parametrize("bug", ["superseded acknowledgements delete", "a full mailbox drops its oldest"])
def test_a_bug_in_the_fake_is_convicted(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted_in_the_fake(bug, monkeypatch)
    with pytest.raises(AssertionError):
        live(Mailboxes, None, until_convicted(300))


def test_a_bug_in_a_statement_is_convicted(fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Envelopes of a batch that go in by their id and not as they came."""
    right, wrong = "ORDER BY n) o OFFSET 0", "ORDER BY envelope_id) o OFFSET 0"
    for name in ("PUT", "PUT_ONE_EACH"):
        statement: str = getattr(queries, name)
        assert right in statement
        monkeypatch.setattr(store.queries, name, statement.replace(right, wrong))
    with portal(fresh_databases) as opened, pytest.raises(AssertionError):
        live(Mailboxes, opened, until_convicted(60))
