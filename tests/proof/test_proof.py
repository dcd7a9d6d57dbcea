"""The proof itself: an honest week convicts nobody, and each betrayal is convicted for what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo.people import DemoFailed
from tests.proof.judge import judge
from tests.proof.story import Week, tell, week

HOOKS = Path(__file__).with_name("hooks.mjs")


def betray(told: Week, betrayal: str) -> None:
    for person in (told.alice, told.bob):
        person.hook = HOOKS
        person.environ = person.environ | {"BETRAYAL": betrayal}


@pytest.mark.timeout(300)
def test_a_week_of_two_peoples_life_leaves_the_relay_ignorant() -> None:
    with week() as told:
        tell(told)
        evidence = told.evidence()
    assert judge(evidence) == []


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
            lambda told: (told.join(), told.try_logins_on_the_anonymous_lane()),
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
def test_a_client_that_betrays_is_convicted() -> None:
    """Two of them, one after the other on one relay."""
    with week() as told:
        betray(told, "registers a reversible hash")
        told.join()
        findings = judge(told.evidence())
        for place in ("sent on connection", "in table accounts", "in file postgres/data/pg_wal/"):
            assert any("can be matched (our derivation of hmac-sha256" in one and place in one for one in findings)
        betray(told, "skips padding")
        told.alice.run("add", told.bob.card)
        with pytest.raises(DemoFailed):  # the relay refuses it, and has seen its size all the same
            told.alice.run("send", told.bob.account, "meet me where we met", "--wait")
        findings = judge(told.evidence())
    assert any("a body of" in finding and "on connection" in finding for finding in findings), findings
