"""How the log is written to standard error: a line for people, or one JSON object a line for programs (`log_format`).

What may stand in it is decided where something is logged: types, counts and places, never who or what. The JSON form adds nothing to that.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

LogFormat = Literal["text", "json"]


class JsonLines(logging.Formatter):
    """`time` (UTC, RFC 3339 section 5.6), `level`, `logger`, `process`, `event`, `message` and, for what was raised, `error`.

    `event` is the message before anything was put into it: it is the same for every line of a kind, so programs count and filter by it.
    Of an exception only the type is told: its text, and the lines of a traceback, could hold anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": str(record.msg),
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def configure_logging(log_format: LogFormat) -> None:
    """Sends the relay's lines to standard error; what was configured already, by whoever embeds the relay, is left alone."""
    root = logging.getLogger("relay")
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False


def write_alike(logger: logging.Logger) -> None:
    """Has the lines of another logger (Hypercorn's) written as JSON, if the relay's are."""
    for own in logging.getLogger("relay").handlers:
        if isinstance(own.formatter, JsonLines):
            for handler in logger.handlers:
                handler.setFormatter(own.formatter)


def describe(failure: BaseException) -> str:
    """Types and places of the errors in a group, and nothing that they say: "KeyError (mailbox.py:88), OSError (...)"."""
    return ", ".join(sorted({f"{type(leaf).__name__} ({place})" for leaf, place in _leaves(failure, "?")}))


def _leaves(failure: BaseException, place: str) -> Iterator[tuple[BaseException, str]]:
    """Each with where it was raised, or the group that holds it."""
    place = _place(failure) or place
    if isinstance(failure, BaseExceptionGroup):
        for part in failure.exceptions:
            yield from _leaves(part, place)
    else:
        yield failure, place


def _place(failure: BaseException) -> str | None:
    traceback = failure.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return None if traceback is None else f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
