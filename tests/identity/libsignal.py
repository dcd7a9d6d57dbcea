"""Asks the official libsignal (its Node package, from mobile/node_modules)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent.parent
VECTORS = _ROOT / "tests" / "vectors"
_PACKAGE = _ROOT / "mobile" / "node_modules" / "@signalapp" / "libsignal-client"


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """See tests/vectors/check_with_libsignal.mjs for what goes in and comes out."""
    assert _PACKAGE.exists(), "no npm packages, so no libsignal to ask: make setup"
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
