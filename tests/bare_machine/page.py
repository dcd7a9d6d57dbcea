"""The commands of docs/operations.md, read out of the page, so that what is tried is what it says."""

from __future__ import annotations

import re
from pathlib import Path

SECTION = "From a bare Debian machine to two people talking"


def blocks(page: Path) -> list[list[str]]:
    """The shell blocks of the section, as commands without their comments."""
    text = page.read_text()
    section = re.search(rf"^## {re.escape(SECTION)}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section is not None, f"the page has no section {SECTION!r}"
    found = re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    return [[command for line in block.splitlines() if (command := re.sub(r"(^|\s+)#.*", "", line))] for block in found]
