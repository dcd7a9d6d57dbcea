"""What runs beside the sessions: notifier, wake-ups, sweeper; and the switchboard, which they call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks import wakeup_listener as topics
from nursery_tasks.notifier import EVERY_S, Notifier
from nursery_tasks.sweeper import sweep
from nursery_tasks.wakeup_listener import LOOK_EVERY_S, Wakeups
from relay.errors import DatabaseUnavailable, Ending
from relay.records import Ringing, Waiting
from relay.switchboard import Switchboard
from tests.fakes import Gate

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


# -- the notifier ----------------------------------------------------------------------------------------------------


class Notifications:
    """Keeps what was sent; fails or waits when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[UUID]]] = []
        self.gate: Gate | None = None
        self.errors: list[Exception] = []
        self.tried_at: list[float] = []

    async def notify(self, topic: str, account_ids: Sequence[UUID]) -> None:
        await trio.lowlevel.checkpoint()
        self.tried_at.append(trio.current_time())
        if self.gate is not None:
            await self.gate.pass_through()
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((topic, list(account_ids)))


@pytest.fixture
def notifications() -> Notifications:
    return Notifications()


@pytest.fixture
async def notifier(nursery: trio.Nursery, notifications: Notifications) -> Notifier:
    made = Notifier(notifications)
    await nursery.start(made.run)
    return made


async def test_an_account_is_named_once_in_a_notification(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications
) -> None:
    gate = notifications.gate = Gate()
    notifier.tell(topics.MAIL, A)
    await gate.reached.wait()
    notifications.gate = None
    for _ in range(100):
        notifier.tell(topics.MAIL, A)
        notifier.tell(topics.MAIL, B)
    gate.open()
    await trio.sleep(1)
    assert notifications.sent == [(topics.MAIL, [A]), (topics.MAIL, [A, B])]
    assert notifications.tried_at == [0.0, EVERY_S[topics.MAIL]], "the first at once, the next a moment later"


async def test_a_payload_is_under_8000_bytes(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications
) -> None:
    everybody = [uuid4() for _ in range(450)]
    for account_id in everybody:
        notifier.tell(topics.MAIL, account_id)
    await trio.sleep(1)
    assert [id_ for _, ids in notifications.sent for id_ in ids] == everybody
    assert max(len(",".join(map(str, ids))) for _, ids in notifications.sent) < 8000


async def test_a_flood_of_mail_does_not_hold_up_a_ring(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications
) -> None:
    for number in range(2000):
        notifier.tell(topics.MAIL, UUID(int=number))
    notifier.tell(topics.SIGNALS, A)
    await wait_all_tasks_blocked()
    assert [topic for topic, _ in notifications.sent] == [topics.MAIL, topics.SIGNALS]
    await trio.sleep(1)
    assert len(notifications.sent) == 11


async def test_mail_and_sessions_are_paced_and_nothing_else_is(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications
) -> None:
    for number in range(5):
        for topic in (topics.MAIL, topics.SIGNALS, topics.SESSIONS):
            notifier.tell(topic, UUID(int=number))
        await wait_all_tasks_blocked()
    at_once = [topic for topic, _ in notifications.sent]
    assert (at_once.count(topics.MAIL), at_once.count(topics.SIGNALS), at_once.count(topics.SESSIONS)) == (1, 5, 1)
    assert trio.current_time() == 0.0
    await trio.sleep(1)
    others = [UUID(int=number) for number in range(1, 5)]
    assert notifications.sent[7:] == [(topics.MAIL, others), (topics.SESSIONS, others)]
    assert notifications.tried_at[7:] == [EVERY_S[topics.MAIL], EVERY_S[topics.SESSIONS]]


async def test_a_flood_of_rings_does_not_hold_up_mail(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications, nursery: trio.Nursery
) -> None:
    async def flood() -> None:
        while True:
            notifier.tell(topics.SIGNALS, B)
            await trio.lowlevel.checkpoint()

    nursery.start_soon(flood)
    notifier.tell(topics.MAIL, A)
    for _ in range(20):
        await trio.lowlevel.checkpoint()
    assert (topics.MAIL, [A]) in notifications.sent


async def test_what_could_not_be_sent_is_sent_later(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications
) -> None:
    """The other processes' listeners may never have lost their connections."""
    notifications.errors = [DatabaseUnavailable(), DatabaseUnavailable()]
    notifier.tell(topics.MAIL, A)
    notifier.tell(topics.SESSIONS, B)
    await trio.sleep(5)
    assert sorted(notifications.sent) == [(topics.MAIL, [A]), (topics.SESSIONS, [B])]
    assert notifications.tried_at == [0.0, 0.5, 1.0, 1.0]  # with a pause, not in a hot loop


async def test_a_bug_does_not_take_it_down(
    autojump_clock: MockClock, notifier: Notifier, notifications: Notifications, caplog: pytest.LogCaptureFixture
) -> None:
    notifications.errors = [ValueError("somebody's secret")]
    notifier.tell(topics.MAIL, A)
    await wait_all_tasks_blocked()
    notifier.tell(topics.MAIL, B)
    await trio.sleep(1)
    assert notifications.sent == [(topics.MAIL, [B])]
    assert "secret" not in caplog.text


# -- the switchboard -------------------------------------------------------------------------------------------------


class Live:
    """A session that keeps what it is told."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self.endings: list[Ending] = []
        self.told: list[object] = []

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)

    def hand_over_mail(self, envelopes: Sequence[Waiting]) -> None:
        self.told.extend(envelopes)

    def hand_over_signals(self, signals: Sequence[Ringing]) -> None:
        self.told.extend(signals)

    def look_at_mail(self) -> None:
        self.told.append("mail")

    def look_at_signals(self) -> None:
        self.told.append("signals")

    def look_at_notices(self) -> None:
        self.told.append("notices")


@pytest.mark.parametrize("newer_first", [True, False])
def test_the_newest_epoch_wins_in_both_orders(newer_first: bool) -> None:
    left: list[UUID] = []
    board = Switchboard(left.append)
    old, new = Live(3), Live(4)
    first, second = (new, old) if newer_first else (old, new)
    with board.mailbox(A, first):
        with board.mailbox(A, second):
            assert (old.endings, new.endings) == ([Ending.SUPERSEDED], [])
            assert board.hand_over_mail(A, [Waiting(A, 1, b"")])
            assert (old.told, new.told) == ([], [Waiting(A, 1, b"")])
            assert board.sessions == 1
        assert board.sessions == (1 if newer_first else 0)
    assert board.sessions == 0
    assert left == [A]


def test_it_forgets_a_session_that_fails() -> None:
    board = Switchboard()
    with pytest.raises(KeyError), board.mailbox(A, Live()):
        raise KeyError
    with pytest.raises(KeyError), board.post(Live()):
        raise KeyError
    assert board.sessions == 0


def test_it_reaches_those_who_are_here() -> None:
    board = Switchboard()
    here, other = Live(), Live()
    with board.mailbox(A, here), board.mailbox(B, other):
        assert not board.hand_over_mail(C, [Waiting(A, 1, b"")])
        assert not board.hand_over_signals(C, [Ringing(A, 1, b"")])
        assert board.hand_over_signals(A, [Ringing(A, 1, b"")])
        board.look_at_mail([A, C])
        board.look_at_signals([C, A])
        board.look_at_notices([A])
        assert here.told == [Ringing(A, 1, b""), "mail", "signals", "notices"]
        assert other.told == []
        board.look_at_everything()
        assert other.told == ["mail", "signals", "notices"]
        assert board.accounts_here([A, C]) == [A]
        assert board.accounts_here() == [A, B]


def test_draining_ends_those_who_are_here_and_those_who_come() -> None:
    board = Switchboard()
    early, early_post, late, late_post = Live(), Live(), Live(), Live()
    with board.mailbox(A, early), board.post(early_post):
        board.drain()
        with board.mailbox(B, late), board.post(late_post):
            for live in (early, early_post, late, late_post):
                assert live.endings == [Ending.DRAINING]


def test_epochs_are_compared_with_those_who_were_asked_about() -> None:
    left: list[UUID] = []
    board = Switchboard(left.append)
    old, gone, young, unasked = Live(1), Live(1), Live(9), Live(1)
    with board.mailbox(A, old), board.mailbox(B, gone), board.mailbox(C, young), board.mailbox(UUID(int=4), unasked):
        board.check_epochs([A, B, C, UUID(int=5)], {A: 2, C: 8})
        assert [live.endings for live in (old, gone, young, unasked)] == [
            [Ending.SUPERSEDED], [Ending.REVOKED], [], [],
        ]  # fmt: skip
        assert left == [A]
        assert not board.hand_over_mail(A, [Waiting(A, 1, b"")])  # so that the notifier names it
        assert not board.hand_over_signals(A, [Ringing(A, 1, b"")])
    assert left == [A, UUID(int=4), C, B]


# -- wake-ups --------------------------------------------------------------------------------------------------------


class Epochs:
    def __init__(self) -> None:
        self.asked: list[set[UUID]] = []
        self.newest: dict[UUID, int] = {}
        self.errors = 0

    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]:
        self.asked.append(set(account_ids))
        await trio.lowlevel.checkpoint()
        if self.errors:
            self.errors -= 1
            raise DatabaseUnavailable
        return {id_: epoch for id_, epoch in self.newest.items() if id_ in account_ids}


@pytest.mark.parametrize(
    ("topic", "told"),
    [(topics.MAIL, ["mail"]), (topics.SIGNALS, ["signals"]), (topics.NOTICES, ["notices"]), ("another", [])],
)
def test_a_notification_reaches_its_accounts(topic: str, told: list[str]) -> None:
    board, one, two = Switchboard(), Live(), Live()
    wakeups = Wakeups(board, Epochs())
    with board.mailbox(A, one), board.mailbox(B, two):
        wakeups.notified(topic, f"{A},{C}")
        assert (one.told, two.told) == (told, [])


@pytest.mark.parametrize("payload", ["", ",", "not an id", f"{A},", f"{A},x", "\x00", "1" * 8000])
@pytest.mark.parametrize("topic", topics.TOPICS)
def test_a_payload_that_is_not_ours_is_dropped(topic: str, payload: str, caplog: pytest.LogCaptureFixture) -> None:
    board, live = Switchboard(), Live()
    with board.mailbox(A, live):
        Wakeups(board, Epochs()).notified(topic, payload)
    assert (live.told, live.endings) == ([], [])
    assert str(A) not in caplog.text


async def test_a_new_session_elsewhere_ends_the_one_here(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    board, store, live = Switchboard(), Epochs(), Live(1)
    wakeups = Wakeups(board, store)
    await nursery.start(wakeups.check_epochs)
    with board.mailbox(A, live):
        wakeups.notified(topics.SESSIONS, f"{B},{C}")
        await wait_all_tasks_blocked()
        assert store.asked == []  # nobody here, nothing to ask
        store.newest[A] = 2
        wakeups.notified(topics.SESSIONS, f"{A},{B}")
        await wait_all_tasks_blocked()
    assert store.asked == [{A}]
    assert live.endings == [Ending.SUPERSEDED]


async def test_after_a_gap_everybody_looks_at_everything(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    board, store, one, two = Switchboard(), Epochs(), Live(1), Live(1)
    wakeups = Wakeups(board, store)
    await nursery.start(wakeups.check_epochs)
    store.newest = {A: 1}
    with board.mailbox(A, one), board.mailbox(B, two):
        wakeups.gap()
        await wait_all_tasks_blocked()
    assert one.told == ["mail", "signals", "notices"]
    assert store.asked == [{A, B}]
    assert (one.endings, two.endings) == ([], [Ending.REVOKED])


async def test_epochs_are_asked_again_until_the_database_answers(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    board, store, one, two = Switchboard(), Epochs(), Live(1), Live(1)
    wakeups = Wakeups(board, store)
    await nursery.start(wakeups.check_epochs)
    store.newest, store.errors = {A: 2, B: 2}, 2
    with board.mailbox(A, one), board.mailbox(B, two):
        wakeups.check([A])
        await trio.sleep(0.5)
        wakeups.check([B])
        await trio.sleep(5)
    assert store.asked == [{A}, {A, B}, {A, B}]
    assert (one.endings, two.endings) == ([Ending.SUPERSEDED], [Ending.SUPERSEDED])


# -- the sweeper -----------------------------------------------------------------------------------------------------


async def test_a_chore_that_fails_stops_no_other_and_comes_again(
    autojump_clock: MockClock, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[tuple[str, float]] = []

    def chore(name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await trio.lowlevel.checkpoint()
            done.append((name, trio.current_time()))
            if error is not None:
                raise error

        return run

    chores = [chore("a", DatabaseUnavailable()), chore("b", ValueError("somebody's secret")), chore("c")]
    nursery.start_soon(sweep, chores)
    await trio.sleep(150)
    assert done == [(name, at) for at in (60.0, 120.0) for name in "abc"]
    assert "secret" not in caplog.text


async def test_each_session_looks_for_mail_once_in_five_minutes_unasked(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Whoever stored it may have died before it told anybody."""
    switchboard = Switchboard()
    lives = {UUID(int=number): Live() for number in range(100)}
    await nursery.start(Wakeups(switchboard, Epochs()).look_around)
    with ExitStack() as open_:
        for account_id, live in lives.items():
            open_.enter_context(switchboard.mailbox(account_id, live))
        await trio.sleep(LOOK_EVERY_S / 2)
        half = sum(len(live.told) for live in lives.values())
        await trio.sleep(LOOK_EVERY_S / 2 + 1)
        assert all(live.told == ["mail"] for live in lives.values())
        assert 0 < half < len(lives), "not all at once"
