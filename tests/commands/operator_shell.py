"""An operator at a shell: `relay ...` in a directory of its own, with settings in the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

RELAY = Path(sys.executable).with_name("relay")
PUBLIC_URL = "https://relay.example"
WITHIN_S = 90


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code in (0, 1), self
        return json.loads(self.out)


@dataclass
class Shell:
    """`directory` is where commands are typed; `settings` become SOTTOVOCE_* variables."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def var(self) -> Path:
        return self.directory / "var"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    def environment(self, **settings: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
        named = {**self.settings, **settings}
        return {
            **clean,
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            **{f"SOTTOVOCE_{name.upper()}": value for name, value in named.items()},
            **self.environ,
        }

    async def relay(self, *arguments: str, typed: str = "", settings: Mapping[str, str] | None = None) -> Done:
        """Runs `relay ARGUMENTS`, with `typed` on standard input."""
        with trio.fail_after(WITHIN_S):
            done = await trio.run_process(
                [str(RELAY), *arguments],
                env=self.environment(**(settings or {})),
                cwd=self.directory,
                stdin=typed.encode(),
                check=False,
                capture_stdout=True,
                capture_stderr=True,
            )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return Done(done.returncode, out, err)


def run_relay(shell: Shell, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same from a test that is not async."""
    return subprocess.run(
        [str(RELAY), *arguments],
        env=shell.environment(),
        cwd=shell.directory,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
