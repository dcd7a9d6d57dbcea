"""The proof itself: an honest week convicts nobody, and each betrayal is convicted for what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.proof.judge import judge
from tests.proof.phone import Phone
from tests.proof.story import Week, tell, week
from tests.proof.wire import requests_of


@pytest.mark.timeout(300)
def test_a_week_of_two_peoples_life_leaves_the_relay_ignorant() -> None:
    with week() as told:
        tell(told)
        evidence = told.evidence()
    assert judge(evidence) == []
    requests = [request for connection in evidence.connections for request in requests_of(connection)]
    assert {f"{request.method} {request.path}" for request in requests} >= {
        "POST /v1/accounts",
        "POST /v1/accounts/recover",
        "POST /v1/discovery/evaluate",
        "POST /v1/discovery/lookup",
        "PUT /v1/account/access",
        "GET /v1/sender-certificate",
        "GET /v1/mailbox",
        "GET /v1/post",
        "DELETE /v1/account",
    }
    sent = [frame["type"] for request in requests for frame in request.frames]
    assert sent.count("post") > 5
    assert sent.count("signal") > 5  # typing, and a call
    assert len(evidence.dumps) > 8
    assert any("pg_wal" in name for name in evidence.files)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("betrayal", "happens", "convicted"),
    [
        (
            "stores a sender",
            lambda told: (told.join(), told.discover(), told.write_by_number("meet me where we met")),
            "a row of table gossip names Alice and Bob",
        ),
        ("logs an address", lambda told: told.join(), "a network address in the log"),
        (
            "accepts a token on the anonymous lane",
            lambda told: (told.join(), told.discover(), told.try_logins_on_the_anonymous_lane()),
            "a token is accepted on the anonymous lane",
        ),
    ],
)
def test_a_relay_that_betrays_is_convicted(betrayal: str, happens: Callable[[Week], Any], convicted: str) -> None:
    with week(application="tests.proof.betrayals:app", environ={"BETRAYAL": betrayal}) as told:
        happens(told)
        evidence = told.evidence()
    findings = judge(evidence)
    assert any(convicted in finding for finding in findings), findings


@pytest.mark.timeout(180)
def test_a_client_that_registers_a_reversible_hash_is_convicted() -> None:
    with week(tampered="registers a reversible hash") as told:
        told.join()
        findings = judge(told.evidence())
    for place in ("sent on connection", "in table accounts", "in file postgres/data/pg_wal/"):
        assert any("can be matched (our derivation of hmac-sha256" in one and place in one for one in findings), (
            findings
        )


@pytest.mark.timeout(180)
def test_a_client_that_skips_padding_is_convicted() -> None:
    """The relay refuses what it sends, and has seen its size all the same."""
    with week(tampered="skips padding") as told:
        told.join()
        alice, bob = told.phones["Alice"], told.phones["Bob"]
        alice.call("addByCard", bob.call("card"), False)
        alice.call("start")
        message = alice.call("send", told.accounts["Bob"], {"text": "meet me where we met", "quotes": None})
        status = lambda: _status(alice, told.accounts["Bob"], message)  # noqa: E731
        alice.until("it is refused", lambda: status() == "failed")
        findings = judge(told.evidence())
    assert any("a body of" in finding and "on connection" in finding for finding in findings), findings


def _status(phone: Phone, peer: str, message: str) -> str:
    page = phone.call("messages", peer, {"before": None, "limit": 5})
    (status,) = (one["status"] for one in page["messages"] if one["id"] == message)
    return str(status)
