"""The machine: secrets on disk, space, how many files may be open."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relay.config import Settings
from relay.diagnosis.finding import Finding, bad, good, warning
from relay.secret_files import TRUST_ROOT, SecretFileError, load_keys

FILES_BESIDE_SESSIONS: Final = 256
"""Connections to PostgreSQL, listeners, libraries: files that a process has open without any session."""


def look_at_machine(settings: Settings, *, free_bytes: int) -> Iterator[Finding]:
    """`free_bytes`: how much space there should be."""
    yield from _secrets(settings.secrets_directory)
    yield _settings_file(settings)
    yield _space(settings.var_directory, free_bytes)
    yield _open_files(settings.max_sessions)


def _secrets(directory: Path) -> Iterator[Finding]:
    if not directory.exists():
        yield bad(
            "secrets-missing", f"there are no keys in {directory}", "run relay init, or restore a backup of the keys"
        )
        return
    open_to_others = [
        str(path)
        for path in (directory, *sorted(directory.iterdir()))
        if not path.is_symlink() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if open_to_others:
        yield bad(
            "secrets-open",
            f"other users of this machine can reach {', '.join(open_to_others)}",
            f"if nobody has read them: chmod 700 {directory}; chmod 600 {directory}/*  (else rotate them: relay rotate)",
        )
    else:
        yield good("secrets-open", "keys can be read by the relay alone")
        try:
            load_keys(directory)
            yield good("secrets-whole", "the server's key is certified by the trust root")
        except SecretFileError as error:
            yield bad("secrets-whole", str(error), "restore the files of var/secrets from one backup: relay restore")
    if (directory / TRUST_ROOT).exists():
        yield warning(
            "trust-root-here",
            "the trust root's private half lies on this machine, where the relay does not need it",
            f"move {directory / TRUST_ROOT} to a stick and keep it; relay rotate asks for it",
        )
    else:
        yield good("trust-root-here", "the trust root's private half is not beside the keys")


def _settings_file(settings: Settings) -> Finding:
    path = Path(os.environ.get("SOTTOVOCE_CONFIG") or "sottovoce.toml")
    if path.exists() and path.stat().st_mode & stat.S_IROTH and "@" in (settings.database_url or ""):
        return bad(
            "settings-open", f"everybody on this machine can read {path}, which names the database", f"chmod 600 {path}"
        )
    return good("settings-open", "the settings tell other users nothing")


def _space(directory: Path, free_bytes: int) -> Finding:
    place = directory if directory.exists() else Path()
    usage = shutil.disk_usage(place)
    free = usage.free / 2**30
    if usage.free < free_bytes:
        return bad(
            "disk-space",
            f"only {free:.1f} GiB are free on the disk of {directory}",
            "make room: when the disk is full PostgreSQL stops and nobody can send (docs/operations.md, The disk is full)",
        )
    return good("disk-space", f"{free:.1f} GiB are free")


def _open_files(max_sessions: int) -> Finding:
    needed = max_sessions + FILES_BESIDE_SESSIONS
    limits = {"this shell": resource.getrlimit(resource.RLIMIT_NOFILE)[0], **_limits_of_relays()}
    who, least = min(limits.items(), key=lambda one: one[1] if one[1] >= 0 else 2**62)
    if len(limits) > 1:  # what counts is the relay that runs
        del limits["this shell"]
        who, least = min(limits.items(), key=lambda one: one[1] if one[1] >= 0 else 2**62)
    if 0 <= least < needed:
        return bad(
            "open-files",
            f"{who} may open {least} files, and {max_sessions} sessions need {needed}",
            f"LimitNOFILE={needed} in the relay's unit, or ulimit -n {needed} before it is started, or a smaller max_sessions",
        )
    return good("open-files", f"enough files may be open for {max_sessions} sessions ({who})")


def _limits_of_relays() -> dict[str, int]:
    """Soft limits of relays that run as this user."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"relay.app:app" not in (process / "cmdline").read_bytes() or process.stat().st_uid != os.geteuid():
                continue
            for line in (process / "limits").read_text().splitlines():
                if line.startswith("Max open files"):
                    soft = line.split()[3]
                    found[f"the relay (process {process.name})"] = -1 if soft == "unlimited" else int(soft)
        except (OSError, ValueError, IndexError):
            continue
    return found
