"""Who may import whom, where SQL may stand, and what a file may not hold. CONTRIBUTING.md says why.

The rules are data; `broken` applies them to sources given as text, so each rule is tried on a source that breaks it, besides the project's own.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("relay", "nursery_tasks", "tests", "bench")
DRIVER = ("triopg", "trio_asyncio", "asyncpg")
WEB = ("quart", "quart_trio", "hypercorn", "werkzeug", "wsproto", "h11")


@dataclass(frozen=True)
class Only:
    """Of `among`, `files` import nothing but `allowed`: modules or packages. An empty `among`: all but the standard library."""

    files: str
    allowed: tuple[str, ...]
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reserved:
    """`modules` are imported by `allowed` files alone."""

    modules: tuple[str, ...]
    allowed: tuple[str, ...]


RULES: tuple[Only | Reserved, ...] = (
    # The wire and the words for errors stand by themselves: anything may use them, they drag nothing along.
    Only("relay/frames.py", ("pydantic", "pydantic_core")),
    Only("relay/errors.py", ()),
    Only("relay/records.py", ("relay.errors",)),
    # Tasks run on a deterministic clock with fakes, so they may not know a server, a driver or a store.
    Only("nursery_tasks/*", ("trio", "relay.frames", "relay.errors", "relay.records", "nursery_tasks")),
    Reserved(
        ("nursery_tasks",),
        (
            "nursery_tasks/*",
            "relay/app.py",
            "relay/runtime.py",
            "relay/metrics.py",
            "relay/routes/*",
            "relay/commands/*",
        ),
    ),
    # One door to PostgreSQL.
    Reserved(DRIVER, ("relay/database.py", "relay/driver_connection.py", "bench/peers/*")),
    # One fence around the web server, which knows nothing of what it fences in.
    Only(
        "relay/edge*.py",
        (
            "relay.errors",
            "relay.log_lines",
            "relay.collector",
            "relay.edge",
            "relay.edge_arrivals",
            "relay.edge_protocol",
            "relay.edge_websocket",
            "relay.edge_worker",
            "relay.plain_frames",
            "relay.readiness",
        ),
        among=OURS,
    ),
    Only("relay/log_lines.py", ()),
    Only("relay/plain_frames.py", ("websockets.speedups", "websockets.utils")),
    # Of the websockets package its exclusive or, and nothing else.
    Reserved(("websockets",), ("relay/plain_frames.py",)),
    Only("relay/readiness.py", ("trio",)),
    # Sockets between workers do not know what crosses them.
    Only("relay/sibling_sockets.py", ("trio",)),
    Reserved(
        ("hypercorn", "wsproto", "h11"),
        ("relay/edge*.py", "relay/direct_websocket.py", "relay/probe.py", "relay/outbound.py"),
    ),
    # The relay as it is met from outside: for commands, never for a relay that runs.
    Reserved(("relay.probe", "relay.diagnosis"), ("relay/commands/*", "relay/diagnosis/*", "relay/end_to_end.py")),
    Reserved(("relay.end_to_end",), ("relay/commands/*",)),
    Only("relay/direct_websocket.py", ("hypercorn.typing",), among=("hypercorn",)),
    # HTTP is a matter of the routes; stores can be called from a command as well.
    Reserved(
        WEB,
        (
            "relay/routes/*",
            "relay/app.py",
            "relay/direct_websocket.py",
            "relay/edge*.py",
            "relay/probe.py",
            "relay/outbound.py",
        ),
    ),
    Reserved(("relay.routes",), ("relay/routes/*", "relay/app.py", "relay/runtime.py")),
    Reserved(("relay.app",), ()),
    # Commands call stores. Nothing calls a command; relay/cli.py finds them by name, and loads nothing itself.
    Only("relay/cli.py", ("click",)),
    Reserved(("relay.commands",), ("relay/commands/*",)),
    # The relay's process never opens the app salt.
    Reserved(("relay.app_salt",), ("relay/commands/*",)),
    Reserved(("tests",), ()),
    # Measured from outside: what runs does not know it, and it knows of the relay what any operator's tool might,
    # and its statements for mail (relay.post_store, relay.queries.mailbox), so that a week of it is made with them.
    Reserved(("bench",), ("bench/*",)),
    Only(
        "bench/*",
        (
            "bench",
            "relay.database",
            "relay.embedded_postgres",
            "relay.frames",
            "relay.partitions",
            "relay.post_store",
            "relay.queries",
        ),
        among=OURS,
    ),
)

SQL_IS_IN = (
    "relay/queries/*",
    "relay/schema.py",  # needs its statements before there is a schema
    "relay/database.py",  # transactions, liveness
    "relay/held_connection.py",
    "relay/listener.py",
    "relay/post_store.py",  # settings of its connections
    "relay/embedded_postgres.py",  # makes role and database
    "bench/*",  # fills tables and counts rows, never in a relay
)
SQL = re.compile(
    r"\s*(?:SELECT|INSERT\s+INTO|UPDATE\s+\w+|DELETE\s+FROM|WITH\s+\w+\s+AS|(?:CREATE|ALTER|DROP)\s+\w+\s|TRUNCATE|LISTEN|NOTIFY"
    r"|BEGIN|COMMIT|ROLLBACK|SET\s+\w+\s*(?:=|TO))\b"
)

MOST_LINES = 500
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def imports(path: str, source: str) -> Iterator[str]:
    """Every module that the source imports, wherever in it. `from a import b` counts as a.b too, since b may be a module."""
    package = path.removesuffix(".py").replace("/", ".").split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def broken(path: str, source: str) -> list[str]:
    """What the source at `path` does that it may not."""
    found = set(imports(path, source))
    complaints = []
    for rule in RULES:
        match rule:
            case Only(files, allowed, among) if fnmatch(path, files):
                bad = {
                    module
                    for module in found
                    if (within(module, among) if among else module.split(".")[0] not in sys.stdlib_module_names)
                    # `from relay import x` is judged by relay.x
                    and not within(module, allowed)
                    and module not in {"relay"}
                }
            case Reserved(modules, allowed) if not any(fnmatch(path, files) for files in allowed):
                bad = {module for module in found if within(module, modules)}
            case _:
                continue
        complaints += [f"{path} imports {module}" for module in bad]
    if not any(fnmatch(path, files) for files in SQL_IS_IN):
        complaints += [f"{path}:{line} holds SQL" for line in sql_lines(source)]
    complaints += [f"{path}:{line} glues SQL from strings" for line in glued_sql_lines(source)]
    return sorted(complaints)


def sql_lines(source: str) -> Iterator[int]:
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            # A lone word is no statement: "DELETE" is an HTTP method too.
            case ast.Constant(value=str(text)) if (
                id(node) not in docstrings and SQL.match(text) and len(text.split()) > 1
            ):
                yield node.lineno


def glued_sql_lines(source: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(source)):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node.left] if isinstance(node, ast.BinOp) else []
        if (
            parts
            and isinstance(parts[0], ast.Constant)
            and isinstance(parts[0].value, str)
            and SQL.match(parts[0].value)
        ):
            yield node.lineno


def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text()
        for package in ("relay", "nursery_tasks", "bench")
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def tracked(*suffixes: str) -> list[Path]:
    """Files of the project: what git knows, or would if it were added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).exists()]


CODE = (".py", ".ts", ".mjs", ".sql", ".sh")


def test_the_rules_are_kept() -> None:
    assert [complaint for path, source in sources().items() for complaint in broken(path, source)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("relay/frames.py", "import trio"),
        ("relay/frames.py", "from relay import errors"),
        ("relay/errors.py", "from relay.records import Posting"),
        ("relay/records.py", "from relay.frames import Body"),
        ("nursery_tasks/lane.py", "import quart"),
        ("nursery_tasks/lane.py", "from relay.mailbox import PostgresMailbox"),
        ("nursery_tasks/lane.py", "from relay import mailbox"),
        ("nursery_tasks/lane.py", "def late():\n    import hypercorn.config"),
        ("relay/mailbox.py", "from nursery_tasks.ports import Mailbox"),
        ("relay/switchboard.py", "from nursery_tasks import ports"),
        ("relay/mailbox.py", "import triopg"),
        ("relay/listener.py", "from asyncpg.exceptions import PostgresError"),
        ("relay/edge.py", "from relay.config import Settings"),
        ("relay/edge_protocol.py", "from . import frames"),
        ("relay/app.py", "from hypercorn.config import Config"),
        ("relay/direct_websocket.py", "import hypercorn.trio.run"),
        ("relay/accounts.py", "from quart import request"),
        ("relay/services.py", "from relay.app import app"),
        ("relay/runtime.py", "from relay.app_salt import load_app_salt"),
        ("relay/cli.py", "from relay.config import Settings"),
        ("relay/accounts.py", "from relay.commands.shared import run"),
        ("relay/commands/invite.py", "from relay.routes.http import Call"),
        ("relay/mailbox.py", "from tests.fakes import FakeMailbox"),
        ("relay/mailbox.py", "from bench.processes import tree"),
        ("bench/generator.py", "from relay.mailbox import PostgresMailbox"),
        ("bench/generator.py", "from nursery_tasks.lane import Lane"),
        ("bench/generator.py", "from tests.live.app import App"),
        ("relay/mailbox.py", "PUT = '''\nSELECT body FROM envelopes'''"),
        ("relay/routes/account.py", "x = 'DELETE FROM accounts'"),
        ("relay/queries/mailbox.py", "x = f'SELECT {column} FROM accounts'"),
        ("relay/queries/mailbox.py", "x = 'SELECT body FROM ' + table"),
    ],
)
def test_a_breach_is_found(path: str, source: str) -> None:
    assert len(broken(path, source)) >= 1
    assert broken(path, "import math") == []


def test_what_only_looks_like_sql_is_let_through() -> None:
    assert broken("relay/routes/account.py", '"""SELECT is a word."""\nx = "DELETE"\ny = "SET up the relay"') == []


def over(limit: int, files: Mapping[str, str]) -> list[str]:
    return [name for name, text in files.items() if text.count("\n") > limit]


def texts(*suffixes: str) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in tracked(*suffixes)}


def test_no_file_is_longer_than_a_sitting() -> None:
    assert over(MOST_LINES, texts(*CODE)) == []
    assert over(2, {"a.py": "1\n2\n3\n", "b.py": "1\n2\n"}) == ["a.py"]


def unfinished(files: Mapping[str, str]) -> list[str]:
    return [name for name, text in files.items() if UNFINISHED.search(text)]


def test_nothing_is_left_for_later() -> None:
    assert unfinished(texts(*CODE, ".md")) == []
    assert unfinished({"a.py": "# TO" + "DO: later", "b.py": "todo"}) == ["a.py"]


def test_the_codemap_names_every_folder() -> None:
    """ARCHITECTURE.md gives each folder its line; a folder whose purpose cannot be said in one does not belong."""
    folders = {str(path.relative_to(ROOT).parent) for path in tracked("")} - {"."}
    codemap = (ROOT / "ARCHITECTURE.md").read_text()
    assert [folder for folder in sorted(folders) if f"`{folder}/`" not in codemap] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path, source in sources().items() if not ast.get_docstring(ast.parse(source))]
    assert silent == []
