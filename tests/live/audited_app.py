"""A relay that writes down which of its secret files it opens: whatever Python opens goes past an audit hook (PEP 578)."""

from __future__ import annotations

import os
import sys

_written_down = os.open(os.environ["OPENED_SECRETS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and "/secrets/" in str(arguments[0]):
        os.write(_written_down, f"{arguments[0]}\n".encode())


sys.addaudithook(_note)

from relay.app import app  # noqa: E402 - after the hook

__all__ = ["app"]
