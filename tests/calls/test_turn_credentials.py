"""Credentials over HTTP, the settings behind them, and the file they are made from."""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from relay.config import ConfigError, load_settings
from relay.secret_files import SecretFileError, load_turn_secret
from relay.services import Services
from relay.turn import TurnCredentials
from relay.turn_config import filled, template
from tests.identity.conftest import Http, serve
from tests.identity.members import Clock, Member
from tests.postgres.server import temporary_directory

URLS = ("turn:turn.example.org:3478?transport=udp", "turn:turn.example.org:3478?transport=tcp")


def _with_turn(services: Services, clock: Clock, burst: int = 3) -> Http:
    turn = TurnCredentials("secret", URLS, ttl_s=12 * 3600, burst=burst, per_day=24, wall_clock=clock)
    return serve(replace(services, turn=turn))


async def test_a_credential_is_what_coturn_takes(services: Services, clock: Clock, member: Member) -> None:
    http = _with_turn(services, clock)
    answer = await http("POST", "/v1/turn-credentials", auth=member.bearer)
    assert answer.status == 200
    assert answer.json["urls"] == list(URLS)
    expiry, _, rest = answer.json["username"].partition(":")
    assert int(expiry) == answer.json["expires_at"]
    assert 12 * 3600 <= int(expiry) - clock() < 13 * 3600
    assert int(expiry) % 3600 == 0  # joins the credential to nobody's request
    digest = hmac.digest(b"secret", answer.json["username"].encode(), "sha1")
    assert base64.b64decode(answer.json["password"]) == digest
    assert str(member.account_id) not in answer.raw.decode()
    assert len(rest) == 16


async def test_no_two_are_alike(services: Services, clock: Clock, member: Member) -> None:
    http = _with_turn(services, clock)
    names = {(await http("POST", "/v1/turn-credentials", auth=member.bearer)).json["username"] for _ in range(3)}
    assert len(names) == 3


async def test_minting_is_limited(services: Services, clock: Clock, member: Member) -> None:
    http = _with_turn(services, clock)
    for _ in range(3):
        assert (await http("POST", "/v1/turn-credentials", auth=member.bearer)).status == 200
    # The allowance is in the database: another process of this relay counts on.
    refused = await _with_turn(services, clock)("POST", "/v1/turn-credentials", auth=member.bearer)
    assert (refused.status, refused.code) == (429, "rate_limited")
    wait_s = int(refused.headers["retry-after"])
    assert 0 < wait_s <= 3600
    clock.now += wait_s
    assert (await http("POST", "/v1/turn-credentials", auth=member.bearer)).status == 200


async def test_nobody_without_a_login(services: Services, clock: Clock) -> None:
    assert (await _with_turn(services, clock)("POST", "/v1/turn-credentials")).code == "unauthorized"


async def test_a_relay_without_turn_says_so(http: Http, services: Services, clock: Clock, member: Member) -> None:
    refused = await http("POST", "/v1/turn-credentials", auth=member.bearer)
    assert (refused.status, refused.code) == (404, "no_turn")
    assert (await http("GET", "/v1/relay")).json["calls"] is False
    assert (await _with_turn(services, clock)("GET", "/v1/relay")).json["calls"] is True


@pytest.mark.parametrize(
    "urls", ["turn.example.org", "turn:a b", "turn:x?transport=sctp", "turn:a,,turn:b", "https://x", ""]
)
def test_what_is_no_turn_uri_is_refused(urls: str) -> None:
    with pytest.raises(ConfigError, match="turn_urls"):
        load_settings({}, turn_urls=urls)


def test_several_uris() -> None:
    assert load_settings({"SOTTOVOCE_TURN_URLS": ", ".join(URLS)}).turn_servers == URLS
    assert load_settings({}).turn_servers == ()


def test_the_secret_is_made_once_and_guarded() -> None:
    with temporary_directory() as directory:
        secrets = directory / "secrets"
        first = load_turn_secret(secrets)
        assert load_turn_secret(secrets) == first
        file = secrets / "turn.secret"
        assert file.stat().st_mode & 0o777 == 0o600
        file.chmod(0o640)
        with pytest.raises(SecretFileError, match="chmod 600"):
            load_turn_secret(secrets)


def test_the_configuration_is_filled_in() -> None:
    plain = filled(template(), secret="s3cret", public=IPv4Address("203.0.113.7"))
    lines = plain.splitlines()
    assert "relay-ip=203.0.113.7" in lines
    assert "listening-ip=203.0.113.7" in lines
    assert "static-auth-secret=s3cret" in lines
    assert [line for line in lines if line.startswith("allowed-peer-ip=")] == ["allowed-peer-ip=203.0.113.7"]
    assert not [line for line in lines if line.startswith(("external-ip", "#@"))]
    behind = filled(template(), secret="s", public=IPv4Address("203.0.113.7"), private=IPv4Address("10.0.0.5"))
    lines = behind.splitlines()
    assert "external-ip=203.0.113.7/10.0.0.5" in lines
    assert "relay-ip=10.0.0.5" in lines
    assert [line for line in lines if line.startswith("allowed-peer-ip=")] == [
        "allowed-peer-ip=10.0.0.5",
        "allowed-peer-ip=203.0.113.7",
    ]


def test_the_template_holds_no_secret_and_what_hardens_it() -> None:
    lines = set(template().splitlines())
    assert {"no-cli", "use-auth-secret", "no-multicast-peers", "no-tcp-relay", "fingerprint", "no-stdout-log"} <= lines
    assert not [line for line in lines if line.startswith(("static-auth-secret", "allow-loopback-peers", "user="))]
    assert Path("/dev/null").exists()
    assert "log-file=/dev/null" in lines
