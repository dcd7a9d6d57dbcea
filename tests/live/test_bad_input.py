"""Bad frames, tokens and requests on the real relay: the documented code each, and nobody else notices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.live.app import App, call, new_body, open_socket, post, rejected, to_b64
from tests.live.relay_process import RelayProcess
from tests.live.test_conversation import join

ZERO_ID = "00000000-0000-0000-0000-000000000000"

BAD_EVERYWHERE = {
    "not JSON": "x",
    "not an object": "[]",
    "no type": "{}",
    "unknown type": '{"type":"shout"}',
    "unknown field": '{"type":"pong","n":1,"x":1}',
    "number as text": '{"type":"pong","n":"1"}',
    "negative": '{"type":"ping","n":-1}',
    "null": '{"type":"pong","n":null}',
    "deep": '{"type":' + "[" * 5000 + "]" * 5000 + "}",
    "lone surrogate": '{"type":"\\ud800"}',
    "the relay's own frame": '{"type":"drained"}',
    "binary": b'{"type":"pong","n":1}',
    "empty binary": b"",
    "empty text": "",
}
BAD_IN_MAILBOX = {
    "no ids": '{"type":"ack","ids":[]}',
    "too many ids": json.dumps({"type": "ack", "ids": [ZERO_ID] * 257}),
    "not an id": '{"type":"ack","ids":["x"]}',
    "a post": json.dumps({"type": "post", "envelopes": []}),
}
BAD_IN_POST = {
    "an ack": json.dumps({"type": "ack", "ids": [ZERO_ID]}),
    "no envelopes": '{"type":"post","envelopes":[]}',
}


@asynccontextmanager
async def bystander(relay: RelayProcess, app: App) -> AsyncIterator[None]:
    """Somebody else's sessions, which must live through the block unharmed."""
    async with app.mailbox() as mailbox, app.posting() as posting:
        await mailbox.expect("drained")
        await mailbox.expect("prekeys_low")
        yield
        envelope = app.envelope()
        assert await post(posting, envelope) == {envelope["id"]: "posted"}
        (came,) = (await mailbox.expect("deliver"))["envelopes"]
        assert came["id"] == envelope["id"]


async def test_bad_frames_end_the_session_with_4400_and_only_it(relay: RelayProcess) -> None:
    bob, carol = await join(relay, 2)
    async with bystander(relay, carol):
        for name, message in (BAD_EVERYWHERE | BAD_IN_MAILBOX).items():
            async with bob.mailbox() as mailbox:
                await mailbox.say(message)
                assert await mailbox.close_code() == 4400, name
        for name, message in (BAD_EVERYWHERE | BAD_IN_POST).items():
            async with bob.posting() as posting:
                await posting.say(message)
                assert await posting.close_code() == 4400, name


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "01a2057c-e180-4bc2-8fc5-5d3b47ee9153"},
        {"id": "x"},
        {"to": "not an id"},
        {"access": "AAAA"},
        {"access": 7},
        {"body": "not base64!"},
        {"from": ZERO_ID},
    ],
)
async def test_an_envelope_of_another_shape_is_a_bad_frame(relay: RelayProcess, changed: dict[str, object]) -> None:
    (bob,) = await join(relay)
    async with bob.posting() as posting:
        await posting.say({"type": "post", "envelopes": [{**bob.envelope(), **changed}]})
        assert await posting.close_code() == 4400


async def test_an_id_twice_in_a_frame_is_a_bad_frame(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    envelope = bob.envelope()
    async with bob.posting() as posting:
        await posting.say({"type": "post", "envelopes": [envelope, envelope]})
        assert await posting.close_code() == 4400


async def test_a_message_over_96_kib_ends_with_1009(relay: RelayProcess) -> None:
    bob, carol = await join(relay, 2)
    async with bystander(relay, carol), bob.posting() as posting:
        largest = bob.envelope(new_body(65536))
        assert await post(posting, largest) == {largest["id"]: "posted"}
        await posting.say("x" * (96 * 1024 + 1))
        assert await posting.close_code() == 1009


async def test_tokens_that_open_no_mailbox(relay: RelayProcess) -> None:
    bob, carol = await join(relay, 2)
    secret = to_b64(bob.secret)
    wrong = [
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {bob.account_id}",
        f"Bearer {bob.account_id}.",
        f"Bearer {bob.account_id}.{secret[:-1]}",
        f"Bearer {carol.account_id}.{secret}",
        f"Bearer {ZERO_ID}.{secret}",
        f"Basic {bob.account_id}.{secret}",
        f"Invite {secret}",
    ]
    async with bystander(relay, carol):
        for value in wrong:
            assert await rejected(relay.url, "/v1/mailbox", {"Authorization": value}) == 401, value
        assert await rejected(relay.url, "/v1/mailbox", {}) == 401
        assert await rejected(relay.url, "/v1/mailbox?token=" + secret, {}) == 401


async def test_the_lanes_do_not_mix(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    assert await rejected(relay.url, "/v1/post", bob.bearer) == 400
    assert await rejected(relay.url, "/v1/post", {"Authorization": "x"}) == 400
    for method, path in (("GET", "/v1/relay"), ("POST", f"/v1/prekeys/{bob.account_id}/take")):
        answer = await call(relay.url, method, path, None, {**bob.bearer, "Access-Key": to_b64(bob.contact_key)})
        assert (answer.status, answer.code) == (400, "identified_on_anonymous_lane")
    async with bob.mailbox() as mailbox:
        await mailbox.say({"type": "post", "envelopes": [bob.envelope()]})
        assert await mailbox.close_code() == 4400


async def test_foreign_pages_may_not_open_sockets(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    assert await rejected(relay.url, "/v1/post", {"Origin": "https://elsewhere.example"}) == 403
    assert await rejected(relay.url, "/v1/mailbox", {**bob.bearer, "Origin": "null"}) == 403
    async with open_socket(relay.url, "/v1/post", {"Origin": relay.url}) as posting:
        await posting.expect("hello")


async def test_acknowledging_what_is_not_ones_own_has_no_effect(relay: RelayProcess) -> None:
    bob, carol = await join(relay, 2)
    envelope = bob.envelope()
    async with bob.posting() as posting:
        await post(posting, envelope)
    async with carol.mailbox() as mailbox:
        await mailbox.say({"type": "ack", "ids": [envelope["id"], ZERO_ID]})
        await mailbox.say({"type": "ping", "n": 5})
        while (frame := await mailbox.next())["type"] != "pong":
            pass
        assert frame["n"] == 5
    assert [one["id"] for one in await bob.drain()] == [envelope["id"]]


async def test_no_socket_elsewhere(relay: RelayProcess) -> None:
    for path in ("/", "/v1/account", "/v1/mailbox/", "/v1/Mailbox", "/v1/nothing"):
        assert await rejected(relay.url, path, {}) == 404, path
