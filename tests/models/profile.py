"""How long the random lives are tried: a few in `make test`, many by `make models EXAMPLES=2000 SEED=7`. A seed gives the same lives again."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES") or 0)
SEED = int(os.environ.get("MODEL_SEED") or 1)


def profile(few: int, *, steps: int = 30, share: float = 1.0) -> settings:
    """`few` examples, or `share` of those that were asked for; Hypothesis shortens what fails and shows it."""
    return settings(
        max_examples=max(1, int(EXAMPLES * share)) if EXAMPLES else few,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


def until_convicted(most: int) -> settings:
    """For a planted bug: looks for one life that shows it, and does not shorten it."""
    return settings(profile(most), max_examples=most, phases=[Phase.generate])
