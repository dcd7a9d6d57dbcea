"""The life of an envelope through the real relay: posted, kept, delivered in order, acknowledged, gone."""

from __future__ import annotations

import pytest
import trio

from tests.live.app import App, answers, call, from_b64, new_body, new_id, post
from tests.live.relay_process import RelayProcess


async def join(relay: RelayProcess, count: int = 1) -> list[App]:
    links = await trio.to_thread.run_sync(relay.invite, count)
    return [await App.join(relay.url, link) for link in links]


async def test_offline_mail_waits_and_comes_in_order_once(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    bodies = [new_body(size) for size in (1024, 4096, 16384, 65536, 1024, 1024)]
    async with bob.posting() as posting:
        for body in bodies:
            envelope = bob.envelope(body)
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
    assert [from_b64(one["body"]) for one in await bob.drain(ack=False)] == bodies
    assert [from_b64(one["body"]) for one in await bob.drain()] == bodies
    assert await bob.drain() == []


async def test_live_mail_is_handed_over(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    async with bob.mailbox() as mailbox, bob.posting() as posting:
        await mailbox.expect("drained")
        await mailbox.expect("prekeys_low")
        for _ in range(20):
            envelope = bob.envelope()
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
            (came,) = (await mailbox.expect("deliver"))["envelopes"]
            assert (came["id"], came["body"]) == (envelope["id"], envelope["body"])
            await mailbox.say({"type": "ack", "ids": [came["id"]]})
    assert await bob.drain() == []


async def test_a_retry_is_answered_like_the_first_time_and_another_body_is_a_conflict(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    envelope = bob.envelope()
    async with bob.posting() as posting:
        for _ in range(3):
            assert await post(posting, envelope) == {envelope["id"]: "posted"}
        other = bob.envelope(id=envelope["id"])
        assert await post(posting, other) == {envelope["id"]: "conflict"}
    (came,) = await bob.drain()
    assert came["body"] == envelope["body"]


async def test_each_bad_post_is_refused_alone(relay: RelayProcess) -> None:
    bob, carol = await join(relay, 2)
    good = bob.envelope()
    cases = [
        (bob.envelope(new_body(1000)), "bad_size"),
        (bob.envelope(access=carol.envelope()["access"]), "no_access"),
        (bob.envelope(to="8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01"), "no_access"),
        (bob.envelope(id=new_id(0)), "clock_skew"),
        (good, "posted"),
    ]
    async with bob.posting() as posting:
        assert await post(posting, *(envelope for envelope, _ in cases)) == {e["id"]: code for e, code in cases}
    assert [one["id"] for one in await bob.drain()] == [good["id"]]


async def test_signals_ring_live_and_late_and_then_expire(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    signal = {**bob.envelope(), "type": "signal"}
    async with bob.posting() as posting:
        early = {**signal, "id": new_id(), "ttl_s": 60}
        gone = {**signal, "id": new_id(), "ttl_s": 1}
        for one in (early, gone):
            await posting.say(one)
            assert await answers(posting, 1) == {one["id"]: "posted"}
        await trio.sleep(1.1)
        async with bob.mailbox() as mailbox:
            came = []
            while len(came) < 1:
                frame = await mailbox.next()
                came += [frame] if frame["type"] == "signal" else []
            assert came[0]["id"] == early["id"]
            assert 1 <= came[0]["ttl_s"] <= 60
            live = {**signal, "id": new_id(), "ttl_s": 30}
            await posting.say(live)
            while (frame := await mailbox.next())["type"] != "signal":
                assert frame["type"] in ("drained", "prekeys_low")
            assert frame["id"] == live["id"]
            await mailbox.say({"type": "ack", "ids": [early["id"], live["id"]]})


async def test_a_full_mailbox_refuses_keeps_everything_and_tells_the_recipient(
    relay_directory, schema_database_url: str
) -> None:
    from tests.live.relay_process import running_relay

    limits = {"mailbox_envelopes": 5, "posts_burst": 100}
    with running_relay(relay_directory, database_url=schema_database_url, **limits) as relay:
        (bob,) = await join(relay)
        envelopes = [bob.envelope() for _ in range(8)]
        async with bob.posting() as posting:
            verdicts = await post(posting, *envelopes)
            assert [verdicts[e["id"]] for e in envelopes] == ["posted"] * 5 + ["mailbox_full"] * 3
            assert await post(posting, envelopes[0]) == {envelopes[0]["id"]: "posted"}
        async with bob.mailbox() as mailbox:
            delivered = (await mailbox.expect("deliver"))["envelopes"]
            assert [one["id"] for one in delivered] == [e["id"] for e in envelopes[:5]]
            await mailbox.expect("drained")
            await mailbox.expect("mailbox_was_full")
        assert len(await bob.drain()) == 5
        async with bob.posting() as posting:
            assert await post(posting, envelopes[7]) == {envelopes[7]["id"]: "posted"}


@pytest.mark.parametrize("pipelined", [1, 8])
async def test_order_holds_for_a_crowd(relay: RelayProcess, pipelined: int) -> None:
    """Ten members, each written to by a sender of their own at once: each gets their own mail, in order, once."""
    apps = await join(relay, 10)
    wanted: dict[str, list[str]] = {}

    async def write(app: App) -> None:
        envelopes = [app.envelope() for _ in range(32)]
        wanted[app.account_id] = [e["id"] for e in envelopes]
        async with app.posting() as posting:
            for start in range(0, 32, pipelined):
                await posting.say({"type": "post", "envelopes": envelopes[start : start + pipelined]})
            assert set((await answers(posting, 32)).values()) == {"posted"}

    got: dict[str, list[str]] = {}

    async def read(app: App) -> None:
        got[app.account_id] = []
        async with app.mailbox() as mailbox:
            while len(got[app.account_id]) < 32:
                frame = await mailbox.next()
                if frame["type"] == "deliver":
                    ids = [one["id"] for one in frame["envelopes"]]
                    got[app.account_id] += ids
                    await mailbox.say({"type": "ack", "ids": ids})

    async with trio.open_nursery() as nursery:
        for app in apps:
            nursery.start_soon(read, app)
            nursery.start_soon(write, app)
    assert got == wanted


async def test_deleting_the_account_ends_its_session_and_its_mail(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    async with bob.posting() as posting, bob.mailbox() as mailbox:
        envelope = bob.envelope()
        await post(posting, envelope)
        started = trio.current_time()
        assert (await call(relay.url, "DELETE", "/v1/account", None, bob.bearer)).status == 204
        assert await mailbox.close_code() == 4401
        assert trio.current_time() - started < 1
        again = bob.envelope()
        assert await post(posting, again) == {again["id"]: "no_access"}
    assert (await call(relay.url, "GET", "/v1/account", None, bob.bearer)).status == 401
