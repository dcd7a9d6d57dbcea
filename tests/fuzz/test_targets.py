"""The fuzz targets hold for good inputs and for some that are damaged; `make fuzz` looks for others, guided by coverage."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_and_damaged_ones(name: str) -> None:
    dice = random.Random(name)
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        for _ in range(150):
            damaged = bytearray(seed)
            for _ in range(dice.randint(1, 4)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            start, end = sorted(dice.choices(range(len(damaged) + 1), k=2))
            TARGETS[name](bytes(damaged if dice.random() < 0.5 else damaged[:start] + damaged[end:]))


@given(st.sampled_from(sorted(TARGETS)), st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_every_target_has_something_to_start_from() -> None:
    assert SEEDS.keys() == TARGETS.keys()
    assert all(SEEDS.values())
