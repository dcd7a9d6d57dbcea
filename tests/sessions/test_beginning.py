"""Between the statement that begins a session and its place on the switchboard: what changes meanwhile is not missed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from nursery_tasks.session_opener import SessionOpener
from relay.errors import DatabaseUnavailable, Ending
from relay.records import BeginAsk, Begun
from tests.fakes import Gate, MemoryAccounts, MemoryMailbox
from tests.sessions.stage import TOKEN, Running, Stage, delivered, fill_of, quiet


async def began(stage: Stage, account_id: UUID, meanwhile: Callable[[], Awaitable[object]]) -> Running:
    """A session whose statement has looked before `meanwhile` and is answered after it."""
    gate = stage.mailbox.gates["begin_sessions"] = Gate()
    running = stage.open_mailbox(account_id)
    await gate.reached.wait()
    await meanwhile()
    gate.open()
    await running.peer.expect("hello")
    return running


async def test_who_has_nothing_waiting_asks_for_nothing_else(autojump_clock: MockClock, stage: Stage) -> None:
    calls = [*(stage.mailbox.gates.setdefault(call, Gate()) for call in ("page", "notices")), Gate()]
    stage.signals.gates["page"] = calls[-1]
    running = await stage.caught_up(stage.account())
    assert await quiet(stage, running)
    assert not any(call.reached.is_set() for call in calls)


async def test_few_keys_are_told_without_another_question(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    stage.accounts[account_id].kyber_prekeys = 3
    notices = stage.mailbox.gates["notices"] = Gate()
    running = await stage.caught_up(account_id)
    assert (await running.peer.expect("prekeys_low"))["kyber_prekeys"] == 3
    assert not notices.reached.is_set()


async def test_mail_that_is_handed_over_meanwhile_is_read(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await began(stage, account_id, lambda: stage.commit(account_id, "meanwhile"))
    assert delivered(await running.peer.hear()) == ["meanwhile"]
    await running.peer.expect("drained")
    assert await quiet(stage, running)


async def test_mail_that_went_to_an_older_session_meanwhile_is_read(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    older = await stage.caught_up(account_id)
    running = await began(stage, account_id, lambda: stage.commit(account_id, "meanwhile"))
    assert await older.wait() is Ending.SUPERSEDED
    assert delivered(await running.peer.hear()) == ["meanwhile"]


@pytest.mark.parametrize("everybody", [False, True])
async def test_mail_that_another_process_stored_meanwhile_is_read(
    autojump_clock: MockClock, stage: Stage, everybody: bool
) -> None:
    account_id = stage.account()

    async def stored_elsewhere() -> None:
        await stage.waiting(account_id, "elsewhere")
        if everybody:
            stage.switchboard.look_at_everything()
        else:
            stage.switchboard.look_at_mail([account_id])

    running = await began(stage, account_id, stored_elsewhere)
    assert delivered(await running.peer.hear()) == ["elsewhere"]
    await running.peer.expect("drained")


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_ring_meanwhile_is_heard(autojump_clock: MockClock, stage: Stage, elsewhere: bool) -> None:
    account_id = stage.account()

    async def rings() -> None:
        if elsewhere:
            await stage.ringing(account_id, "ring")
            stage.switchboard.look_at_signals([account_id])
        else:
            await stage.ring(account_id, "ring")

    running = await began(stage, account_id, rings)
    frames = [await running.peer.hear() for _ in range(2)]
    assert [fill_of(frame) for frame in frames if frame["type"] == "signal"] == ["ring"]


async def test_keys_that_run_low_meanwhile_are_told(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()

    async def keys_go() -> None:
        stage.accounts[account_id].prekeys = 7
        stage.switchboard.look_at_notices([account_id])

    running = await began(stage, account_id, keys_go)
    await running.peer.expect("drained")
    assert (await running.peer.expect("prekeys_low"))["prekeys"] == 7


async def test_keys_that_run_low_while_mail_is_read_are_told(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    await stage.waiting(account_id, *range(65))
    page = stage.mailbox.gates["page"] = Gate()
    running = stage.open_mailbox(account_id)
    await page.reached.wait()
    stage.accounts[account_id].prekeys = 7
    stage.switchboard.look_at_notices([account_id])
    page.open()
    frames = [await running.peer.hear() for _ in range(5)]
    assert [frame["type"] for frame in frames] == ["hello", "deliver", "deliver", "drained", "prekeys_low"]


async def test_what_is_told_of_a_full_mailbox_is_told_once(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    stage.accounts[account_id].mailbox_was_full = True
    running = await stage.caught_up(account_id)
    await running.peer.expect("mailbox_was_full")
    assert not stage.accounts[account_id].mailbox_was_full
    assert await quiet(stage, running)


async def test_a_wrong_token_changes_nothing(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    assert await stage.open_mailbox(account_id, token_hash=b"wrong").wait() is Ending.REVOKED
    assert stage.accounts[account_id].epoch == 1
    assert stage.announced == [account_id]
    assert not running.over.is_set()
    running.peer.drop()
    await stage.nothing_is_left()


async def test_who_gives_up_while_the_session_begins_is_expected_no_more(
    autojump_clock: MockClock, stage: Stage
) -> None:
    account_id = stage.account()
    gate = stage.mailbox.gates["begin_sessions"] = Gate()
    first, second = stage.open_mailbox(account_id), stage.open_mailbox(account_id)
    await gate.reached.wait()
    await stage.settle()
    assert stage.switchboard.expected == 1
    first.scope.cancel()
    await first.wait()
    assert stage.switchboard.expected == 1, "the other one is still to come"
    second.scope.cancel()
    await second.wait()
    await stage.nothing_is_left()


async def test_no_session_begins_in_trouble(autojump_clock: MockClock, stage: Stage) -> None:
    stage.mailbox.errors["begin_sessions"] = DatabaseUnavailable()
    assert await stage.open_mailbox(stage.account()).wait() is Ending.DATABASE_TROUBLE
    await stage.nothing_is_left()


# -- many in one statement --------------------------------------------------------------------------------------------


class Store(MemoryMailbox):
    """Keeps how many began in each statement."""

    def __init__(self) -> None:
        super().__init__(MemoryAccounts())
        self.sizes: list[int] = []

    async def begin_sessions(self, asked: list[BeginAsk]) -> list[Begun | None]:  # type: ignore[override]
        self.sizes.append(len(asked))
        return await super().begin_sessions(asked)


async def test_sessions_begin_together(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Those of one account one after the other: each has an epoch of its own."""
    store = Store()
    one, two, three = (store.accounts.add(b"") for _ in range(3))
    opener = SessionOpener(store)
    await nursery.start(opener.run)
    gate = store.gates["begin_sessions"] = Gate()
    came: list[tuple[UUID, int | None]] = []

    async def ask(account_id: UUID, token_hash: bytes = TOKEN) -> None:
        begun = await opener.begin(account_id, token_hash)
        came.append((account_id, begun and begun.epoch))

    nursery.start_soon(ask, one)
    await gate.reached.wait()
    for account_id, token_hash in ((one, TOKEN), (one, TOKEN), (two, TOKEN), (three, b"wrong")):
        nursery.start_soon(ask, account_id, token_hash)
    await trio.testing.wait_all_tasks_blocked()
    del store.gates["begin_sessions"]
    gate.open()
    await trio.testing.wait_all_tasks_blocked()
    assert store.sizes == [1, 3, 1]
    assert sorted(epoch or 0 for account_id, epoch in came if account_id == one) == [1, 2, 3]
    assert dict(came)[two] == 1
    assert dict(came)[three] is None


async def test_trouble_is_everybodys_in_the_statement(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    store = Store()
    account_id = store.accounts.add(b"")
    opener = SessionOpener(store)
    await nursery.start(opener.run)
    store.errors["begin_sessions"] = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await opener.begin(account_id, TOKEN)
    store.errors.clear()
    assert await opener.begin(account_id, TOKEN) is not None
