"""A mailbox session from `hello` on: catch-up, the live path, acknowledgements, notices, signals."""

from __future__ import annotations

from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from nursery_tasks.session import Timing
from relay.errors import DatabaseUnavailable
from relay.records import Waiting
from tests.fakes import Gate, MemoryPeer
from tests.sessions.stage import (
    START,
    Stage,
    ack,
    body,
    delivered,
    envelopes,
    fill_of,
    hear_until,
    ids_of,
    post,
    post_frame,
    quiet,
    wall,
)

# -- catch-up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", [0, 1, 64, 65, 200])
async def test_it_brings_what_waits_in_order_and_says_drained_once(
    autojump_clock: MockClock, stage: Stage, waiting: int
) -> None:
    account_id = stage.account()
    await stage.waiting(account_id, *range(waiting))
    running = stage.open_mailbox(account_id)
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == [str(n) for n in range(waiting)]
    assert [len(f["envelopes"]) for f in frames[1:-1]] == [64] * (waiting // 64) + [waiting % 64] * (waiting % 64 > 0)
    await stage.commit(account_id, "live")
    stage.switchboard.look_at_everything()
    assert delivered(await running.peer.hear()) == ["live"]
    assert await quiet(stage, running)


async def test_a_deliver_frame_is_the_documented_one(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    [id_] = await stage.waiting(account_id, "a")
    await trio.sleep(5)
    running = stage.open_mailbox(account_id)
    await running.peer.expect("hello")
    frame = await running.peer.hear()
    assert set(frame) == {"type", "envelopes"}
    [envelope] = frame["envelopes"]
    assert set(envelope) == {"id", "at", "body"}
    assert (envelope["id"], envelope["at"], fill_of(envelope)) == (str(id_), START, "a")
    assert len(envelope["body"]) == -(-1024 * 4 // 3)  # without padding


async def test_large_bodies_make_small_frames(autojump_clock: MockClock, stage: Stage) -> None:
    """An outbound message is at most 256 KiB."""
    account_id = stage.account()
    await stage.waiting(account_id, *range(5), size=65536)
    await stage.waiting(account_id, *range(5, 40), size=4096)
    running = stage.open_mailbox(account_id)
    sizes: list[int] = []
    send = running.peer.send

    async def measured(text: str) -> None:
        sizes.append(len(text.encode()))
        await send(text)

    running.peer.send = measured  # type: ignore[method-assign]
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == [str(n) for n in range(40)]
    assert max(sizes) <= 256 * 1024


async def test_mail_for_a_session_that_rests_is_written_where_it_is_committed(
    autojump_clock: MockClock, stage: Stage
) -> None:
    """No task of the session has a turn for it, and the poster's answer neither."""
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    posting = stage.open_post()
    await posting.peer.expect("hello")
    running.peer.sends_at_once = posting.peer.sends_at_once = 0
    one = post(account_id)
    posting.peer.say(post_frame(one))
    assert ids_of(await running.peer.hear()) == [one["id"]]
    await posting.peer.expect("posted")
    assert (running.peer.sends_at_once, posting.peer.sends_at_once) == (1, 1)


async def test_mail_that_the_socket_took_in_part_comes_whole_and_once(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    running.peer.cuts_short = True
    [first] = await stage.commit(account_id, "a")
    await stage.commit(account_id, "b", "c")
    running.peer.cuts_short = False
    frames = [await running.peer.hear()]
    while len(list(envelopes(frames))) < 3:
        frames.append(await running.peer.hear())
    assert list(envelopes(frames)) == ["a", "b", "c"]
    ack(running, first)
    assert await quiet(stage, running)


async def test_what_comes_while_the_page_is_read_comes_once(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    await stage.waiting(account_id, "before")
    gate = stage.mailbox.gates["page"] = Gate()
    running = stage.open_mailbox(account_id)
    await running.peer.expect("hello")
    await gate.reached.wait()  # the snapshot is taken, and on its way
    await stage.commit(account_id, "meanwhile")
    gate.open()
    assert delivered(await running.peer.hear()) == ["before"]
    await running.peer.expect("drained")
    assert delivered(await running.peer.hear()) == ["meanwhile"]
    assert await quiet(stage, running)


async def test_what_is_in_the_page_and_handed_over_comes_once(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    [id_] = await stage.waiting(account_id, "both")
    gate = stage.mailbox.gates["page"] = Gate()
    running = stage.open_mailbox(account_id)
    await gate.reached.wait()
    stage.switchboard.hand_over_mail(account_id, [Waiting(id_, START, body("both"))])
    gate.open()
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == ["both"]
    ack(running, id_)
    await stage.settle()
    assert await quiet(stage, running)
    assert stage.mailbox.rows == {}


async def test_an_early_ack_does_not_make_the_second_copy_look_new(autojump_clock: MockClock, stage: Stage) -> None:
    """It is acknowledged and deleted before the drainer looks at what it was handed meanwhile."""
    account_id = stage.account()
    [id_] = await stage.waiting(account_id, "both")
    stage.accounts[account_id].mailbox_was_full = True
    page, notices = (stage.mailbox.gates.setdefault(call, Gate()) for call in ("page", "notices"))
    running = stage.open_mailbox(account_id)
    await page.reached.wait()
    stage.switchboard.hand_over_mail(account_id, [Waiting(id_, START, body("both"))])
    page.open()
    await notices.reached.wait()
    assert list(envelopes(await hear_until(running, "drained"))) == ["both"]
    ack(running, id_)
    await stage.settle()
    assert stage.mailbox.rows == {}
    notices.open()
    await running.peer.expect("mailbox_was_full")
    assert await quiet(stage, running)


async def test_drained_waits_for_what_overflowed_during_catch_up(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    await stage.waiting(account_id, "first")
    gate = stage.mailbox.gates["page"] = Gate()
    running = stage.open_mailbox(account_id)
    await gate.reached.wait()
    await stage.commit(account_id, *range(65))  # one more than wait for a session
    del stage.mailbox.gates["page"]
    gate.open()
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == ["first", *(str(n) for n in range(65))]
    assert await quiet(stage, running)


# -- the live path ---------------------------------------------------------------------------------------------------


async def test_live_envelopes_come_without_a_read(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    reads = stage.mailbox.page_calls
    for n in range(100):
        [id_] = await stage.commit(account_id, n)
        assert delivered(await running.peer.hear()) == [str(n)]
        ack(running, id_)
    await stage.settle()
    assert stage.mailbox.page_calls == reads == 0
    assert stage.mailbox.rows == {}


async def test_a_batch_that_was_handed_over_is_one_frame(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    await stage.commit(account_id, *range(64))
    assert delivered(await running.peer.hear()) == [str(n) for n in range(64)]


async def test_past_the_bound_it_reads_the_table(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    await stage.commit(account_id, *range(150))  # without a checkpoint between them
    frames = [await running.peer.hear() for _ in range(3)]
    assert list(envelopes(frames)) == [str(n) for n in range(150)]
    assert stage.mailbox.page_calls > 1
    assert await quiet(stage, running)
    # ...and it lives on hand-overs again.
    reads = stage.mailbox.page_calls
    await stage.commit(account_id, "live")
    assert delivered(await running.peer.hear()) == ["live"]
    assert stage.mailbox.page_calls == reads


async def test_a_wake_up_finds_what_another_process_stored(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    await stage.waiting(account_id, "from elsewhere")
    assert await quiet(stage, running)
    stage.switchboard.look_at_mail([account_id])
    stage.switchboard.look_at_mail([account_id])
    assert delivered(await running.peer.hear()) == ["from elsewhere"]
    stage.switchboard.look_at_mail([account_id])
    assert await quiet(stage, running)


# -- the window ------------------------------------------------------------------------------------------------------


async def test_at_most_256_are_in_flight(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    ids = await stage.waiting(account_id, *range(300))
    running = stage.open_mailbox(account_id)
    await running.peer.expect("hello")
    frames = [await running.peer.hear() for _ in range(4)]
    assert len(list(envelopes(frames))) == 256
    assert await quiet(stage, running)
    ack(running, ids[0])
    assert delivered(await running.peer.hear()) == ["256"]
    assert await quiet(stage, running)
    ack(running, *ids[1:44])
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == [str(n) for n in range(257, 300)]


async def test_at_most_4_mib_are_in_flight(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    ids = await stage.waiting(account_id, *range(70), size=65536)
    running = stage.open_mailbox(account_id)
    heard: list[str] = []
    while len(heard) < 64:
        heard += envelopes([await running.peer.hear()])
    assert heard == [str(n) for n in range(64)]
    assert await quiet(stage, running)
    ack(running, ids[5])
    assert delivered(await running.peer.hear()) == ["64"]
    assert await quiet(stage, running)


async def test_hand_overs_wait_for_the_window_too(autojump_clock: MockClock, stage: Stage) -> None:
    stage.timing = Timing(in_flight_envelopes=3)
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    ids = await stage.commit(account_id, *range(5))
    assert delivered(await running.peer.hear()) == ["0", "1", "2"]
    assert await quiet(stage, running)
    ack(running, ids[1])
    assert delivered(await running.peer.hear()) == ["3"]
    ack(running, ids[0], ids[2], ids[3])
    assert delivered(await running.peer.hear()) == ["4"]


async def test_an_app_that_never_acks_holds_no_memory(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    for n in range(10):
        await stage.commit(account_id, *range(n * 90, n * 90 + 90))
        await stage.settle()
        running.peer.heard()
    lane = stage.sessions[-1].mail  # type: ignore[attr-defined]
    assert len(lane._in_flight) == 256
    assert len(lane._handed) <= 64


# -- acknowledgements ------------------------------------------------------------------------------------------------


async def test_an_ack_deletes(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    ids = await stage.waiting(account_id, "a", "b")
    running = stage.open_mailbox(account_id)
    await hear_until(running, "drained")
    ack(running, ids[0])
    await stage.settle()
    assert [id_ for _, id_ in stage.mailbox.rows] == [ids[1]]


async def test_an_ack_of_what_was_delivered_in_an_earlier_session_counts(
    autojump_clock: MockClock, stage: Stage
) -> None:
    """The app has stored it; its ack was lost with the connection."""
    account_id = stage.account()
    first = await stage.caught_up(account_id)
    [id_] = await stage.commit(account_id, "a")
    await first.peer.expect("deliver")
    first.peer.drop()
    await first.wait()
    gate = stage.mailbox.gates["page"] = Gate()
    second = stage.open_mailbox(account_id)
    await gate.reached.wait()
    ack(second, id_)
    await stage.settle()
    assert stage.mailbox.rows == {}


async def test_the_ack_of_an_old_session_deletes_nothing(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    old = await stage.caught_up(account_id)
    [id_] = await stage.commit(account_id, "a")
    gate = stage.mailbox.gates["remove"] = Gate()
    ack(old, id_)
    await gate.reached.wait()
    new = stage.open_mailbox(account_id)
    await new.peer.expect("hello")
    gate.open()
    assert delivered(await new.peer.hear()) == ["a"]
    assert len(stage.mailbox.rows) == 1


async def test_what_is_being_deleted_is_not_read_again(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    [id_] = await stage.commit(account_id, "a")
    await running.peer.expect("deliver")
    gate = stage.mailbox.gates["remove"] = Gate()
    ack(running, id_)
    await gate.reached.wait()
    stage.switchboard.look_at_mail([account_id])
    assert await quiet(stage, running)
    gate.open()
    await stage.settle()
    stage.switchboard.look_at_mail([account_id])
    assert await quiet(stage, running)
    assert stage.mailbox.rows == {}


async def test_what_could_not_be_deleted_comes_again(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    [id_] = await stage.commit(account_id, "a")
    await running.peer.expect("deliver")
    stage.mailbox.errors["remove"] = DatabaseUnavailable()
    ack(running, id_)
    await stage.settle()
    del stage.mailbox.errors["remove"]
    stage.switchboard.look_at_mail([account_id])
    assert ids_of(await running.peer.hear()) == [str(id_)]


async def test_acks_of_anything_else_have_no_effect(autojump_clock: MockClock, stage: Stage) -> None:
    account_id, other = stage.account(), stage.account()
    [theirs] = await stage.waiting(other, "theirs")
    running = await stage.caught_up(account_id)
    ack(running, theirs, UUID(int=5), UUID(int=5))
    await stage.settle()
    assert len(stage.mailbox.rows) == 1
    assert not running.over.is_set()


async def test_nothing_is_remembered_of_acks(autojump_clock: MockClock, stage: Stage) -> None:
    """Neither of good ones, nor of repeated ones, nor of those that could not be tried."""
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    for n in range(20):
        stage.mailbox.errors = {"remove": DatabaseUnavailable()} if n % 3 == 0 else {}
        ids = await stage.commit(account_id, *range(50))
        await stage.settle()
        ack(running, *ids, *ids, UUID(int=n))
        await stage.settle()
        running.peer.heard()
    for lane in (stage.sessions[-1].mail, stage.sessions[-1].signals):  # type: ignore[attr-defined]
        assert (lane._leaving, lane._in_flight, lane._in_flight_bytes) == ({}, {}, 0)


async def test_acks_are_read_no_faster_than_they_are_written(autojump_clock: MockClock, stage: Stage) -> None:
    running = await stage.caught_up(stage.account())
    gate = stage.mailbox.gates["remove"] = Gate()
    for _ in range(200):
        ack(running, *(UUID(int=n) for n in range(256)))
    await stage.settle()
    submitted = sum(len(tried.acks.ids) for tried in stage.mail_acks._queue.waiting)
    assert submitted <= 8192 + 256
    del stage.mailbox.gates["remove"]
    gate.open()
    await stage.settle()
    assert not stage.mail_acks._queue.waiting


async def test_acks_of_signals_are_held_back_as_well(autojump_clock: MockClock, stage: Stage) -> None:
    queue = stage.signal_acks._queue
    most, queue._max_items = queue._max_items, 0
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    [id_] = await stage.ring(account_id, "ring")
    await running.peer.expect("signal")
    ack(running, id_)
    running.peer.say({"type": "ping", "n": 1})
    assert await quiet(stage, running)
    queue._max_items = most
    queue.taken(0)
    await running.peer.expect("pong")


async def test_a_slow_reader_gets_all_of_it_in_the_end(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id, MemoryPeer(buffered=1))
    sent: list[str] = []
    heard: list[str] = []
    for n in range(30):
        fills = [f"{n}-{k}" for k in range(10)]
        ids = await stage.commit(account_id, *fills)
        sent += fills
        assert ids
        await trio.sleep(0.5)
        if n % 3 == 2:
            frame = await running.peer.hear()
            heard += envelopes([frame])
            ack(running, *ids_of(frame))
    while len(heard) < len(sent):
        frame = await running.peer.hear()
        if frame["type"] == "deliver":
            heard += envelopes([frame])
            ack(running, *ids_of(frame))
    assert sorted(heard) == sorted(sent)
    await stage.settle()
    assert stage.mailbox.rows == {}
    assert wall() > START
