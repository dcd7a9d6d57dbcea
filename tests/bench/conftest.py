"""A directory for the bench's PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres.server import temporary_directory


@pytest.fixture
def place() -> Iterator[Path]:
    with temporary_directory() as directory:
        yield directory / "pg"
