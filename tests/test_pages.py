"""The pages for people against the project: links lead somewhere, what is named is there, settings and dependencies are all told of."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from relay.config import Settings
from tests.test_import_rules import ROOT, tracked

PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in tracked(".md")}
OPERATIONS = PAGES["docs/operations.md"]
NAMED = re.compile(
    r"`((?:relay|nursery_tasks|tests|docs|scripts|mobile|\.ci)/[\w./-]*\w\.\w+|(?:schema\.sql|Makefile|pyproject\.toml))`"
)


def anchors(page: str) -> set[str]:
    """As they are made of headings: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        if not found.exists() or (anchor and anchor not in anchors(found.read_text())):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    assert [path for path in NAMED.findall(PAGES[name]) if not (ROOT / path).exists()] == []


def test_every_decision_is_in_the_list() -> None:
    pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert re.findall(r"\]\((0\d{3}-[\w-]+\.md)\)", PAGES["docs/decisions/README.md"]) == pages


def written(default: object) -> str:
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default in (None, "") else str(default)


def test_every_setting_is_listed_with_its_default() -> None:
    section = OPERATIONS.partition("\n## Settings\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", section, flags=re.MULTILINE)
    assert told == [(name, written(field.default)) for name, field in Settings.model_fields.items()]


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    client = json.loads((ROOT / "mobile/package.json").read_text())
    written_down = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *(one for group in project["dependency-groups"].values() for one in group),
        *client["dependencies"],
        *client["devDependencies"],
    ]
    names = {re.match(r"@?[\w/.-]+", one)[0] for one in written_down}  # type: ignore[index]
    rows = re.findall(
        r"^\| (.+?) \| .+ \|$", PAGES["CONTRIBUTING.md"].partition("## Before a dependency")[2], re.MULTILINE
    )
    assert {name for row in rows[1:] for name in row.split(", ")} == names


def test_the_page_of_attacks_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "attacks.md").read_text()
    named = re.findall(r"\| `((?:mobile/)?tests/[^`]+)` \|", page)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).is_file()] == []
