"""Fixtures: one relay for the tests of a module that do it no harm, a fresh one for those that kill it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """A relay on its embedded PostgreSQL, shared by a module's tests."""
    with temporary_directory() as directory, running_relay(directory) as running:
        yield running


@pytest.fixture
def relay_directory() -> Iterator[Path]:
    """A directory for a relay of the test's own."""
    with temporary_directory() as directory:
        yield directory
