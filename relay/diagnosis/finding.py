"""A finding: what was looked at, how it is, and what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["good", "warning", "bad"]


class Finding(NamedTuple):
    """`code` is stable, for programs; `says` is a sentence; `do` is what helps, empty when all is well."""

    code: str
    level: Level
    says: str
    do: str = ""


def good(code: str, says: str) -> Finding:
    return Finding(code, "good", says)


def warning(code: str, says: str, do: str) -> Finding:
    return Finding(code, "warning", says, do)


def bad(code: str, says: str, do: str) -> Finding:
    return Finding(code, "bad", says, do)
