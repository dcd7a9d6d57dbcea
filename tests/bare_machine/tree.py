"""A Debian of its own in a directory: the base system and nothing else, whose processes see only each other."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STEP_WITHIN_S = 900.0


class StepFailed(Exception):
    """A step did not do what it should; says which, and what was printed."""


@dataclass(frozen=True)
class Tree:
    root: Path
    init: int
    """The process that holds the namespaces. With it everything in the tree ends."""

    def command(self, script: str, *, online: bool, cwd: str) -> list[str]:
        """What runs a shell script there, as root. Online it has the network of the machine around, else a loopback that nobody else has."""
        inside = f"cd {shlex.quote(cwd)}\n{script}"
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", *([] if online else ["--net"])]
        environ = ["HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        return [*enter, "chroot", str(self.root), "env", "-i", *environ, "bash", "-euo", "pipefail", "-c", inside]

    def run(self, script: str, *, online: bool = False, cwd: str = "/root", may_fail: bool = False) -> str:
        """Standard output, and the other too when it failed.

        Raises:
            StepFailed: it exited with something else than 0, or took too long.
        """
        try:
            done = subprocess.run(
                self.command(script, online=online, cwd=cwd),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=STEP_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{script!r} was not done after {STEP_WITHIN_S:.0f} s") from None
        if done.returncode and not may_fail:
            told = (done.stdout + done.stderr).strip()[-3000:]
            raise StepFailed(f"{script!r} exited with {done.returncode}:\n{told}")
        return done.stdout

    def start(self, script: str, *, cwd: str, log: Path) -> subprocess.Popen[bytes]:
        """A service: goes on until the tree ends, in the network of one machine."""
        with log.open("ab") as file:
            return subprocess.Popen(
                self.command(script, online=False, cwd=cwd), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def write(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def unpack(root: Path, suite: str) -> None:
    """The base system, from where this machine has its own packages.

    Raises:
        StepFailed: debootstrap failed, or this machine has no packages of Debian.
    """
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", suite, str(root), _mirror()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StepFailed(f"debootstrap exited with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


@contextmanager
def inside(root: Path) -> Iterator[Tree]:
    """Namespaces for processes, mounts and network. Nothing is left of them, nor of what ran in them."""
    prepare = f"mount -t tmpfs -o mode=1777 shm {shlex.quote(str(root / 'dev/shm'))} && ip link set lo up && echo ready && exec sleep infinity"
    holder = subprocess.Popen(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", f"--mount-proc={root / 'proc'}"),
            *("sh", "-c", prepare),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stderr is not None
    try:
        if holder.stdout.readline() != "ready\n":
            raise StepFailed(f"no namespaces: {holder.stderr.read()}")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        init = int(children[0])
        try:
            yield Tree(root, init)
        finally:
            os.kill(init, signal.SIGKILL)
    finally:
        holder.terminate()
        holder.wait()


def lead_out(root: Path, name: str) -> None:
    """What leads from this machine to its packages leads there from the tree too; `name` is the tree itself."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    hosts = Path("/etc/hosts").read_text() + f"127.0.0.1 {os.uname().nodename} {name}\n"
    (root / "etc/hosts").write_text(hosts)
    proxies = [line for line in _said("apt-config", "dump").splitlines() if re.match(r"Acquire::https?::Proxy", line)]
    # Nobody is there to answer.
    (root / "etc/apt/apt.conf.d/99unattended").write_text("\n".join(['APT::Get::Assume-Yes "true";', *proxies, ""]))
    (root / "etc/pip.conf").write_text(_pip_conf(root))


def _pip_conf(root: Path) -> str:
    """pip as it is set up here, from files and from the environment; what is a file here becomes one there."""
    settings: dict[str, str] = {}
    for line in _said(sys.executable, "-m", "pip", "config", "list").splitlines():
        found = re.fullmatch(r"(?:global|user|site|install|:env:)\.([\w-]+)='(.*)'", line)
        if found is not None:
            settings[found[1]] = found[2]
    for name, value in settings.items():
        if Path(value).is_file():
            shutil.copy(value, root / "etc" / f"pip-{name}")
            settings[name] = f"/etc/pip-{name}"
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def _mirror() -> str:
    sites = _said(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages", "Component: main"
    )
    for line in sites.splitlines():
        uri, codename = line.split()
        if "-" not in codename:  # neither updates nor security
            return uri
    raise StepFailed("apt of this machine names no packages of Debian")


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
