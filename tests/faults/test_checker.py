"""The checker on histories made by hand: it acquits what is allowed and convicts each thing that is not, by its name."""

from __future__ import annotations

import pytest

from tests.faults.checker import judge
from tests.faults.history import History, Outcome

BODY = b"a sealed body"


class Story:
    """A history told line by line; the clock counts up with every line."""

    def __init__(self) -> None:
        self.history = History()
        self.now = 0.0

    def tick(self) -> float:
        self.now += 1
        return self.now

    def post(self, id_: str, outcome: Outcome = "ok", to: str = "bob", body: bytes = BODY, node: int = 0) -> None:
        attempt = self.history.begin(id_, to, body, node, self.tick())
        attempt.outcome = outcome
        attempt.ended = self.tick()

    def come(self, id_: str, to: str = "bob", body: bytes = BODY, *, stored: bool = True) -> None:
        self.history.deliver(id_, to, body, 1, self.tick()).stored = stored

    def settle(self, *ids: str) -> None:
        self.history.settle(ids, self.tick())

    def charges(self) -> dict[str, int]:
        return judge(self.history).charges


@pytest.fixture
def story() -> Story:
    return Story()


def test_what_arrives_once_is_fine(story: Story) -> None:
    story.post("1")
    story.come("1")
    story.settle("1")
    assert story.charges() == {}
    assert judge(story.history).counts == {
        "envelopes": 1, "attempts": 1, "ok": 1, "refused": 0, "unknown": 0, "stored": 1, "redelivered": 0, "injuries": 0,
    }  # fmt: skip


def test_redelivery_before_it_is_settled_is_fine_and_counted(story: Story) -> None:
    story.post("1")
    story.come("1", stored=False)
    story.come("1")
    story.come("1")
    assert story.charges() == {}
    assert judge(story.history).counts["redelivered"] == 2


@pytest.mark.parametrize("arrives", [True, False])
def test_an_unknown_post_may_arrive_or_not(story: Story, arrives: bool) -> None:
    story.post("1", "unknown")
    if arrives:
        story.come("1")
    assert story.charges() == {}


def test_a_retry_that_succeeds_makes_it_a_promise(story: Story) -> None:
    story.post("1", "unknown")
    story.post("1", "ok")
    assert story.charges() == {"lost": 1}


def test_acknowledged_and_never_stored_is_lost(story: Story) -> None:
    story.post("1")
    story.come("1", stored=False)
    assert story.charges() == {"lost": 1}


def test_stored_by_another_recipient_is_lost_and_invented(story: Story) -> None:
    story.post("1")
    story.come("1", to="eve")
    assert story.charges() == {"lost": 1, "invented": 1}


def test_what_nobody_sent_is_invented(story: Story) -> None:
    story.come("1")
    assert story.charges() == {"invented": 1}


def test_another_body_under_the_id_is_altered(story: Story) -> None:
    story.post("1")
    story.come("1", body=b"another body")
    assert story.charges() == {"altered": 1}


def test_what_was_only_refused_is_a_phantom(story: Story) -> None:
    story.post("1", "refused")
    story.come("1")
    assert story.charges() == {"phantom": 1}


def test_refused_once_and_unknown_once_is_none(story: Story) -> None:
    story.post("1", "refused")
    story.post("1", "unknown")
    story.come("1")
    assert story.charges() == {}


def test_what_comes_after_it_was_settled_is_resurrected(story: Story) -> None:
    story.post("1")
    story.come("1")
    story.settle("1")
    story.come("1")
    assert story.charges() == {"resurrected": 1}


def test_one_that_began_after_the_other_was_acknowledged_may_not_overtake_it(story: Story) -> None:
    story.post("1")
    story.post("2")
    story.come("2")
    story.come("1")
    assert story.charges() == {"reordered": 1}


def test_posts_under_way_together_have_no_order(story: Story) -> None:
    first = story.history.begin("1", "bob", BODY, 0, 1.0)
    second = story.history.begin("2", "bob", BODY, 0, 2.0)
    first.ended, second.ended = 3.0, 4.0
    first.outcome = second.outcome = "ok"
    story.come("2")
    story.come("1")
    assert story.charges() == {}


def test_two_nodes_have_no_common_order(story: Story) -> None:
    story.post("1", node=0)
    story.post("2", node=1)
    story.come("2")
    story.come("1")
    assert story.charges() == {}


def test_each_mailbox_has_an_order_of_its_own(story: Story) -> None:
    story.post("1", to="bob")
    story.post("2", to="eve")
    story.come("2", to="eve")
    story.come("1", to="bob")
    assert story.charges() == {}


def test_a_healthy_session_that_waits_in_vain_is_a_charge(story: Story) -> None:
    story.post("1")
    story.history.late["1"] = 10.0
    story.come("1")
    assert story.charges() == {"late": 1}
