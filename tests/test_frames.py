"""The frames of the wire: what is read, what is refused, how it is written (docs/protocol.md, Sockets)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from relay.frames import (
    MAX_OUTBOUND_BYTES,
    Ack,
    Deliver,
    Drained,
    Envelope,
    Frame,
    Hello,
    MailboxWasFull,
    Malformed,
    Ping,
    Pong,
    Posted,
    PostFrame,
    PrekeysLow,
    Refused,
    SignalFrame,
    SignalOut,
    from_b64,
    id_time_is_acceptable,
    parse_from_mailbox_app,
    parse_from_post_app,
    to_b64,
    uuid7_seconds,
)  # fmt: skip

ID = "019535d9-3df7-7000-8000-000000000001"
ID_2 = "019535d9-3df7-7000-8000-000000000002"
TO = "8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01"
ACCESS = to_b64(bytes(range(16)))
BODY = to_b64(bytes(1024))
POST = {"id": ID, "to": TO, "access": ACCESS, "body": BODY}
SIGNAL = {"type": "signal", **POST, "ttl_s": 30}

Parse = Callable[[str], Any]
MAILBOX, POSTING = parse_from_mailbox_app, parse_from_post_app


def post(*envelopes: dict[str, Any]) -> dict[str, Any]:
    return {"type": "post", "envelopes": list(envelopes)}


def without(frame: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in frame.items() if name != field}


# -- round trips -----------------------------------------------------------------------------------------------------

INBOUND: list[tuple[Parse, dict[str, Any], type[Frame]]] = [
    (MAILBOX, {"type": "ack", "ids": [ID]}, Ack),
    (MAILBOX, {"type": "ack", "ids": [ID] * 256}, Ack),
    (MAILBOX, {"type": "ack", "ids": [TO]}, Ack),  # ids that are unknown have no effect, of whatever version
    (MAILBOX, {"type": "ping", "n": 0}, Ping),
    (MAILBOX, {"type": "pong", "n": 2**53}, Pong),
    (POSTING, {"type": "ping", "n": 3}, Ping),
    (POSTING, {"type": "pong", "n": 3}, Pong),
    (POSTING, post(POST), PostFrame),
    (POSTING, post(*({**POST, "id": f"019535d9-3df7-7000-8000-{n:012}"} for n in range(32))), PostFrame),
    (POSTING, post({**POST, "body": ""}), PostFrame),  # a wrong size refuses that envelope only
    (POSTING, post({**POST, "body": to_b64(bytes(1000))}), PostFrame),
    (POSTING, {**SIGNAL, "ttl_s": 1}, SignalFrame),
    (POSTING, {**SIGNAL, "ttl_s": 60}, SignalFrame),
]


@pytest.mark.parametrize(("parse", "frame", "kind"), INBOUND)
def test_what_an_app_says_is_read_and_written_alike(parse: Parse, frame: dict[str, Any], kind: type[Frame]) -> None:
    read = parse(json.dumps(frame))
    assert type(read) is kind
    assert json.loads(read.encode()) == frame


def test_bytes_and_ids_are_parsed() -> None:
    read = parse_from_post_app(json.dumps(post(POST)))
    assert isinstance(read, PostFrame)
    [envelope] = read.envelopes
    assert (envelope.id, envelope.to) == (UUID(ID), UUID(TO))
    assert (envelope.access, envelope.body) == (bytes(range(16)), bytes(1024))


U = UUID(ID)
OUTBOUND: list[tuple[Frame, dict[str, Any]]] = [
    (
        Hello(protocol=1, now=1789000000, ping_every_s=25.0, answer_within_s=10.0),
        {"type": "hello", "protocol": 1, "now": 1789000000, "ping_every_s": 25, "answer_within_s": 10},
    ),
    (
        Deliver(envelopes=[Envelope(id=U, at=1789000000, body=b"\xff\xfe\xfd\x00")]),
        {"type": "deliver", "envelopes": [{"id": ID, "at": 1789000000, "body": "__79AA"}]},
    ),
    (
        Deliver.model_construct(
            envelopes=[Envelope.model_construct(id=U, at=1, body=b"\xff")]
        ),  # as the drainer does it
        {"type": "deliver", "envelopes": [{"id": ID, "at": 1, "body": "_w"}]},
    ),
    (Drained(), {"type": "drained"}),
    (SignalOut.model_construct(id=U, body=b"a", ttl_s=27), {"type": "signal", "id": ID, "body": "YQ", "ttl_s": 27}),
    (PrekeysLow(prekeys=9, kyber_prekeys=12), {"type": "prekeys_low", "prekeys": 9, "kyber_prekeys": 12}),
    (MailboxWasFull(), {"type": "mailbox_was_full"}),
    (Posted.model_construct(ids=[U]), {"type": "posted", "ids": [ID]}),
    (
        Refused(id=U, code="mailbox_full", retry_after_s=60, now=1789000000),
        {"type": "refused", "id": ID, "code": "mailbox_full", "retry_after_s": 60, "now": 1789000000},
    ),
    (Ping(n=7), {"type": "ping", "n": 7}),
    (Pong(n=7), {"type": "pong", "n": 7}),
]


@pytest.mark.parametrize(("frame", "wire"), OUTBOUND, ids=lambda part: type(part).__name__)
def test_what_the_relay_says(frame: Frame, wire: dict[str, Any]) -> None:
    assert json.loads(frame.encode()) == wire
    assert type(frame).model_validate_json(json.dumps(wire)) == frame


def test_the_largest_deliver_frame_is_within_the_limit_of_a_message() -> None:
    """64 envelopes and 180000 bytes of bodies, which is where the drainer ends a page."""
    envelopes = [Envelope(id=U, at=2**33, body=bytes(1024)) for _ in range(63)]
    envelopes.append(Envelope(id=U, at=2**33, body=bytes(180_000 - 63 * 1024)))
    assert len(Deliver(envelopes=envelopes).encode()) <= MAX_OUTBOUND_BYTES


def test_frames_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Ping(n=1).n = 2


# -- refusals --------------------------------------------------------------------------------------------------------

NOT_JSON = ["", " ", "{", '{"type":"ping","n":1', "ping", "\x00", "\ud800", "[" * 90_000, "{" * 1000, "nul", "\ufeff{}"]
NOT_A_FRAME: list[Any] = [
    None, True, 1, 1.5, "ping", [], [{"type": "ping", "n": 1}], {}, {"n": 1}, {"type": None}, {"type": 1}, {"type": ""},
    {"type": "unknown"}, {"type": "Ping", "n": 1}, {"type": ["ping"], "n": 1}, {"type": {"ping": 1}, "n": 1},
    {"Type": "ping", "n": 1},
]  # fmt: skip
NUMBERS: list[Any] = ["1", "", 1.0, 1.5, -1, True, False, None, [], [1], {}, 1e300, "0x1"]
BAD_IDS: list[Any] = [
    None, 1, "", "x", ID[:-1], ID + "0", [ID], {"id": ID}, TO,  # TO is a version 4
    "019535d9-3df7-6000-8000-000000000001", "019535d9-3df7-8000-8000-000000000001",  # other versions
    "019535d9-3df7-7000-0000-000000000001", "019535d9-3df7-7000-c000-000000000001",  # other variants
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
]  # fmt: skip
BAD_B64: list[Any] = [
    None,
    1,
    [],
    "*",
    "a",
    "ab=c",
    "=",
    "YQ===",
    "YQ=",
    "YR",
    "YQ\n",
    " YQ",
    "Y+==",
    "Y/==",
    "ÿÿ",
    "YWJ=",
]
MAILBOX_ONLY: list[Any] = [
    {"type": "ack"}, {"type": "ack", "ids": []}, {"type": "ack", "ids": [ID] * 257}, {"type": "ack", "ids": ID},
    {"type": "ack", "ids": {ID: 1}}, {"type": "ack", "ids": [None]}, {"type": "ack", "ids": [1]},
    {"type": "ack", "ids": ["x"]}, {"type": "ack", "ids": [ID], "epoch": 1}, post(POST), SIGNAL,
]  # fmt: skip
POST_ONLY: list[Any] = [
    {"type": "ack", "ids": [ID]}, {"type": "post"}, post(), {"type": "post", "envelopes": POST},
    {"type": "post", "envelopes": [None]}, post(POST, POST), post(POST, {**POST, "to": ID_2}), {**post(POST), "from": TO},
    post(*({**POST, "id": f"019535d9-3df7-7000-8000-{n:012}"} for n in range(33))),
    *(post(without(POST, field)) for field in POST), *(without(SIGNAL, field) for field in SIGNAL),
    post({**POST, "ttl_s": 5}), post({**POST, "from": TO}), {**SIGNAL, "from": TO},
    *(post({**POST, "id": bad}) for bad in BAD_IDS), *({**SIGNAL, "id": bad} for bad in BAD_IDS),
    *(post({**POST, "to": bad}) for bad in (None, 1, "", "x", [TO])),
    *(post({**POST, "body": bad}) for bad in BAD_B64), *({**SIGNAL, "body": bad} for bad in BAD_B64),
    *(post({**POST, "access": bad}) for bad in (*BAD_B64, "", to_b64(bytes(15)), to_b64(bytes(17)))),
    *({**SIGNAL, "ttl_s": bad} for bad in (*NUMBERS, 0, 61, 2**64)),
]  # fmt: skip
FROM_THE_RELAY: list[Any] = [wire for frame, wire in OUTBOUND if not isinstance(frame, Ping | Pong)]
BEATS = [{"type": word, "n": bad} for word in ("ping", "pong") for bad in NUMBERS]
BEATS += [{"type": "ping"}, {"type": "ping", "n": 1, "at": 2}]


@pytest.mark.parametrize("parse", [MAILBOX, POSTING])
@pytest.mark.parametrize("bad", NOT_JSON + NOT_A_FRAME + BEATS + FROM_THE_RELAY, ids=lambda bad: repr(bad)[:40])
def test_what_is_no_frame_of_either_session(parse: Parse, bad: Any) -> None:
    with pytest.raises(Malformed):
        parse(bad if bad in NOT_JSON else json.dumps(bad))


@pytest.mark.parametrize(
    ("parse", "bad"),
    [(MAILBOX, bad) for bad in MAILBOX_ONLY] + [(POSTING, bad) for bad in POST_ONLY],
    ids=lambda part: repr(part)[:60] if isinstance(part, dict) else "",
)
def test_what_is_no_frame_of_this_session(parse: Parse, bad: Any) -> None:
    with pytest.raises(Malformed) as caught:
        parse(json.dumps(bad))
    assert caught.value.__cause__ is None
    assert str(caught.value).startswith("not a frame of a ")  # and nothing of what was said


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "01", "+1", "1e2", "9" * 5000])
def test_numbers_that_are_none(word: str) -> None:
    with pytest.raises(Malformed):
        parse_from_mailbox_app(f'{{"type":"ping","n":{word}}}')


def test_a_number_that_is_read_can_be_answered() -> None:
    """However large: Python refuses to write what has more than 4300 digits."""
    for digits in (20, 400, 4299, 4300, 4301):
        try:
            ping = parse_from_mailbox_app(f'{{"type":"ping","n":{"9" * digits}}}')
        except Malformed:
            continue
        assert isinstance(ping, Ping)
        assert len(Pong(n=ping.n).encode()) > digits


# -- fuzz ------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([ID, TO, BODY, ACCESS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(["type", "n", "ids", "envelopes", "id", "to", "access", "body", "ttl_s", "x"])
near_frames = st.builds(
    lambda base, changes, gone: {k: v for k, v in {**base, **changes}.items() if k not in gone},
    st.sampled_from([frame for _, frame, _ in INBOUND] + [post({**POST, "id": ID_2})]),
    st.dictionaries(fields, json_values, max_size=2),
    st.sets(fields, max_size=1),
)
fuzz = settings(max_examples=400, derandomize=True, deadline=None, database=None)


def reads_or_refuses(text: str) -> None:
    for parse in (MAILBOX, POSTING):
        try:
            frame = parse(text)
        except Malformed:
            continue
        assert parse(frame.encode()) == frame


@fuzz
@given(st.text() | st.text("{}[]:,\"'\\ \n0123456789.eE+-abcdefinprstuy\x00\ud800"))
@example("\udfff" * 3)
def test_any_text_is_a_frame_or_malformed(text: str) -> None:
    reads_or_refuses(text)


@fuzz
@given(json_values | near_frames)
def test_any_json_is_a_frame_or_malformed(value: Any) -> None:
    reads_or_refuses(json.dumps(value))


@fuzz
@given(st.sampled_from([json.dumps(frame) for _, frame, _ in INBOUND]), st.integers(0, 200), st.text(max_size=3))
def test_a_frame_with_a_scratch_is_a_frame_or_malformed(text: str, at: int, scratch: str) -> None:
    at %= len(text) + 1
    reads_or_refuses(text[:at] + scratch + text[at + 1 :])


# -- base64url -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100))
def test_bytes_come_back(data: bytes) -> None:
    text = to_b64(data)
    assert "=" not in text
    assert from_b64(text) == data
    assert from_b64(base64.urlsafe_b64encode(data).decode()) == data  # read with padding too


@fuzz
@given(st.text("ABCwxyz0189-_+/= \n\u00e9", max_size=8))
def test_one_byte_string_has_one_spelling(text: str) -> None:
    try:
        data = from_b64(text)
    except Malformed:
        return
    assert text in (to_b64(data), base64.urlsafe_b64encode(data).decode())


@fuzz
@given(st.text("ABCwxyz0189-_+/= \n\u00e9", max_size=8), st.sampled_from(["access", "body"]), st.booleans())
@example("+/8=", "body", True)
@example("YQ=", "body", True)
def test_a_frame_reads_a_spelling_or_refuses_it_like_from_b64(text: str, field: str, escaped: bool) -> None:
    """Frames leave base64 to pydantic's parser, which is laxer; each letter may also be written as an escape of JSON."""
    text = text if field == "body" else ACCESS[:-8] + text
    spelled = "".join(f"\\u{ord(letter):04x}" for letter in text) if escaped else json.dumps(text)[1:-1]
    for frame in (post({**POST, "id": ID_2}, {**POST, field: "HERE"}), {**SIGNAL, field: "HERE"}):
        whole = json.dumps(frame).replace("HERE", spelled)
        try:
            wanted = from_b64(text)
            if field == "access" and len(wanted) != 16:
                raise Malformed
        except Malformed:
            with pytest.raises(Malformed):
                parse_from_post_app(whole)
        else:
            read = parse_from_post_app(whole)
            assert getattr(read.envelopes[-1] if isinstance(read, PostFrame) else read, field) == wanted


@pytest.mark.parametrize(
    "text", ["Y", "YQ=", "YQ===", "=YQ", "Y=Q", "YR", "YWJj=", "YWJjZ", "YWJ=", "Y Q", "YQ\n", "YQ+/"]
)
def test_spellings_that_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        from_b64(text)


# -- UUIDv7 ----------------------------------------------------------------------------------------------------------


def id_at(seconds: int, ms: int = 0) -> UUID:
    return UUID(int=((seconds * 1000 + ms) << 80) | (7 << 76) | (2 << 62))


def test_the_time_in_an_id() -> None:
    assert uuid7_seconds(UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == 1645557742  # RFC 9562, appendix A.6
    assert uuid7_seconds(id_at(1789000000, 999)) == 1789000000


@pytest.mark.parametrize(
    ("off", "ms", "accepted"),
    [
        (0, 0, True),
        (-48 * 3600, 0, True),
        (-48 * 3600 - 1, 999, False),
        (3600, 0, True),
        (3600, 999, True),  # whole seconds
        (3601, 0, False),
        (-(10**9), 0, False),
        (10**9, 0, False),
    ],
)
def test_ids_of_48_hours_before_and_1_hour_after(off: int, ms: int, accepted: bool) -> None:
    now = 1789000000
    assert id_time_is_acceptable(id_at(now + off, ms), now) is accepted
