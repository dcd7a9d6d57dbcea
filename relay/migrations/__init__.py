"""From each version of schema.sql to the next, one numbered file each; relay/schema.py applies them.

A file `NNNN_what.sql` leads to version NNNN. It begins with three lines that are read:

    -- what: a sentence for the operator
    -- compatible-from: the oldest version whose relays can go on with the database after it
    -- before: fingerprint of the schema.sql that it starts from

It holds no transaction commands and nothing that cannot be in a transaction (such as CREATE INDEX CONCURRENTLY).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from relay.schema import Migration, Schema

_HERE: Final = Path(__file__).parent
_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_HEAD: Final = re.compile(r"-- what: (\S.*)\n-- compatible-from: (\d+)\n-- before: ([0-9a-f]{64})\n")


def read_schema() -> Schema:
    """What this relay works with: schema.sql, and the way to it from every earlier version.

    Raises:
        ValueError: a file's name or head is not as it must be, or a number is missing.
    """
    package = _HERE.parent
    installed = package / "schema.sql"  # where the wheel puts it; in a checkout it is beside the package
    text = (installed if installed.exists() else package.parent / "schema.sql").read_text()
    migrations = read_migrations(_HERE)
    return Schema(text, version=1 + len(migrations), migrations=migrations)


def read_migrations(directory: Path) -> tuple[Migration, ...]:
    """In their order.

    Raises:
        ValueError
    """
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        name, text = _NAME.fullmatch(path.name), path.read_text()
        head = _HEAD.match(text)
        if not name or not head or int(name[1]) != len(found) + 2:
            raise ValueError(
                f"{path}: its name, its number or its first three lines are not as relay/migrations/__init__.py says"
            )
        oldest = int(head[2])
        if not max(1, found[-1].compatible_from if found else 1) <= oldest <= int(name[1]):
            raise ValueError(f"{path}: compatible-from may not go back, nor be later than itself")
        found.append(Migration(int(name[1]), head[1], oldest, head[3], text))
    return tuple(found)
