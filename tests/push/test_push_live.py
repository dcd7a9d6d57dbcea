"""A relay knocks at a push service, both on real sockets: for whom, when, with what, and what is left in the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trio
import trustme

from relay.config import load_settings
from relay.frames import from_b64
from relay.services import open_configured_database
from tests.live.app import App, call, new_body, post
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory
from tests.push.push_service import Phone, PushService, push_service, vapid_claims


@dataclass
class World:
    relay: RelayProcess
    service: PushService


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    authority = trustme.CA()
    with temporary_directory() as directory, push_service(authority) as service:
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(directory / "ca.pem"))
        with running_relay(directory, push_allowed_hosts=service.host) as relay:
            yield World(relay, service)


async def subscribe(app: App, subscription: object) -> tuple[int, str | None]:
    answer = await call(app.url, "PUT", "/v1/push", subscription, app.bearer)
    return answer.status, answer.code


async def send(app: App) -> None:
    async with app.posting() as posting:
        assert set((await post(posting, app.envelope(new_body()))).values()) == {"posted"}


async def subscriptions(relay: RelayProcess) -> int:
    async with open_configured_database(load_settings(relay.environ)) as database:
        return int(await database.fetchval("SELECT count(*) FROM push_subscriptions"))


async def test_a_member_who_is_away_is_knocked_for(world: World) -> None:
    relay, service = world.relay, world.service
    alice, bob = [await App.join(relay.url, link, one_time=25) for link in relay.invite(2)]
    phone = Phone()
    assert await subscribe(alice, phone.subscription(service.url)) == (204, None)
    assert (await call(relay.url, "GET", "/v1/account", None, alice.bearer)).json()["push"] is True

    await send(bob)  # wants no pushes
    await send(alice)
    await send(alice)
    (push,) = await trio.to_thread.run_sync(service.wait_for, 1)
    assert phone.open(push.body) == bytes(16)
    assert push.path == "/up/abc?x=1"
    told = {name: push.headers[name] for name in ("ttl", "urgency", "content-encoding")}
    assert told == {"ttl": "604800", "urgency": "high", "content-encoding": "aes128gcm"}
    public_key = from_b64((await call(relay.url, "GET", "/v1/relay")).json()["push_key"])
    claims = vapid_claims(push.headers["authorization"], public_key, f"https://{service.host}")
    assert time.time() < claims["exp"] <= time.time() + 86400

    # Connected: whatever comes is handed over and acknowledged, and nobody knocks.
    await alice.drain()
    async with alice.mailbox() as mailbox:
        await mailbox.expect("drained")
        await send(alice)
        delivered = await mailbox.expect("deliver")
        await mailbox.say({"type": "ack", "ids": [delivered["envelopes"][0]["id"]]})
        await alice._settled(mailbox)
    # Away again, and the endpoint has gone: it is forgotten.
    service.answers = [(410, {})]
    await send(alice)
    assert len(await trio.to_thread.run_sync(service.wait_for, 2)) == 2
    with trio.fail_after(20):
        while await subscriptions(relay):  # noqa: ASYNC110 - another process changes it
            await trio.sleep(0.1)
    assert (await call(relay.url, "GET", "/v1/account", None, alice.bearer)).json()["push"] is False
    log = relay.logged()
    for canary in (service.host, "/up/abc", alice.account_id, bob.account_id):
        assert canary not in log


async def test_a_signal_knocks_too_and_who_left_is_not_knocked_for(world: World) -> None:
    relay, service = world.relay, world.service
    (link,) = relay.invite()
    alice = await App.join(relay.url, link)
    assert await subscribe(alice, Phone().subscription(service.url)) == (204, None)
    async with alice.posting() as posting:
        signal = {**alice.envelope(), "type": "signal", "ttl_s": 60}
        await posting.say(signal)
        await posting.expect("posted")
    await trio.to_thread.run_sync(service.wait_for, 1)
    assert (await call(relay.url, "DELETE", "/v1/push", None, alice.bearer)).status == 204
    assert (await call(relay.url, "DELETE", "/v1/push", None, alice.bearer)).status == 204  # gone is gone
    assert await subscriptions(relay) == 0
    assert await subscribe(alice, Phone().subscription(service.url)) == (204, None)
    await call(relay.url, "DELETE", "/v1/account", None, alice.bearer)
    assert await subscriptions(relay) == 0


async def test_what_is_refused_at_registration(world: World) -> None:
    relay, service = world.relay, world.service
    (link,) = relay.invite()
    alice = await App.join(relay.url, link)
    good = Phone().subscription(service.url)
    for endpoint in (
        "https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest", "https://2130706433/",
        "https://localhost/", "https://localhost:1/", "https://u:p@push.example.org/", "http://push.example.org/",
    ):  # fmt: skip
        assert await subscribe(alice, good | {"endpoint": endpoint}) == (422, "bad_endpoint"), endpoint
    assert await subscribe(alice, good | {"p256dh": "B" + "A" * 86}) == (400, "bad_request")
    assert await subscribe(alice, good | {"auth": "AAAA"}) == (400, "bad_request")
    assert await subscribe(alice, good | {"endpoint": "https://a.example/" + "x" * 1024}) == (400, "bad_request")
    assert await subscribe(alice, {**good, "topic": "x"}) == (400, "bad_request")
    assert (await call(relay.url, "PUT", "/v1/push", good)).status == 401
    assert await subscriptions(relay) == 0
    assert service.received == []


async def test_an_operator_may_want_no_way_out() -> None:
    with temporary_directory() as directory, running_relay(directory, push="false") as relay:
        alice = await App.join(relay.url, relay.invite()[0])
        assert await subscribe(alice, Phone().subscription("https://push.example.org/")) == (404, "no_push")
        assert (await call(relay.url, "DELETE", "/v1/push", None, alice.bearer)).code == "no_push"
        assert (await call(relay.url, "GET", "/v1/relay")).json()["push_key"] is None
        assert not (directory / "var/secrets/push.key").exists()
