"""docs/protocol.md against the code: every example, table and number on the page is what the relay does."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from quart_trio import QuartTrio

from relay import errors, frames
from relay.config import Settings
from relay.discovery import ELEMENTS_MAX, LOOKUP_TOKENS
from relay.errors import Ending, Refusal, RelayError
from relay.frames import Frame, to_b64
from relay.invites import EVALUATIONS_A_USE
from relay.routes import openapi
from relay.routes.account import AccountHeld, Recovering, Registered, Registering
from relay.routes.anonymous import BundleOut, RelayInfo
from relay.routes.discovery import Evaluated, Evaluating, Found, LookingUp
from relay.routes.http import Lane
from relay.routes.keys import KeysHeld
from relay.routes.push import Subscribing
from relay.routes.sockets import socket_routes
from relay.routes.table import CALLS, http_blueprints
from relay.routes.turn import TurnCredentialsOut

PAGE = (Path(__file__).parent.parent / "docs/protocol.md").read_text()
DEFAULTS = Settings()
SOCKETS = {("GET", "/v1/mailbox"), ("GET", "/v1/post")}


# -- reading the page --------------------------------------------------------------------------------------------------


def section(heading: str) -> str:
    """What stands under the heading that begins with these words, down to the next heading of any level."""
    parts = re.split(r"^(#+ .*)$", PAGE, flags=re.MULTILINE)
    found = [
        text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title.lstrip("# ").startswith(heading)
    ]
    assert len(found) == 1, f"{len(found)} sections begin with {heading!r}"
    return found[0]


def blocks(heading: str) -> list[str]:
    return re.findall(r"^```json\n(.*?)^```$", section(heading), flags=re.MULTILINE | re.DOTALL)


def table(heading: str, first_column: str) -> list[list[str]]:
    """The rows of the table whose first column has this title, cells stripped."""
    for lines in re.findall(r"(?:^\|.*\n)+", section(heading), flags=re.MULTILINE):
        titles, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
        if titles[0] == first_column:
            return rows
    raise AssertionError(f"no table under {heading!r} begins with {first_column!r}")


def codes(cell: str) -> set[str]:
    """The words in backquotes."""
    return set(re.findall(r"`(\w+)`", cell))


def fill(value: Any) -> Any:
    """The example with real values where it says what stands there."""
    if isinstance(value, dict):
        return {key: fill(one) for key, one in value.items()}
    if isinstance(value, list):
        if len(value) == 1 and (times := re.match(r"b64\(32\), (\d+) times", str(value[0]))):
            return [to_b64(n.to_bytes(32, "big")) for n in range(int(times[1]))]
        return [fill(one) for one in value]
    if value == "<uuid>":
        return "8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01"
    if isinstance(value, str) and (size := re.match(r"b64\((\d+)\)", value)):
        kind = {33: b"\x05", 1569: b"\x08"}.get(int(size[1]), b"\x00")  # keys name their kind in the first byte
        return to_b64(kind + bytes(int(size[1]) - 1))
    return value


def assert_same_fields(example: Any, model: BaseModel) -> None:
    """The example has every field of the model, and those of the models in it, and no other."""
    assert set(example) == set(type(model).model_fields)
    for name, value in example.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            assert_same_fields(value, inner)
        elif isinstance(inner, list):
            for one, of_model in zip(value, inner, strict=True):
                if isinstance(of_model, BaseModel):
                    assert_same_fields(one, of_model)


# -- sockets -----------------------------------------------------------------------------------------------------------

SESSIONS = [
    ("Mailbox session (`/v1/mailbox`), relay to app", frames.ToMailboxApp),
    ("Mailbox session, app to relay", frames.FromMailboxApp),
    ("Post session (`/v1/post`), app to relay", frames.FromPostApp),
    ("Post session, relay to app", frames.ToPostApp),
]


@pytest.mark.parametrize(("heading", "union"), SESSIONS, ids=[heading for heading, _ in SESSIONS])
def test_each_frame_of_a_direction_has_an_example_that_parses(heading: str, union: UnionType) -> None:
    adapter: TypeAdapter[Frame] = TypeAdapter(Annotated[union, Field(discriminator="type")])
    (block,) = blocks(heading)
    shown = []
    for line in block.splitlines():
        example = fill(json.loads(line))
        frame = adapter.validate_json(json.dumps(example))
        assert_same_fields(example, frame)
        assert json.loads(frame.encode()) == example
        shown.append(type(frame))
    assert sorted(shown, key=str) == sorted(get_args(union), key=str)


def test_what_apps_send_goes_through_the_relays_own_parsers() -> None:
    for heading, parse in (
        ("Mailbox session, app to relay", frames.parse_from_mailbox_app),
        ("Post session (`/v1/post`), app to relay", frames.parse_from_post_app),
    ):
        for line in blocks(heading)[0].splitlines():
            assert parse(json.dumps(fill(json.loads(line))))


def test_refusals() -> None:
    told = [codes(row[0]) for row in table("Post session, relay to app", "refusal")]
    assert [{refusal.value} for refusal in Refusal] == told


def test_close_codes() -> None:
    endings: dict[int, set[str]] = {1009: set()}  # said by the edge, below any session
    for ending in Ending:
        if ending.close_code is not None:
            endings.setdefault(ending.close_code, set()).add(ending.reason)
    assert {int(code): codes(what) for code, what, _ in table("Close codes", "code")} == endings


# -- HTTP --------------------------------------------------------------------------------------------------------------

LANES = ("HTTP, identified lane", "HTTP, anonymous lane")


def calls_of_page() -> dict[tuple[str, str], dict[str, str]]:
    found = {}
    for heading in LANES:
        titles = next(line for line in section(heading).splitlines() if line.startswith("| call"))
        names = [title.strip() for title in titles.strip("|").split("|")]
        for row in table(heading, "call"):
            method, path = re.match(r"`(\w+) (\S+)`", row[0]).groups()  # type: ignore[union-attr]
            found[method, path] = dict(zip(names, row, strict=True)) | {"lane": heading}
    return found


def test_the_page_lists_what_is_served() -> None:
    app = QuartTrio(__name__, static_folder=None)
    for blueprint in http_blueprints(lambda: None):  # type: ignore[arg-type, return-value]
        app.register_blueprint(blueprint)
    served = {("GET", path) for path in socket_routes(lambda: None, lambda: None)}  # type: ignore[arg-type, return-value]
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<uuid:(\w+)>", r"{\1}", rule.rule)
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        served |= {(method, path) for method in methods or {"GET"}}
    assert set(calls_of_page()) == served
    assert served - {(call.method, call.path) for call in CALLS} == SOCKETS


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_each_call_is_as_the_page_says(call: Any) -> None:
    row = calls_of_page()[call.method, call.path]
    lanes = {
        Lane.BEARER: "Bearer",
        Lane.INVITE: "Invite",
        Lane.BEARER_OR_INVITE: "Bearer or Invite",
        Lane.NO_LOGIN: "none",
        Lane.ANONYMOUS: None,
    }
    assert row.get("authorization") == lanes[call.lane]
    assert (row["lane"] == "HTTP, anonymous lane") is (call.lane is Lane.ANONYMOUS)
    assert int(row["answers"][:3]) == call.status
    told = row["errors of its own"]
    assert [(int(status), code) for status, code in re.findall(r"(\d{3}) `(\w+)`", told)] == [
        (error.status, error.code) for error in call.errors
    ]


def subclasses(base: type[RelayError]) -> set[type[RelayError]]:
    return {base}.union(*(subclasses(one) for one in base.__subclasses__()))


def test_error_codes() -> None:
    on_sockets = {errors.PeerGone, errors.SlowReader, errors.BadFrame}
    told = {int(status): codes(cell) for status, cell in table("Errors", "status")}
    raised: dict[int, set[str]] = {}
    for error in subclasses(RelayError) - on_sockets:
        raised.setdefault(error.status, set()).add(error.code)
    assert told == raised


def test_every_call_may_answer_what_the_page_says_of_all() -> None:
    told = re.search(r"Every call may also answer (.*?)\.", PAGE, re.DOTALL)
    assert told is not None
    common = set.intersection(*({error.code for error in call.all_errors} for call in CALLS))
    assert codes(told[1]) == common


BODIES: list[tuple[str, int, type[BaseModel]]] = [
    ("Registering", 0, Registering),
    ("Recovering", 0, Recovering),
    ("Keys", 0, KeysHeld),
    ("Account", 0, AccountHeld),
    ("TURN", 0, TurnCredentialsOut),
    ("Push", 0, Subscribing),
    ("Evaluating numbers", 0, Evaluating),
    ("Evaluating numbers", 1, Evaluated),
    ("HTTP, anonymous lane", 0, BundleOut),
    ("HTTP, anonymous lane", 1, RelayInfo),
    ("Looking numbers up", 0, LookingUp),
    ("Looking numbers up", 1, Found),
]


@pytest.mark.parametrize(("heading", "number", "model"), BODIES, ids=[model.__name__ for _, _, model in BODIES])
def test_bodies(heading: str, number: int, model: type[BaseModel]) -> None:
    example = fill(json.loads(blocks(heading)[number]))
    read = model.model_validate_json(json.dumps(example))
    assert_same_fields(example, read)
    assert json.loads(read.model_dump_json()) == example


def test_no_body_on_the_page_is_left_out() -> None:
    headings = {heading for heading, _, _ in BODIES} | {heading for heading, _ in SESSIONS}
    assert PAGE.count("```json\n") == sum(len(blocks(heading)) for heading in headings) == len(BODIES) + len(SESSIONS)


def test_the_answer_to_a_registration() -> None:
    (written,) = re.findall(r"The answer is 201 `(\{.*?\})`", PAGE)
    assert Registered.model_validate_json(json.dumps(fill(json.loads(written))))


def test_what_a_relay_tells_of_itself_are_the_defaults() -> None:
    told = json.loads(blocks("HTTP, anonymous lane")[1])
    assert told["version"] == version("sottovoce-relay")
    assert (told["name"], told["protocol"]) == (DEFAULTS.name, frames.PROTOCOL)
    limits = told["limits"]
    assert (limits.pop("body_bytes"), limits.pop("posts_per_frame")) == (
        list(frames.BODY_BYTES),
        frames.POST_MAX_ENVELOPES,
    )
    assert limits == {name: getattr(DEFAULTS, name) for name in limits}


def test_the_openapi_document_is_that_of_the_code() -> None:
    """`make openapi` writes it."""
    assert json.loads((Path(__file__).parent.parent / "docs/openapi.json").read_text()) == openapi.document()


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_sizes_and_limits() -> None:
    numbers: dict[str, tuple[float, ...]] = {
        "inbound message": (frames.MAX_INBOUND_BYTES,),
        "outbound message": (frames.MAX_OUTBOUND_BYTES,),
        "body sizes": frames.BODY_BYTES,
        "envelopes in a deliver frame": (frames.DELIVER_MAX_ENVELOPES,),
        "envelopes in a post frame": (frames.POST_MAX_ENVELOPES,),
        "ids in an ack frame": (frames.ACK_MAX_IDS,),
        "in flight, envelopes": (DEFAULTS.in_flight_envelopes,),
        "in flight, bytes": (DEFAULTS.in_flight_bytes,),
        "unanswered posts of a post session": (frames.UNANSWERED_MAX,),
        "unanswered bytes of a post session": (frames.UNANSWERED_MAX_BYTES,),
        "mailbox, envelopes": (DEFAULTS.mailbox_envelopes,),
        "mailbox, bytes": (DEFAULTS.mailbox_bytes,),
        "mailbox, envelopes under the number key": (DEFAULTS.mailbox_stranger_envelopes,),
        "envelope time to live": (DEFAULTS.envelope_ttl_s,),
        "signal time to live": (DEFAULTS.signal_ttl_s,),
        "one-time prekeys held, each kind": (frames.PREKEYS_MAX_EACH,),
        "one-time prekeys low, each kind": (frames.PREKEYS_LOW,),
        "blinded elements in an evaluation": (ELEMENTS_MAX,),
        "phone tokens in a look-up": (LOOKUP_TOKENS,),
        "evaluations of an account, at once": (DEFAULTS.evaluations_burst,),
        "evaluations of an account, a day": (DEFAULTS.evaluations_per_day,),
        "evaluations of an invite, each use": (EVALUATIONS_A_USE,),
        "registrations with an invite, at once": (DEFAULTS.registrations_burst,),
        "registrations with an invite, an hour": (DEFAULTS.registrations_per_hour,),
        "tries to recover an account, at once": (DEFAULTS.recoveries_burst,),
        "tries to recover an account, an hour": (DEFAULTS.recoveries_per_hour,),
        "ping every": (DEFAULTS.ping_every_s,),
        "answer within": (DEFAULTS.answer_within_s,),
        "first frame within": (DEFAULTS.first_frame_within_s,),
        "write deadline": (DEFAULTS.write_deadline_s,),
        "drain grace": (DEFAULTS.drain_grace_s,),
    }
    told = {name: tuple(map(float, re.findall(r"\d+", value))) for name, value in table("Sizes and limits", "name")}
    assert told == numbers
    assert DEFAULTS.signal_ttl_s == frames.SIGNAL_MAX_TTL_S
