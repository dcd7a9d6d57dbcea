"""What processes cost, as Linux tells it: CPU seconds and memory of whole process trees, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(roots: Iterable[int]) -> list[int]:
    """The processes and everything below them that is alive."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found: list[int] = []
    waiting = [pid for pid in roots if _stat(pid)]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time so far, of children that have ended and were waited for as well."""
    ticks = 0
    for pid in tree(roots):
        if fields := _stat(pid):
            ticks += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime, proc(5)
    return ticks / TICKS


def pss_bytes(roots: Iterable[int], *, below: bool = True) -> int:
    """Proportional set size, memory with what is shared counted once: of the whole trees, or of these processes alone."""
    total = 0
    for pid in tree(roots) if below else roots:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold blanks; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
