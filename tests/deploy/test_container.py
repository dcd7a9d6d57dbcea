"""What the Dockerfile installs, installed: with no file of the project but those that it copies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay.migrations import read_schema
from tests.test_import_rules import ROOT

DOCKERFILE = ROOT / "deploy/compose/Dockerfile"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the image has it, made of what is copied into the image."""
    place, target = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("installed")
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("COPY "):
            *sources, to = line.split()[1:]
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place / to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, place)
    # as in the Dockerfile, but for dependencies, which are here already, and for where it goes
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--no-deps", "--no-build-isolation", "--target", str(target), "."),
        ],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return target


def says(installed: Path, program: str) -> str:
    """What the installed package, and not this checkout, answers."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {program}"],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_what_is_not_python_is_installed_as_well(installed: Path) -> None:
    assert says(installed, "import relay; print(relay.__file__)") == str(installed / "relay/__init__.py")
    told = says(installed, "from relay.migrations import read_schema; print(read_schema())")
    assert told == str(read_schema())
    for name in ("coturn.conf", "pages/join.html", "pages/join.js", "pages/join.css"):
        beside = ROOT / name if "/" not in name else ROOT / "relay" / name
        assert (installed / "relay" / name).read_bytes() == beside.read_bytes()


def test_the_command_of_the_image_is_there(installed: Path) -> None:
    command = DOCKERFILE.read_text().rpartition("CMD ")[2]
    assert '"relay.app:app"' in command
    assert says(installed, "from relay.app import app; print(callable(app))") == "True"
