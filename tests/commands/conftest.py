"""A shell of an operator, with the run's PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands.operator_shell import PUBLIC_URL, Shell
from tests.postgres.server import temporary_directory


@pytest.fixture
def bare_shell() -> Iterator[Shell]:
    """Nothing is set."""
    with temporary_directory() as directory:
        yield Shell(directory)


@pytest.fixture
def shell(bare_shell: Shell, schema_database_url: str) -> Shell:
    """A relay with a database of its own."""
    bare_shell.settings = {
        "var_directory": str(bare_shell.var),
        "public_url": PUBLIC_URL,
        "database_url": schema_database_url,
    }
    return bare_shell
