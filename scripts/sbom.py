"""Writes what the relay is made of as a CycloneDX 1.6 document (JSON) to standard output, from requirements.lock.

The client's half comes from npm itself: `npm sbom --sbom-format cyclonedx`. `make sbom` writes both. The lock holds what the relay runs on
and what tests it; `scope` tells the two apart. The document is the same for the same lock: no time and no random serial number in it.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).parent.parent
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Name, version and SHA-256 hashes of each package of a requirements file."""
    for block in re.split(r"\n(?=[A-Za-z])", text.strip()):
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block):
            yield match[1], match[2], re.findall(r"--hash=sha256:([0-9a-f]{64})", block)


def runs_with_the_relay(project: dict[str, Any]) -> set[str]:
    """Names of everything that the relay imports, directly or not, its embedded PostgreSQL included."""
    todo = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    found: set[str] = set()
    while todo:
        match = _NAME.match(todo.pop())
        name = normal(match[0]) if match else ""
        if not name or name in found:
            continue
        found.add(name)
        try:
            todo += [wish for wish in requires(name) or [] if "extra ==" not in wish]
        except PackageNotFoundError:
            continue
    return found


def licences(name: str) -> list[dict[str, Any]]:
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return []
    if expression := said.get("License-Expression"):
        return [{"expression": expression}]
    words = [
        line.rpartition("::")[2].strip() for line in said.get_all("Classifier") or [] if line.startswith("License ::")
    ]
    return [{"license": {"name": word}} for word in words]


def bill_of_materials(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    needed = runs_with_the_relay(project)
    components = []
    for name, version, hashes in locked(lock):
        purl = f"pkg:pypi/{normal(name)}@{version}"
        component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        component["scope"] = "required" if normal(name) in needed else "excluded"
        component["hashes"] = [{"alg": "SHA-256", "content": content} for content in hashes]
        if said := licences(name):
            component["licenses"] = said
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "sottovoce-relay",
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": components,
    }


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    json.dump(bill_of_materials((ROOT / "requirements.lock").read_text(), project), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
