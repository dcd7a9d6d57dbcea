"""What PostgreSQL says no with, as types; and which of its answers mean "not available".

A driver's error quotes the values that it is about. None of ours does, so that they may be logged.
"""

from __future__ import annotations

from relay.errors import DatabaseUnavailable, RelayError


class QueryRejected(RelayError):
    """PostgreSQL, or the driver, refused the statement itself: a mistake in this program. `sqlstate` names the reason."""

    def __init__(self, sqlstate: str, hint: str = "") -> None:
        super().__init__()
        self.sqlstate, self.hint = sqlstate, hint

    def __str__(self) -> str:
        return f"PostgreSQL refused a statement with SQLSTATE {self.sqlstate}{': ' + self.hint if self.hint else ''}"


class ConstraintViolation(RelayError):
    """The statement would have broken a constraint (SQLSTATE class 23). `constraint_name` is '' for NOT NULL."""

    def __init__(self, sqlstate: str, constraint_name: str) -> None:
        super().__init__()
        self.sqlstate, self.constraint_name = sqlstate, constraint_name

    def __str__(self) -> str:
        return f"constraint {self.constraint_name!r} refused a row (SQLSTATE {self.sqlstate})"


class UniqueViolation(ConstraintViolation):
    """There is such a row already."""

    def __init__(self, constraint_name: str) -> None:
        super().__init__("23505", constraint_name)


class ForeignKeyViolation(ConstraintViolation):
    """The row that this one belongs to does not exist, or is still referred to."""

    def __init__(self, constraint_name: str) -> None:
        super().__init__("23503", constraint_name)


# Classes and codes (appendix A of PostgreSQL's manual) that say nothing about the statement: it may succeed when it is
# tried again, here or on another host.
_TRANSIENT_CLASSES = frozenset({
    "08",  # connection
    "40",  # serialization failure, deadlock
    "53",  # disk full, out of memory, too many connections
    "57",  # cancelled, shutting down, starting up
    "58",  # the operating system failed it
    "XX",  # corrupted or internal
})  # fmt: skip
_TRANSIENT_CODES = frozenset({
    "25006",  # read-only: this host has become a standby
    "25P03",  # the transaction sat idle too long
    "55P03",  # a lock was not to be had in time
})  # fmt: skip
# After these the session goes on as before; after the other transient ones it is better thrown away.
_SESSION_SURVIVES = frozenset({"40001", "40P01", "55P03", "57014"})


def from_sqlstate(sqlstate: str, *, constraint_name: str = "", message: str = "") -> tuple[RelayError, bool]:
    """The error to raise for PostgreSQL's answer, and whether its session can be used further."""
    if sqlstate[:2] in _TRANSIENT_CLASSES or sqlstate in _TRANSIENT_CODES:
        return DatabaseUnavailable(), sqlstate in _SESSION_SURVIVES
    if sqlstate == "23505":
        return UniqueViolation(constraint_name), True
    if sqlstate == "23503":
        return ForeignKeyViolation(constraint_name), True
    if sqlstate[:2] == "23":
        return ConstraintViolation(sqlstate, constraint_name), True
    # Class 42 (syntax, unknown names) quotes the statement's own words, never a parameter's value.
    return QueryRejected(sqlstate, message if sqlstate[:2] == "42" else ""), True
