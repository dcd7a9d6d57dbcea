"""A short, seeded part of `make fuzz-http`, and that it finds what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.routes.table import CALLS
from tests.fuzz_http.run import fuzz
from tests.postgres.server import temporary_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with temporary_directory() as made:
        yield made


@pytest.mark.timeout(300)
def test_no_500_and_nothing_undocumented(directory: Path) -> None:
    found = fuzz(directory, examples=5, seed=7, phases="coverage,fuzzing")
    assert found.wrong == ""
    asked = {call for call, _ in found.answers}
    assert asked >= {f"{call.method} {call.path}" for call in CALLS}
    # It came past the door.
    past = {call for call, status in found.answers if status < 300}
    assert past >= {
        "POST /v1/accounts",
        "POST /v1/accounts/recover",
        "GET /v1/account",
        "PUT /v1/account/access",
        "GET /v1/keys",
        "GET /v1/sender-certificate",
        "POST /v1/discovery/evaluate",
        "POST /v1/discovery/lookup",
        "POST /v1/prekeys/{account_id}/take",
        "GET /v1/relay",
    }


@pytest.mark.timeout(300)
def test_a_500_and_an_undocumented_answer_are_found(directory: Path) -> None:
    paths = ("/v1/discovery/lookup", "/v1/account/access")
    found = fuzz(
        directory, examples=20, seed=7, phases="fuzzing", application="tests.fuzz_http.broken_app:app", only=paths
    )
    assert "Server error" in found.wrong
    assert "POST /v1/discovery/lookup: LookupError" in found.wrong  # of the log
    assert "Undocumented status code" in found.wrong
