"""What a mailbox session brings besides mail: notices, and signals on a lane of their own."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from nursery_tasks.session import Timing
from tests.fakes import Gate
from tests.sessions.stage import Stage, ack, envelopes, fill_of, hear_until, quiet

# -- notices ---------------------------------------------------------------------------------------------------------


async def test_notices_come_with_drained_and_when_told(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    stage.accounts[account_id].mailbox_was_full = True
    stage.accounts[account_id].prekeys = 19
    running = stage.open_mailbox(account_id)
    frames = await hear_until(running, "prekeys_low")
    assert [frame["type"] for frame in frames] == ["hello", "drained", "mailbox_was_full", "prekeys_low"]
    assert frames[-1] == {"type": "prekeys_low", "prekeys": 19, "kyber_prekeys": 100}
    stage.accounts[account_id].prekeys = 20
    stage.switchboard.look_at_notices([account_id])
    assert await quiet(stage, running)
    stage.accounts[account_id].kyber_prekeys = 0
    stage.switchboard.look_at_notices([account_id])
    assert await running.peer.hear() == {"type": "prekeys_low", "prekeys": 20, "kyber_prekeys": 0}


async def test_a_full_window_does_not_hold_notices_back(autojump_clock: MockClock, stage: Stage) -> None:
    stage.timing = Timing(in_flight_envelopes=1)
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    await stage.commit(account_id, 1, 2)
    await running.peer.expect("deliver")
    stage.accounts[account_id].mailbox_was_full = True
    stage.switchboard.look_at_notices([account_id])
    await running.peer.expect("mailbox_was_full")


async def test_a_notice_before_drained_does_not_make_a_second_one(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    await stage.waiting(account_id, *range(100))
    gate = stage.mailbox.gates["page"] = Gate()
    running = stage.open_mailbox(account_id)
    await gate.reached.wait()
    stage.switchboard.look_at_notices([account_id])
    gate.open()
    frames = await hear_until(running, "drained")
    assert list(envelopes(frames)) == [str(n) for n in range(100)]
    assert await quiet(stage, running)


# -- signals ---------------------------------------------------------------------------------------------------------


async def test_a_signal_rings_with_what_is_left_of_its_life(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    await stage.ringing(account_id, "waits", ttl_s=30)
    await trio.sleep(2.5)
    running = stage.open_mailbox(account_id)
    frames = [await running.peer.hear() for _ in range(3)]
    [signal] = [frame for frame in frames if frame["type"] == "signal"]
    assert set(signal) == {"type", "id", "body", "ttl_s"}
    assert (fill_of(signal), signal["ttl_s"]) == ("waits", 28)
    [id_] = await stage.ring(account_id, "live", ttl_s=1)
    assert (await running.peer.expect("signal"))["ttl_s"] == 1
    ack(running, id_)
    await stage.settle()
    assert len(stage.signals.rows) == 1


async def test_signals_that_nobody_acks_free_the_window_when_they_expire(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.timing = Timing(in_flight_envelopes=2)
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    await stage.ring(account_id, "a", "b", ttl_s=5)
    await stage.ring(account_id, "c", ttl_s=8)
    assert [fill_of(await running.peer.hear()) for _ in range(2)] == ["a", "b"]
    assert await quiet(stage, running)
    signal = await running.peer.expect("signal")
    assert (fill_of(signal), signal["ttl_s"], trio.current_time()) == ("c", 3, 5.0)


async def test_what_expired_on_the_way_is_not_sent(autojump_clock: MockClock, stage: Stage) -> None:
    stage.timing = Timing(in_flight_envelopes=1)
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    [first] = await stage.ring(account_id, "first", ttl_s=20)
    await running.peer.expect("signal")
    await stage.ring(account_id, "too late", ttl_s=3)
    await trio.sleep(4)
    ack(running, first)
    await stage.ring(account_id, "in time", ttl_s=3)
    assert fill_of(await running.peer.expect("signal")) == "in time"


async def test_a_full_mailbox_lane_does_not_delay_a_ring(autojump_clock: MockClock, stage: Stage) -> None:
    stage.timing = Timing(in_flight_envelopes=1)
    account_id = stage.account()
    await stage.waiting(account_id, *range(10))
    running = stage.open_mailbox(account_id)
    await running.peer.expect("hello")
    await running.peer.expect("deliver")
    await stage.ring(account_id, "ring")
    assert fill_of(await running.peer.expect("signal")) == "ring"


async def test_a_mailbox_that_cannot_be_read_yet_does_not_delay_a_ring(autojump_clock: MockClock, stage: Stage) -> None:
    stage.mailbox.gates["page"] = Gate()
    account_id = stage.account()
    await stage.waiting(account_id, "mail")
    running = stage.open_mailbox(account_id)
    await running.peer.expect("hello")
    await stage.settle()
    await stage.ring(account_id, "ring")
    assert fill_of(await running.peer.expect("signal")) == "ring"


async def test_one_ack_may_name_mail_and_signals(autojump_clock: MockClock, stage: Stage) -> None:
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    ids = await stage.commit(account_id, "mail") + await stage.ring(account_id, "signal")
    await stage.settle()
    ack(running, *ids)
    await stage.settle()
    assert (stage.mailbox.rows, stage.signals.rows) == ({}, {})
