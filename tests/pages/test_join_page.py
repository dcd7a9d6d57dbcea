"""The page behind an invite link: its headers, its languages, and what a real browser does with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from relay.pages import _WORDS, LANGUAGES, preferred
from tests.commands.operator_shell import Shell, run_relay
from tests.live.app import call
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory

HERE = Path(__file__).parent
PLAYWRIGHT = HERE.parents[1] / "mobile/node_modules/playwright-core/index.mjs"
CHROMIUM = shutil.which("chromium")
APK = b"PK" + b"not really an app " * 100_000

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.geteuid() != 0, reason="no Chromium: make setup-operator, as root"
)


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with temporary_directory() as directory:
        (directory / "app.apk").write_bytes(APK)
        with running_relay(directory, apk_file=directory / "app.apk") as running:
            yield running


@pytest.fixture(scope="module")
def link(relay: RelayProcess) -> str:
    return relay.invite()[0]


def test_every_language_says_everything() -> None:
    assert tuple(_WORDS) == LANGUAGES
    for words in _WORDS.values():
        assert words.keys() == _WORDS["en"].keys()
        assert all(words.values())


@pytest.mark.parametrize(
    ("header", "asked", "language"),
    [
        ("", None, "en"),
        ("de-AT,de;q=0.9,en;q=0.8", None, "de"),
        ("fr-FR,fr;q=0.9,tr;q=0.5,en;q=0.4", None, "tr"),
        ("en;q=0.1, ar;q=0.7", None, "ar"),
        ("de;q=0, tr;q=nonsense, *", None, "en"),
        ("TR", None, "tr"),
        ("de", "ar", "ar"),
        ("de", "xx", "de"),
        (",;q=,,;;" * 100, None, "en"),
    ],
)
def test_which_language(header: str, asked: str | None, language: str) -> None:
    assert preferred(header, asked) == language


async def test_headers_leave_no_door_open(relay: RelayProcess) -> None:
    for path in ("/join", "/join/join.css", "/join/join.js", "/join/qr.js", "/join/sottovoce.apk"):
        answer = await call(relay.url, "GET", path)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
    page = await call(relay.url, "GET", "/join", None, {"Accept-Language": "ar"})
    assert page.headers["content-language"] == "ar"
    assert b"//" not in page.body.replace(b"sottovoce://join", b"")  # it names no other site
    for path in ("/join/", "/join/x", "/join/../secrets", "/join/%2e%2e/x", "/join/__init__.py"):
        assert (await call(relay.url, "GET", path)).code == "not_found", path


async def test_the_app_is_offered_whole(relay: RelayProcess) -> None:
    answer = await call(relay.url, "GET", "/join/sottovoce.apk")
    assert answer.body == APK
    assert answer.headers["content-type"] == "application/vnd.android.package-archive"
    assert hashlib.sha256(APK).hexdigest() in (await call(relay.url, "GET", "/join")).body.decode()


def look(*views: dict[str, Any]) -> list[dict[str, Any]]:
    default = {"width": 390, "height": 844, "dark": False, "language": "en-GB", "scripts": True, "audit": False}
    question = {
        "module": str(PLAYWRIGHT),
        "chromium": CHROMIUM,
        "axe": str(files("axe_core_python") / "axe.min.js"),
        "views": [{**default, **view} for view in views],
    }
    done = subprocess.run(
        ["node", str(HERE / "look.mjs")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@needs_browser
def test_a_browser_shows_the_invite_and_sends_it_to_nobody(relay: RelayProcess, link: str) -> None:
    fragment = urlsplit(link).fragment
    (seen,) = look({"url": link})
    assert (seen["status"], seen["shown"], seen["broken"], seen["complaints"]) == (200, True, False, [])
    assert {one["url"].partition("#")[0] for one in seen["requests"]} == {
        f"{relay.url}/join{rest}" for rest in ("", "/join.css", "/join.js", "/qr.js")
    }
    code = parse_qs(fragment)["c"][0]
    assert not any(code in (one["referer"] or "") for one in seen["requests"])
    assert all(code not in one["url"] or one["url"] == link for one in seen["requests"])
    assert code not in relay.logged()
    assert seen["stored"] == "[][]"

    opens = urlsplit(seen["open"])
    assert (opens.scheme, opens.netloc) == ("sottovoce", "join")
    assert parse_qs(opens.fragment) == {**parse_qs(fragment), "r": [relay.url]}
    assert seen["apk"] == f"{relay.url}/join/sottovoce.apk"
    ((ours, _),) = modules([(link, None)])
    assert seen["path"] == "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(ours) for x, dark in enumerate(row) if dark
    )
    # Another language takes the invite along, where no server sees it.
    assert [urlsplit(one).fragment for one in seen["links"]] == [fragment] * 4


def read_by_the_app(*links: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["node", "--import", "tsx", str(HERE / "read_link.mjs")],
        input=json.dumps(links),
        cwd=HERE.parents[1] / "mobile",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: list[dict[str, Any]] = json.loads(done.stdout)
    return read


@needs_browser
def test_the_app_reads_what_the_page_opens_it_with(relay: RelayProcess, link: str) -> None:
    """Whatever kind of invite: the link of the button says the same as the one that was handed out."""
    kinds = [
        [],
        ["--number", "+4915112345678"],
        ["--uses", "20", "--expires", "30d"],
    ]
    shell = Shell(Path(relay.environ["SOTTOVOCE_VAR_DIRECTORY"]).parent, environ=relay.environ)
    links = [json.loads(run_relay(shell, "invite", "--json", *kind).stdout)[0]["link"] for kind in kinds]
    opens = [seen["open"] for seen in look(*({"url": one} for one in (link, *links)))]
    for handed_out, opened in zip(read_by_the_app(link, *links), read_by_the_app(*opens), strict=True):
        assert opened == {**handed_out, "route": "/join"}
        assert opened["relayUrl"] == relay.url
        assert opened["discovery"] is not None


@needs_browser
def test_sizes_colours_languages_and_who_cannot_see(link: str, tmp_path: Path) -> None:
    views = [
        {"url": link, "width": width, "height": height, "dark": dark, "language": language, "audit": True,
         "screenshot": str(tmp_path / f"{language}-{width}-{'dark' if dark else 'light'}.png")}
        for language, width, height, dark in (
            ("en-GB", 390, 844, False), ("tr-TR", 320, 568, True), ("ar-EG", 390, 844, False), ("de-DE", 1440, 900, True),
            ("ar-EG", 1440, 900, True),
        )
    ]  # fmt: skip
    found = look(*views)
    for view, seen in zip(views, found, strict=True):
        assert seen["violations"] == [], view
        assert not seen["wide"], view  # nothing to scroll sideways
        language = str(view["language"])[:2]
        assert (seen["language"], seen["direction"]) == (language, "rtl" if language == "ar" else "ltr")
        assert seen["title"] == _WORDS[language]["title"]
    assert len({seen["background"] for seen in found}) == 2


@needs_browser
def test_half_a_link_and_no_scripts(relay: RelayProcess, link: str) -> None:
    half, bare, silent, turkish = look(
        {"url": link[: link.index("#") + 10], "audit": True},
        {"url": f"{relay.url}/join"},
        {"url": link, "scripts": False},
        {"url": f"{relay.url}/join?lang=tr#{urlsplit(link).fragment}"},
    )
    for seen in (half, bare):
        assert (seen["shown"], seen["broken"], seen["path"]) == (False, True, None)
        assert _WORDS["en"]["broken"] in seen["text"]
    assert half["violations"] == []
    assert silent["shown"] is False
    assert _WORDS["en"]["noscript"] in silent["text"]
    assert (turkish["language"], turkish["shown"]) == ("tr", True)
    assert parse_qs(urlsplit(turkish["open"]).fragment)["r"] == [relay.url]


# -- codes ---------------------------------------------------------------------------------------------------------------


def modules(asked: list[tuple[str, int | None]]) -> list[tuple[list[list[bool]], list[list[bool]] | None]]:
    done = subprocess.run(
        ["node", str(HERE / "qr_codes.mjs")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [(ours, theirs) for ours, theirs in json.loads(done.stdout)]


def test_codes_are_those_of_another_implementation() -> None:
    """Every version once full and twice with padding, every mask."""
    capacities = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666]
    text = "https://relay.example/join#c=0123456789abcdefghjkmnpq&t=BQ_-" * 12
    asked: list[tuple[str, int | None]] = [
        (text[: capacity - less], (n + less) % 8) for n, capacity in enumerate(capacities) for less in (0, 1, 7)
    ]
    for (wanted, _), (ours, theirs) in zip(asked, modules(asked), strict=True):
        assert ours == theirs, len(wanted)
    assert len(modules([("x" * 666, None)])[0][0]) == 97
    with pytest.raises(subprocess.CalledProcessError):
        modules([("x" * 667, None)])
