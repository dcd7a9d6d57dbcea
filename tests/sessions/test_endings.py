"""Every way out of a session: its name, its close code, its second, and that nothing is left of it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock

import nursery_tasks.session as supervisor
from relay.errors import DatabaseUnavailable, Ending
from relay.frames import POST_MAX_ENVELOPES
from tests.fakes import Gate, MemoryPeer
from tests.sessions.stage import (
    START,
    Open,
    Stage,
    b64,
    both,
    delivered,
    ended,
    open_mailbox,
    open_post,
    post,
    post_frame,
)


async def account_that_is_asked_for(stage: Stage) -> UUID:
    """What waits for it makes its session call every store."""
    account_id = stage.account()
    await stage.waiting(account_id, "mail")
    await stage.ringing(account_id, "signal")
    stage.accounts[account_id].mailbox_was_full = True
    return account_id


# -- the tasks -------------------------------------------------------------------------------------------------------


async def test_a_mailbox_session_is_four_tasks(autojump_clock: MockClock, stage: Stage) -> None:
    running = await stage.caught_up(stage.account())
    assert running.tasks() == ["call_signal_forwarder", "heartbeat", "inbound_reader", "mailbox_drainer"]


async def test_a_post_session_is_two_tasks(autojump_clock: MockClock, stage: Stage) -> None:
    running = open_post(stage)
    await stage.settle()
    assert running.tasks() == ["heartbeat", "inbound_reader"]


async def test_hello_comes_first(autojump_clock: MockClock, stage: Stage) -> None:
    for running in (open_mailbox(stage), open_post(stage)):
        assert await running.peer.hear() == {
            "type": "hello", "protocol": 1, "now": START, "ping_every_s": 25.0, "answer_within_s": 10.0,
        }  # fmt: skip


MAILBOX_TASKS = {
    "inbound_reader": "read_mailbox_app",
    "mailbox_drainer": "drain_mailbox",
    "call_signal_forwarder": "forward_call_signals",
    "heartbeat": "keep_heartbeat",
}
POST_TASKS = {"inbound_reader": "read_post_app", "heartbeat": "keep_heartbeat"}
EACH_TASK = pytest.mark.parametrize(
    ("open_session", "task", "function"),
    [(open_mailbox, *item) for item in MAILBOX_TASKS.items()] + [(open_post, *item) for item in POST_TASKS.items()],
    ids=[f"mailbox-{name}" for name in MAILBOX_TASKS] + [f"post-{name}" for name in POST_TASKS],
)


@EACH_TASK
async def test_whichever_task_ends_first_decides(
    autojump_clock: MockClock,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    open_session: Open,
    task: str,
    function: str,
) -> None:
    stop = trio.Event()

    async def until_told(*_: Any, **__: Any) -> Ending:
        await stop.wait()
        return Ending.HEARTBEAT_LOST

    monkeypatch.setattr(supervisor, function, until_told)
    running = open_session(stage)
    await trio.sleep(3)
    assert not running.over.is_set()
    stop.set()
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 3.0


@EACH_TASK
async def test_a_task_with_a_bug_ends_its_session_and_the_log_gets_no_message(
    autojump_clock: MockClock, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, open_session: Open, task: str,
    function: str,
) -> None:  # fmt: skip
    async def fail(*_: Any, **__: Any) -> Ending:
        await trio.sleep(1)
        raise KeyError("somebody's secret")

    monkeypatch.setattr(supervisor, function, fail)
    running = open_session(stage)
    await ended(stage, running, Ending.INTERNAL)
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


async def test_the_writer_with_a_bug_too(
    autojump_clock: MockClock, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(MemoryPeer):
        async def send(self, text: str) -> None:
            await trio.lowlevel.checkpoint()
            raise ValueError("somebody's secret")

    running = stage.open_mailbox(stage.account(), Odd())
    await ended(stage, running, Ending.INTERNAL)
    assert "secret" not in caplog.text


async def test_two_tasks_that_fail_at_once_are_one_ending(
    autojump_clock: MockClock, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one counts; the second must not hide it in a group."""

    async def fail(*_: Any, **__: Any) -> Ending:
        await trio.sleep(1)
        raise DatabaseUnavailable

    async def fail_too(*_: Any, **__: Any) -> Ending:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise ValueError from None

    monkeypatch.setattr(supervisor, "drain_mailbox", fail)
    monkeypatch.setattr(supervisor, "forward_call_signals", fail_too)
    await ended(stage, open_mailbox(stage), Ending.DATABASE_TROUBLE)


# -- the first frame of a post session ---------------------------------------------------------------------------------


async def test_the_first_frame_of_a_post_session_has_ten_seconds(autojump_clock: MockClock, stage: Stage) -> None:
    running = stage.open_post()
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 10.0


async def test_then_it_may_be_quiet_as_long_as_the_heart_beats(autojump_clock: MockClock, stage: Stage) -> None:
    running = stage.open_post()
    await trio.sleep(9.99)
    running.peer.say(post_frame(post(stage.account())))
    await trio.sleep(20)
    assert not running.over.is_set()


async def test_a_mailbox_session_has_no_first_frame(autojump_clock: MockClock, stage: Stage) -> None:
    running = open_mailbox(stage)
    await trio.sleep(24)
    assert not running.over.is_set()


# -- frames that are none ------------------------------------------------------------------------------------------

ID = "019535d9-3df7-7000-8000-000000000001"
FOR_BOTH: list[Any] = [
    "", "{", "null", "[]", "3", '"ping"', "{}", '{"type":"ping"}', '{"type":"ping","n":"1"}', '{"type":"ping","n":-1}',
    '{"type":"ping","n":1,"m":2}', '{"type":"pong","n":1.5}', '{"type":"hello"}', '{"type":["ping"],"n":1}',
    '{"type":"PING","n":1}', '{"n":1}', "\ud800", "[" * 50_000, '{"type":"drained"}', '{"type":"posted","ids":[]}',
]  # fmt: skip
FOR_MAILBOX: list[Any] = [
    {"type": "ack", "ids": []},
    {"type": "ack", "ids": [ID] * 257},
    {"type": "ack", "ids": "all"},
    {"type": "ack", "ids": [1]},
    {"type": "ack", "ids": ["not an id"]},
    {"type": "post", "envelopes": []},
    {"type": "signal", "id": ID, "to": ID, "access": b64(bytes(16)), "body": b64(bytes(1024)), "ttl_s": 5},
]
GOOD_POST = {"id": ID, "to": ID, "access": b64(bytes(16)), "body": b64(bytes(1024))}
FOR_POST: list[Any] = [
    {"type": "ack", "ids": [ID]},
    post_frame(),
    post_frame(GOOD_POST, GOOD_POST),
    post_frame(*({**GOOD_POST, "id": f"019535d9-3df7-7000-8000-{n:012}"} for n in range(POST_MAX_ENVELOPES + 1))),
    post_frame({**GOOD_POST, "id": str(uuid4())}),
    post_frame({**GOOD_POST, "access": b64(bytes(15))}),
    post_frame({**GOOD_POST, "body": "*" * 100}),
    post_frame({**GOOD_POST, "from": ID}),
    {"type": "signal", **GOOD_POST, "ttl_s": 0},
    {"type": "signal", **GOOD_POST, "ttl_s": 61},
    {"type": "signal", **GOOD_POST},
]
BAD = [(open_mailbox, bad) for bad in FOR_BOTH + FOR_MAILBOX] + [(open_post, bad) for bad in FOR_BOTH + FOR_POST]


@pytest.mark.parametrize(("open_session", "bad"), BAD, ids=range(len(BAD)))
async def test_what_is_no_frame_of_this_direction_ends_it(
    autojump_clock: MockClock, stage: Stage, open_session: Open, bad: Any
) -> None:
    running = open_session(stage)
    running.peer.say(bad if isinstance(bad, str) else json.dumps(bad))
    await ended(stage, running, Ending.BAD_FRAME)


@both
async def test_a_binary_message_ends_it(autojump_clock: MockClock, stage: Stage, open_session: Open) -> None:
    running = open_session(stage)
    running.peer.say_binary()
    await ended(stage, running, Ending.BAD_FRAME)


# -- the app is gone -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("after_s", [0, 1, 25, 30, 60])
async def test_an_app_that_is_gone_gets_no_goodbye(
    autojump_clock: MockClock, stage: Stage, open_session: Open, after_s: float
) -> None:
    running = open_session(stage)
    for _ in range(int(after_s)):
        await trio.sleep(1)
        running.peer.say({"type": "pong", "n": 1})
    running.peer.drop()
    await ended(stage, running, Ending.PEER_GONE)
    assert running.ended_at == after_s


@pytest.mark.parametrize("call", ["begin_sessions", "page", "notices"])
async def test_an_app_that_leaves_while_the_database_works(autojump_clock: MockClock, stage: Stage, call: str) -> None:
    account_id = await account_that_is_asked_for(stage)
    gate = stage.mailbox.gates[call] = Gate()
    running = stage.open_mailbox(account_id)
    await gate.reached.wait()
    running.peer.drop()
    await stage.settle()
    gate.open()
    await ended(stage, running, Ending.PEER_GONE)


async def test_an_app_that_leaves_before_its_posts_are_answered(autojump_clock: MockClock, stage: Stage) -> None:
    gate = stage.mailbox.gates["put"] = Gate()
    running = stage.open_post()
    account_id = stage.account()
    running.peer.say(post_frame(post(account_id)))
    await gate.reached.wait()
    running.peer.drop()
    await ended(stage, running, Ending.PEER_GONE)
    gate.open()
    await stage.settle()
    assert len(stage.mailbox.rows) == 1  # it was read, so it is stored; the app asks again


@both
async def test_an_app_that_does_not_read_is_cut_off_by_the_write_deadline(
    autojump_clock: MockClock, stage: Stage, open_session: Open
) -> None:
    running = open_session(stage)
    for n in range(20):
        running.peer.say({"type": "ping", "n": n})
    assert await running.wait() is Ending.SLOW_READER
    assert running.ended_at == 20.0
    assert running.peer.closed is None
    await stage.nothing_is_left()


# -- the database ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("store", "call"), [
    ("mailbox", "page"), ("mailbox", "notices"), ("signals", "page"),
])  # fmt: skip
@pytest.mark.parametrize(
    ("error", "ending"), [(DatabaseUnavailable(), Ending.DATABASE_TROUBLE), (ValueError("a secret"), Ending.INTERNAL)]
)
async def test_database_trouble(
    autojump_clock: MockClock,
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    store: str,
    call: str,
    error: Exception,
    ending: Ending,
) -> None:
    account_id = await account_that_is_asked_for(stage)
    getattr(stage, store).errors[call] = error
    await ended(stage, stage.open_mailbox(account_id), ending)
    assert "secret" not in caplog.text


async def test_posts_that_cannot_be_stored_do_not_end_the_session(autojump_clock: MockClock, stage: Stage) -> None:
    stage.mailbox.errors["put"] = DatabaseUnavailable()
    running = stage.open_post()
    running.peer.say(post_frame(post(stage.account())))
    await running.peer.expect("hello")
    refused = await running.peer.expect("refused")
    assert (refused["code"], refused["retry_after_s"]) == ("unavailable", 2)
    assert not running.over.is_set()


# -- from elsewhere --------------------------------------------------------------------------------------------------


async def test_a_newer_session_here_supersedes(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    old = await stage.caught_up(account_id)
    new = await stage.caught_up(account_id)
    assert await old.wait() is Ending.SUPERSEDED
    assert old.peer.closed == (4409, "superseded")
    assert stage.switchboard.accounts_here() == [account_id]
    assert stage.announced == [account_id, account_id]
    assert stage.left == []
    await stage.commit(account_id, "for the new one")
    assert (await new.peer.expect("deliver"))["envelopes"]
    assert old.peer.heard() == []


async def test_of_two_that_begin_at_once_the_newer_epoch_stays(autojump_clock: MockClock, stage: Stage) -> None:
    """Also when the older one hears from the database last."""
    account_id = stage.account()
    late = stage.mailbox.gates["begin_sessions"] = Gate()
    first = stage.open_mailbox(account_id)
    await late.reached.wait()
    del stage.mailbox.gates["begin_sessions"]
    second = await stage.caught_up(account_id)
    late.open()
    assert await first.wait() is Ending.SUPERSEDED
    assert first.peer.sends == 0
    assert not second.over.is_set()
    await stage.commit(account_id, "for the second")
    assert delivered(await second.peer.hear()) == ["for the second"]


@pytest.mark.parametrize(
    ("newest", "ending"),
    [(2, Ending.SUPERSEDED), (None, Ending.REVOKED), (1 << 32, Ending.REVOKED), ((1 << 32) + 5, Ending.REVOKED)],
    ids=["superseded", "gone", "recovered", "recovered, with newer sessions"],
)
async def test_what_the_database_says_of_the_epoch(
    autojump_clock: MockClock, stage: Stage, newest: int | None, ending: Ending
) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    stage.switchboard.check_epochs([account_id], {account_id: 1})
    await stage.settle()
    assert not running.over.is_set()
    stage.switchboard.check_epochs([account_id], {} if newest is None else {account_id: newest})
    await ended(stage, running, ending)
    assert stage.left == [account_id]


async def test_no_account_no_session(autojump_clock: MockClock, stage: Stage) -> None:
    running = stage.open_mailbox(uuid4())
    await ended(stage, running, Ending.REVOKED)
    assert running.peer.sends == 0
    assert stage.announced == []


@both
async def test_draining_ends_those_that_are_here(autojump_clock: MockClock, stage: Stage, open_session: Open) -> None:
    running = open_session(stage)
    await trio.sleep(1)
    stage.switchboard.drain()
    await ended(stage, running, Ending.DRAINING)
    assert running.ended_at == 1.0


@both
async def test_and_those_that_come_later(autojump_clock: MockClock, stage: Stage, open_session: Open) -> None:
    stage.switchboard.drain()
    running = open_session(stage)
    await ended(stage, running, Ending.DRAINING)
    assert running.ended_at == 0.0


@both
async def test_the_first_ending_counts(autojump_clock: MockClock, stage: Stage, open_session: Open) -> None:
    running = open_session(stage)
    await stage.settle()
    stage.switchboard.drain()
    stage.sessions[0].end(Ending.INTERNAL)
    running.peer.drop()
    assert await running.wait() is Ending.DRAINING


@both
async def test_cancelled_from_outside_it_says_that_it_drains(
    autojump_clock: MockClock, stage: Stage, open_session: Open
) -> None:
    running = open_session(stage)
    await trio.sleep(1)
    running.scope.cancel()
    assert await running.wait() is None
    assert running.scope.cancelled_caught
    assert running.peer.closed == (1012, "draining")
    await stage.nothing_is_left()


@both
async def test_a_goodbye_that_nobody_takes_is_given_up(
    autojump_clock: MockClock, stage: Stage, open_session: Open
) -> None:
    class Deaf(MemoryPeer):
        async def close(self, code: int, reason: str) -> None:
            await trio.sleep_forever()

    running = stage.open_mailbox(stage.account(), Deaf()) if open_session is open_mailbox else stage.open_post(Deaf())
    await trio.sleep(1)
    stage.switchboard.drain()
    assert await running.wait() is Ending.DRAINING
    assert running.ended_at == pytest.approx(1.1)
    await stage.nothing_is_left()


async def test_a_session_that_says_goodbye_takes_no_hand_overs(autojump_clock: MockClock, stage: Stage) -> None:
    """Superseded elsewhere: what it would be handed meanwhile, the newer one would never hear of."""
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    stage.switchboard.check_epochs([account_id], {account_id: 2})
    assert stage.switchboard.accounts_here() == []
    assert stage.left == [account_id]
    await ended(stage, running, Ending.SUPERSEDED)
    assert stage.left == [account_id]
