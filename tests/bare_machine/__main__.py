"""docs/operations.md from a bare Debian machine to a relay that carries a message, each command as the page has it, with its time.

There is no systemd in the tree: a service is started by what its unit says, as the user that it names. TLS is ended by the page's Caddy with
a certificate of our own, since no authority can ask here whose the name is. The commit that is checked out is what gets cloned.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.bare_machine.page import blocks
from tests.bare_machine.tree import StepFailed, Tree, inside, lead_out, unpack
from tests.live.relay_process import ROOT

NAME = "relay.example.org"
REPOSITORY = "/var/tmp/sottovoce.git"
SETTINGS = "/srv/sottovoce/sottovoce.toml"
UNIT = "/etc/systemd/system/sottovoce.service"
CADDYFILE = "/etc/caddy/Caddyfile"
READY_WITHIN_S = 120.0


class Machine:
    """Types commands one after the other, as one who sits before it."""

    def __init__(self, tree: Tree, logs: Path) -> None:
        self.tree = tree
        self.logs = logs
        self.directory = "/root"

    def type(self, command: str) -> str:
        """Raises StepFailed."""
        with step(command):
            command = command.replace("<this repository>", REPOSITORY)
            service = re.search(r"systemctl (?:enable --now|restart) (\w+)$", command)
            if service is not None:
                {"sottovoce": self._start_relay, "caddy": self._start_caddy}[service[1]]()
                return ""
            online = re.search(r"apt-get|git|make", command) is not None
            told = self.tree.run(f"{command}\npwd >/tmp/where", online=online, cwd=self.directory)
            self.directory = (self.tree.root / "tmp/where").read_text().strip()
            return told

    def _start_relay(self) -> None:
        unit = (self.tree.root / UNIT.lstrip("/")).read_text()
        says = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
        files = int(says["LimitNOFILE"])
        if (most := resource.getrlimit(resource.RLIMIT_NOFILE)[1]) < files:
            print(f"    (this machine allows {most} files, so max_sessions is set)")  # noqa: T201
            with (self.tree.root / SETTINGS.lstrip("/")).open("a") as settings:
                settings.write(f"max_sessions = {most // 2}\n")
            files = most
        script = f"umask {says['UMask']}; export {says['Environment']}; exec {says['ExecStart']}"
        as_user = f"setpriv --reuid={says['User']} --regid={says['Group']} --init-groups --no-new-privs"
        process = self.tree.start(
            f"ulimit -n {files}; exec {as_user} bash -c '{script}'",
            cwd=says["WorkingDirectory"],
            log=self.logs / "relay.log",
        )
        self._until_ready(process, "http://127.0.0.1:8000/readyz", "relay.log")

    def _start_caddy(self) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert(NAME)
        self.tree.write("/usr/local/share/ca-certificates/own.crt", authority.cert_pem.bytes().decode())
        self.tree.write("/etc/caddy/chain.pem", issued.cert_chain_pems[0].bytes().decode())
        self.tree.write("/etc/caddy/key.pem", issued.private_key_pem.bytes().decode())
        self.tree.run("update-ca-certificates")
        text = (self.tree.root / CADDYFILE.lstrip("/")).read_text()
        head = f"{NAME} {{\n"
        assert head in text, f"{CADDYFILE} is not for {NAME}"
        self.tree.write(CADDYFILE, text.replace(head, head + "\ttls /etc/caddy/chain.pem /etc/caddy/key.pem\n"))
        process = self.tree.start(f"exec caddy run --config {CADDYFILE}", cwd="/", log=self.logs / "caddy.log")
        self._until_ready(process, f"https://{NAME}/v1/relay", "caddy.log")

    def _until_ready(self, process: subprocess.Popen[bytes], url: str, log: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        ask = f"python3 -c 'import urllib.request as r; print(r.urlopen(\"{url}\", timeout=5).status)'"
        while self.tree.run(ask, may_fail=True).strip() != "200":
            if process.poll() is not None or time.monotonic() > deadline:
                raise StepFailed(f"{url} does not answer:\n{(self.logs / log).read_text()[-3000:]}")
            time.sleep(0.2)


@contextmanager
def step(title: str) -> Iterator[None]:
    began = time.monotonic()
    print(title, flush=True)  # noqa: T201
    yield
    print(f"    {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bare-machine", description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="Debian's name for the version")
    suite = parser.parse_args().suite
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="sv-bare-", dir="/var/tmp"))
    directory.chmod(0o711)
    try:
        _story(directory, suite)
    except StepFailed as failure:
        print(f"FAILED: {failure}")  # noqa: T201
        return 1
    finally:
        shutil.rmtree(directory)
    print(f"\nThe page holds on Debian {suite}: a message went from end to end after {time.monotonic() - began:.0f} s.")  # noqa: T201
    return 0


def _story(directory: Path, suite: str) -> None:
    root = directory / "tree"
    with step(f"(debootstrap: a bare {suite})"):
        unpack(root, suite)
        lead_out(root, NAME)
        # What every machine with systemd has.
        (root / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, root / REPOSITORY.lstrip("/")], check=True)
    with inside(root) as tree:
        machine = Machine(tree, directory)
        told = {command: machine.type(command) for block in blocks(ROOT / "docs/operations.md") for command in block}
        for command, needed in {"relay doctor": "All is well.", "relay invite": f"https://{NAME}/join#c="}.items():
            if not any(command in typed and needed in said for typed, said in told.items()):
                raise StepFailed(f"{command!r} did not say {needed!r}: {told}")


if __name__ == "__main__":
    sys.exit(main())
