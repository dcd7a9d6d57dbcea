"""What failed says how to see it fail again."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.models.profile import EXAMPLES, SEED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        again = f"make models SEED={SEED} EXAMPLES={EXAMPLES or ''} ONLY={item.name}"
        report.sections.append(("the same lives again", again))
    return report
