"""A post session from `hello` on: every post is answered once, after its commit; how much may be outstanding; the last words."""

from __future__ import annotations

import json
from math import inf
from typing import Any
from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock

from nursery_tasks.session import Timing
from relay.errors import DatabaseUnavailable, Ending
from tests.fakes import Gate, MemoryMailbox, MemoryPeer, new_id
from tests.sessions.stage import (
    START,
    Running,
    Stage,
    b64,
    body,
    delivered,
    fill_of,
    post,
    post_frame,
    quiet,
    signal_frame,
    wall,
)  # fmt: skip

FAST = Timing(posts_per_s=inf)


async def opened(stage: Stage, peer: MemoryPeer | None = None) -> Running:
    running = stage.open_post(peer)
    await running.peer.expect("hello")
    return running


async def answer(running: Running, frame: dict[str, Any]) -> dict[str, Any]:
    """The answer to a frame."""
    running.peer.say(frame)
    return await running.peer.hear()


# -- answers ---------------------------------------------------------------------------------------------------------


async def test_posted_comes_after_the_commit(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    envelope = post(account_id)
    running.peer.say(post_frame(envelope))
    await gate.reached.wait()
    assert await quiet(stage, running)
    gate.open()
    assert await running.peer.hear() == {"type": "posted", "ids": [envelope["id"]]}
    [row] = stage.mailbox.rows.values()
    assert (row.posting.at, row.posting.body, str(row.posting.id)) == (START, body(), envelope["id"])


async def test_one_frame_answers_what_was_committed_together(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    first, *others = [post(account_id) for _ in range(30)]
    running.peer.say(post_frame(first))
    await gate.reached.wait()
    running.peer.say(post_frame(*others[:15]))
    running.peer.say(post_frame(*others[15:]))
    await stage.settle()
    gate.open()
    assert (await running.peer.expect("posted"))["ids"] == [first["id"]]
    assert (await running.peer.expect("posted"))["ids"] == [envelope["id"] for envelope in others]


async def test_each_is_answered_once_for_itself(autojump_clock: MockClock, stage: Stage) -> None:
    mine, busy = stage.account(), stage.account()
    stage.rates.wait_s[busy] = 17
    taken = post(mine, fill="taken")
    running = await opened(stage)
    await answer(running, post_frame(taken))
    posts = {
        "no_access": post(uuid4()),
        "no_access ": post(mine, key=bytes(16)),
        "bad_size": post(mine, size=1000),
        "bad_size ": {**post(mine), "body": ""},
        "conflict": {**taken, "body": b64(body("other"))},
        "rate_limited": post(busy),
        "clock_skew": post(mine, id_=new_id(wall() - 50 * 3600)),
        "clock_skew ": post(mine, id_=new_id(wall() + 2 * 3600 + 3600)),
    }
    good = post(mine)
    running.peer.say(post_frame(*posts.values(), good))
    answers: dict[str, tuple[str, int, int]] = {}
    posted: list[str] = []
    while len(answers) < len(posts) or not posted:
        frame = await running.peer.hear()
        if frame["type"] == "posted":
            posted += frame["ids"]
        else:
            assert set(frame) == {"type", "id", "code", "retry_after_s", "now"}
            assert frame["id"] not in answers
            answers[frame["id"]] = (frame["code"], frame["retry_after_s"], frame["now"])
    waits = {"rate_limited": 17}
    assert answers == {p["id"]: (code.strip(), waits.get(code, 0), START) for code, p in posts.items()}
    assert posted == [good["id"]]
    assert await quiet(stage, running)


@pytest.mark.parametrize("hours", [-47, 0, 1])
async def test_an_id_of_the_hours_around_is_accepted(autojump_clock: MockClock, stage: Stage, hours: int) -> None:
    running = await opened(stage)
    frame = await answer(running, post_frame(post(stage.account(), id_=new_id(wall() + hours * 3600))))
    assert frame["type"] == "posted"


async def test_a_retry_is_posted_again_and_delivered_once(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    recipient = await stage.caught_up(account_id)
    running = await opened(stage)
    frame = post_frame(post(account_id, fill="once"))
    for _ in range(3):
        assert (await answer(running, frame))["type"] == "posted"
    assert delivered(await recipient.peer.hear()) == ["once"]
    assert await quiet(stage, recipient)
    assert stage.looked == [account_id, account_id]


async def test_a_retry_of_a_commit_whose_answer_was_lost_reaches_the_recipient(
    autojump_clock: MockClock, stage: Stage
) -> None:
    """The first try was committed and reported as failed, so nobody was told; the retry is AGAIN, and not new."""
    account_id = stage.account()
    recipient = await stage.caught_up(account_id)
    put = stage.mailbox.put

    async def put_and_fail(batch: Any) -> Any:
        await put(batch)
        raise DatabaseUnavailable

    running = await opened(stage)
    frame = post_frame(post(account_id, fill="once"))
    stage.mailbox.put = put_and_fail  # type: ignore[method-assign]
    assert (await answer(running, frame))["code"] == "unavailable"
    assert await quiet(stage, recipient)
    stage.mailbox.put = put  # type: ignore[method-assign]
    assert (await answer(running, frame))["type"] == "posted"
    stage.switchboard.look_at_mail(stage.looked)  # what the notifier does with it
    assert delivered(await recipient.peer.hear()) == ["once"]


async def test_a_full_mailbox_tells_both_sides(autojump_clock: MockClock, stage: Stage) -> None:
    small = MemoryMailbox(stage.accounts, wall, envelopes=1)
    stage.mailbox.put = small.put  # type: ignore[method-assign]
    account_id = stage.account()
    recipient = await stage.caught_up(account_id)
    running = await opened(stage)
    await answer(running, post_frame(post(account_id)))
    await recipient.peer.expect("deliver")
    refused = await answer(running, post_frame(post(account_id)))
    assert (refused["code"], refused["retry_after_s"]) == ("mailbox_full", 60)
    await recipient.peer.expect("mailbox_was_full")


async def test_a_signal_rings_and_is_posted(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    recipient = await stage.caught_up(account_id)
    running = await opened(stage)
    frame = signal_frame(account_id, ttl_s=30, fill="ring")
    assert await answer(running, frame) == {"type": "posted", "ids": [frame["id"]]}
    signal = await recipient.peer.expect("signal")
    assert (signal["id"], fill_of(signal), signal["ttl_s"]) == (frame["id"], "ring", 30)
    assert (await answer(running, signal_frame(account_id, key=bytes(16))))["code"] == "no_access"
    assert (await answer(running, signal_frame(account_id, size=100)))["code"] == "bad_size"
    assert stage.mailbox.rows == {}


async def test_mail_that_cannot_be_stored_does_not_delay_a_ring(autojump_clock: MockClock, stage: Stage) -> None:
    stage.mailbox.gates["put"] = Gate()
    account_id = stage.account()
    recipient = await stage.caught_up(account_id)
    running = await opened(stage)
    running.peer.say(post_frame(post(account_id)))
    assert (await answer(running, signal_frame(account_id)))["type"] == "posted"
    await recipient.peer.expect("signal")


async def test_only_the_hash_of_an_access_key_goes_on(autojump_clock: MockClock, stage: Stage) -> None:
    key = b"0123456789abcdef"
    running = await opened(stage)
    await answer(running, post_frame(post(stage.accounts.add(key), key=key)))
    [[posting]] = stage.mailbox.batches
    assert key not in posting.access_hash
    assert len(posting.access_hash) == 32


# -- how much may be outstanding -------------------------------------------------------------------------------------


def unread(running: Running) -> int:
    return running.peer._from_app.statistics().current_buffer_used


@pytest.mark.parametrize(
    ("posts", "size", "frames", "read"),
    [(32, 1024, 12, 8), (1, 65536, 40, 32), (30, 1024, 12, 9)],
    ids=["256 posts", "2 MiB", "a frame may overshoot"],
)
async def test_it_reads_on_up_to_a_bound(
    autojump_clock: MockClock, stage: Stage, posts: int, size: int, frames: int, read: int
) -> None:
    stage.timing = FAST
    account_id = stage.account()
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    sent = [[post(account_id, size=size) for _ in range(posts)] for _ in range(frames)]
    for envelopes in sent:
        running.peer.say(post_frame(*envelopes))
    await stage.settle()
    assert frames - unread(running) == read
    del stage.mailbox.gates["put"]
    gate.open()
    answered: list[str] = []
    while len(answered) < posts * frames:
        answered += (await running.peer.expect("posted"))["ids"]
    assert sorted(answered) == sorted(envelope["id"] for envelopes in sent for envelope in envelopes)


@pytest.mark.parametrize("lane", ["mail", "signals"])
async def test_it_reads_on_while_the_next_batch_has_room(autojump_clock: MockClock, stage: Stage, lane: str) -> None:
    stage.timing = FAST
    account_id = stage.account()
    store, writer = (stage.mailbox, stage.mail_writer) if lane == "mail" else (stage.signals, stage.signal_writer)
    writer._queue._max_items = 2
    gate = store.gates["put"] = Gate()
    running = await opened(stage)
    for _ in range(6):
        running.peer.say(post_frame(post(account_id)) if lane == "mail" else signal_frame(account_id))
        await stage.settle()
    assert unread(running) == 3, "one is being committed, two wait"
    del store.gates["put"]
    gate.open()
    answered: set[str] = set()
    while len(answered) < 6:
        answered.update((await running.peer.expect("posted"))["ids"])


async def test_a_fast_caller_is_read_no_faster_than_its_pace(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await opened(stage)
    for _ in range(94):
        running.peer.say(signal_frame(account_id))
    answered = 0
    while answered < 94:
        answered += len((await running.peer.expect("posted"))["ids"])
    assert trio.current_time() == pytest.approx((93 - 64) / 30)


async def test_answers_that_are_not_read_count_too(autojump_clock: MockClock, stage: Stage) -> None:
    """An app that posts and does not read finds that the relay stops reading, and is cut off at the write deadline."""
    stage.timing = FAST
    account_id = stage.account()
    running = stage.open_post()
    for n in range(1000):
        running.peer.say(post_frame(post(account_id)) if n % 2 else post_frame(post(account_id, size=7)))
        await stage.settle()
        if unread(running):
            break
    assert 256 <= n <= 256 + 8 + 2
    assert await running.wait() is Ending.SLOW_READER
    assert running.ended_at == 20.0


async def test_an_app_that_floods_pings_and_does_not_read_is_cut_off(autojump_clock: MockClock, stage: Stage) -> None:
    """Pings have no bound of their own; when their pongs have taken all the room, the next answer ends the session."""
    gate = stage.mailbox.gates["put"] = Gate()
    running = stage.open_post()
    running.peer.say(post_frame(post(stage.account())))
    for n in range(400):
        running.peer.say({"type": "ping", "n": n})
    await gate.reached.wait()
    await stage.settle()
    assert unread(running) > 0
    gate.open()
    assert await running.wait() is Ending.SLOW_READER
    assert running.ended_at == 0.0


async def test_a_fast_poster_is_read_no_faster_than_its_pace(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await opened(stage)
    for _ in range(12):
        running.peer.say(post_frame(*(post(account_id) for _ in range(32))))
    answered = 0
    at_once = 0
    while answered < 12 * 32:
        answered += len((await running.peer.expect("posted"))["ids"])
        at_once = answered if trio.current_time() == 0.0 else at_once
    assert at_once == 96  # the burst, and the frame that made it late; in how many answers is up to the batches
    assert trio.current_time() == pytest.approx((11 * 32 - 64) / 30)


async def test_a_reader_that_we_hold_back_is_not_a_dead_app(autojump_clock: MockClock, stage: Stage) -> None:
    """While the database stalls the relay does not read: the app's pongs are there, unheard."""
    stage.timing = FAST
    account_id = stage.account()
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    for _ in range(9):
        running.peer.say(post_frame(*(post(account_id) for _ in range(32))))
    await trio.sleep(25)
    assert (await running.peer.expect("ping"))["n"] == 1
    running.peer.say({"type": "pong", "n": 1})
    await trio.sleep(20)
    assert not running.over.is_set()
    del stage.mailbox.gates["put"]
    gate.open()
    assert await running.wait() is Ending.HEARTBEAT_LOST  # and then it is silent
    assert running.ended_at == 60.0  # the first ping was put down to us; the second one, at 50, was not


async def test_other_sessions_go_on_while_one_is_held_back(autojump_clock: MockClock, stage: Stage) -> None:
    stage.timing = FAST
    account_id = stage.account()
    greedy, modest = stage.open_post(), await opened(stage)
    for _ in range(1000):
        greedy.peer.say(post_frame(post(account_id)))
    await stage.settle()
    assert unread(greedy) > 0
    assert (await answer(modest, post_frame(post(account_id))))["type"] == "posted"


# -- last words ------------------------------------------------------------------------------------------------------


async def test_draining_sends_the_answers_that_are_there(autojump_clock: MockClock, stage: Stage) -> None:
    """As the runtime drains: what is being committed gets its moment, the rest is refused, then all sessions end."""
    account_id = stage.account()
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    committing, waiting = post(account_id), post(account_id)
    running.peer.say(post_frame(committing))
    await gate.reached.wait()
    running.peer.say(post_frame(waiting))
    await stage.settle()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.mail_writer.drain)
        await stage.settle()
        gate.open()
    stage.switchboard.drain()
    assert await running.wait() is Ending.DRAINING
    frames = running.peer.heard()
    assert [(f["type"], f.get("code"), f.get("id") or f.get("ids")) for f in frames] == [
        ("refused", "unavailable", waiting["id"]),
        ("posted", None, [committing["id"]]),
    ]
    assert running.peer.closed == (1012, "draining")
    await stage.nothing_is_left()


@pytest.mark.parametrize("ticks", range(6))
async def test_no_moment_of_the_ending_loses_an_answer(autojump_clock: MockClock, stage: Stage, ticks: int) -> None:
    """Also not the answer that the writer has in hand when it is cancelled."""
    running = await opened(stage)
    envelope = post(stage.account())
    gate = stage.mailbox.gates["put"] = Gate()
    running.peer.say(post_frame(envelope))
    await gate.reached.wait()
    gate.open()
    while not stage.mailbox.rows or stage.mail_writer._committing:
        await trio.lowlevel.checkpoint()
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()
    stage.switchboard.drain()
    await running.wait()
    assert running.peer.heard() == [{"type": "posted", "ids": [envelope["id"]]}]


async def test_an_answer_that_comes_during_the_goodbye_goes_out(autojump_clock: MockClock, stage: Stage) -> None:
    class Slow(MemoryPeer):
        async def send(self, text: str) -> None:
            if json.loads(text)["type"] != "hello":
                await trio.sleep(0.05)
            await super().send(text)

    running = await opened(stage, Slow())
    for n in range(2):
        running.peer.say({"type": "ping", "n": n})
    await stage.settle()
    stage.switchboard.drain()
    running.peer.say(post_frame(post(stage.account())))
    assert await running.wait() is Ending.DRAINING
    # Two pongs took the whole goodbye; it has a deadline.
    assert [frame["type"] for frame in running.peer.heard()][:1] == ["pong"]
    assert running.ended_at == pytest.approx(0.1, abs=0.051)


async def test_a_mailbox_session_does_not_flush(autojump_clock: MockClock, stage: Stage) -> None:
    """Mail is in the table; a goodbye that waits for a page of it would be late."""
    account_id = stage.account()
    running = await stage.caught_up(account_id, MemoryPeer(buffered=1))
    for n in range(6):
        await stage.commit(account_id, n)
        await stage.settle()
    stage.switchboard.drain()
    assert await running.wait() is Ending.DRAINING
    assert running.ended_at == 0.0
    await stage.nothing_is_left()


async def test_answers_after_the_end_go_nowhere(autojump_clock: MockClock, stage: Stage) -> None:
    gate = stage.mailbox.gates["put"] = Gate()
    running = await opened(stage)
    running.peer.say(post_frame(post(stage.account()), post(stage.account())))
    await gate.reached.wait()
    running.peer.drop()
    await running.wait()
    gate.open()
    await stage.nothing_is_left()
    # ...and the lane goes on.
    del stage.mailbox.gates["put"]
    other = await opened(stage)
    assert (await answer(other, post_frame(post(stage.account()))))["type"] == "posted"
