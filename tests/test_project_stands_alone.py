"""The project is what git holds and nothing else: no path of somebody's machine, no host packages came from, no test set aside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_import_rules import ROOT, tracked

HOSTS = (r"pypi\.org", r"pythonhosted\.org", r"npmjs\.(?:org|com)", r"yarnpkg\.com", r"crates\.io", r"repo1?\.maven")
PLACES = (r"/root/[.\w]", r"/home/\w", r"[.]pyenv\b", r"/opt/\w")
SET_ASIDE = (
    r"mark\.(?:skip|xfail)",
    r"\bpytest\.(?:skip|xfail|importorskip)\(",
    r"unittest\.skip",
    r"\b(?:it|test|describe|suite)\.(?:only|skip|todo|fails)\b",
    r"\bx(?:it|describe)\(",
)

FORBIDDEN = {
    "a registry's host": re.compile("|".join(HOSTS)),
    "where a package was fetched": re.compile(r'"resolved": *"https?://|--(?:extra-)?index-url'),
    "a path of one machine": re.compile("|".join(PLACES)),
    "a test that is set aside": re.compile("|".join(SET_ASIDE)),
    "a conflict that was not resolved": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}

# What only root can do, or only where a container lets root make namespaces; and programs that `make test` installs as root, so their lack
# fails for root, and another user is told what was left out. Everything that `make setup` brings for all users is wanted, not asked for.
ALLOWED: set[tuple[str, str]] = {
    ("tests/postgres/test_embedded_postgres.py", "a test that is set aside"),  # what only root can do
    ("tests/faults/test_network.py", "a test that is set aside"),  # no root, no namespaces
    ("tests/commands/test_doctor.py", "a test that is set aside"),  # no root, no namespaces
    ("tests/deploy/test_deploy.py", "a test that is set aside"),  # neither root nor systemd, nginx, Caddy
    ("tests/pages/test_join_page.py", "a test that is set aside"),  # neither root nor Chromium
}


def breaches(name: str, text: str) -> list[str]:
    return [
        f"{name}: {what} ({match[0]})"
        for what, pattern in FORBIDDEN.items()
        if (match := pattern.search(text)) and (name, what) not in ALLOWED
    ]


def readable(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_the_project_stands_alone() -> None:
    texts = {str(path.relative_to(ROOT)): readable(path) for path in tracked("")}
    assert [one for name, text in texts.items() if text is not None for one in breaches(name, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "see https://files.python~hosted.org/packages/x.whl",
        '      "resolved": "https:~//example.org/x.tgz",',
        "--index~-url https://example.org",
        "cd /ho~me/somebody/relay",
        "PYTHON=/ro~ot/.local/bin/python",
        "@pytest.mark.sk~ip(reason='later')",
        "@pytest.mark.sk~ipif(True)",
        "    pytest.xfa~il('later')",
        "describe.on~ly('this', () => {})",
        "it.to~do('that')",
        "<<<<~<<< HEAD",
    ],
)
def test_a_breach_is_found(text: str) -> None:
    assert breaches("docs/page.md", f"one\n{text}\n") == []
    assert len(breaches("docs/page.md", f"one\n{text.replace('~', '')}\n")) == 1  # so that this file holds none


def test_the_list_of_exceptions_is_not_longer_than_it_must_be() -> None:
    needed = {(name, what) for name, what in ALLOWED if FORBIDDEN[what].search((ROOT / name).read_text())}
    assert needed == ALLOWED


def test_the_client_lock_names_hashes_and_no_places() -> None:
    lock = (ROOT / "mobile/package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') > 100
