"""How much one recipient may get (relay/limits.py)."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import limits
from relay.limits import Gcra, RecipientRates

A, B = UUID(int=1), UUID(int=2)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(gcra: Gcra, key: UUID, units: float = 1) -> float:
    """Takes if it fits; answers the wait, which must be what was said before."""
    said = gcra.wait_s(key, units)
    assert gcra.take_if(key, units) == said
    return said


def test_a_burst_at_once_and_then_the_rate(clock: Clock) -> None:
    gcra = Gcra(5, 0.5, clock)
    assert [take(gcra, A) for _ in range(7)] == [0] * 5 + [2, 2]
    clock.now += 1
    assert take(gcra, A) == 1
    clock.now += 1
    assert [take(gcra, A) for _ in range(2)] == [0, 2]
    clock.now += 1000  # the allowance is full again, and no fuller
    assert gcra.wait_s(A, 6) == 2
    assert [take(gcra, A) for _ in range(6)] == [0] * 5 + [2]


def test_keys_do_not_share(clock: Clock) -> None:
    gcra = Gcra(1, 1, clock)
    assert [take(gcra, key) for key in (A, B, A)] == [0, 0, 1]


def test_what_does_not_fit_takes_nothing(clock: Clock) -> None:
    gcra = Gcra(10, 1, clock)
    assert take(gcra, A, 8) == 0
    assert take(gcra, A, 5) == 3
    assert take(gcra, A, 2) == 0


def test_giving_back_undoes_a_take(clock: Clock) -> None:
    gcra = Gcra(3, 1, clock)
    for _ in range(100):
        assert take(gcra, A) == 0
        gcra.give_back(A, 1)
    assert gcra._arrivals == {}
    assert take(gcra, A, 2) == 0
    gcra.give_back(A, 1)
    assert [take(gcra, A) for _ in range(3)] == [0, 0, 1]


def test_giving_back_late_or_too_much_fills_it_no_further(clock: Clock) -> None:
    gcra = Gcra(3, 1, clock)
    gcra.give_back(A, 50)
    take(gcra, A)
    clock.now += 100
    gcra.give_back(A, 1)
    gcra.give_back(A, 50)
    assert [take(gcra, A) for _ in range(4)] == [0, 0, 0, 1]


def test_it_remembers_a_bounded_number(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 10)
    gcra = Gcra(1, 1, clock)
    for number in range(100):
        take(gcra, UUID(int=number))
        assert len(gcra._arrivals) <= 10
    clock.now += 0.5
    assert take(gcra, UUID(int=99)) == 0.5  # the latest are those that are kept
    clock.now += 0.6
    take(gcra, A)
    assert list(gcra._arrivals) == [A]  # those that are full again go first, all of them


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from(["take", "pass", "undo"]), st.integers(1, 40)), max_size=60))
def test_never_more_than_burst_and_rate(steps: list[tuple[str, int]]) -> None:
    """In every stretch of time: what is let through is at most the burst and the rate times the time."""
    clock = Clock()
    gcra = Gcra(20, 2, clock)
    taken: list[tuple[float, float]] = []
    for step, number in steps:
        if step == "pass":
            clock.now += number / 8
        elif step == "take" and not take(gcra, A, number / 4):
            taken.append((clock.now, number / 4))
        elif step == "undo" and taken and taken[-1][0] == clock.now:
            gcra.give_back(A, taken.pop()[1])
    for first, (since, _) in enumerate(taken):
        total = 0.0
        for at, units in taken[first:]:
            total += units
            assert total <= 20 + 2 * (at - since) + 1e-6


def test_a_recipient_has_two_allowances_and_both_must_do(clock: Clock) -> None:
    rates = RecipientRates(Gcra(3, 1, clock), Gcra(100, 10, clock))
    assert rates.charge(A, 90) == 0
    assert rates.charge(A, 30) == 2
    assert rates.charge(A, 11) == 1  # whole seconds, rounded up: never told to wait 0
    assert [rates.charge(A, 1) for _ in range(3)] == [0, 0, 1]
    rates.give_back(A, 90)
    assert [rates.charge(A, 80), rates.charge(A, 1)] == [0, 1]
