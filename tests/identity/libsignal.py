"""Asks the official libsignal (its Node package, from mobile/node_modules)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parent.parent.parent
VECTORS = _ROOT / "tests" / "vectors"
_PACKAGE = _ROOT / "mobile" / "node_modules" / "@signalapp" / "libsignal-client"

needs_libsignal = pytest.mark.skipif(
    not _PACKAGE.exists(), reason="no npm packages, so no libsignal to ask: make setup"
)


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """See tests/vectors/check_with_libsignal.mjs for what goes in and comes out."""
    done = subprocess.run(
        ["node", str(VECTORS / "check_with_libsignal.mjs")],
        input=json.dumps(question),
        cwd=_ROOT / "mobile",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
