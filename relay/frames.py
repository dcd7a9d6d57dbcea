"""The wire's frames, without any I/O: what may be said on a socket, its bounds, and how it is read and written.

Specified in docs/protocol.md, section Sockets. A frame is one JSON text message; each direction of each session is a closed union
of frozen models, so `match` over it is complete. Parsing happens once, at the edge, and yields bytes (not base64) and UUIDs.
This module imports nothing of ours.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.types import UuidVersion
from pydantic_core import core_schema, from_json, to_json

JsonDict = dict[str, Any]

PROTOCOL: Final = 1

# -- bounds that apps depend on; settings of one relay stand in relay/config.py --

MAX_INBOUND_BYTES: Final = 96 * 1024
MAX_OUTBOUND_BYTES: Final = 256 * 1024
BODY_BYTES: Final = (1024, 4096, 16384, 65536)
DELIVER_MAX_ENVELOPES: Final = 64
POST_MAX_ENVELOPES: Final = 32
ACK_MAX_IDS: Final = 256
UNANSWERED_MAX: Final = 256
UNANSWERED_MAX_BYTES: Final = 2 * 1024 * 1024
SIGNAL_MAX_TTL_S: Final = 60
PREKEYS_MAX_EACH: Final = 200
PREKEYS_LOW: Final = 20
ID_MAX_AGE_S: Final = 48 * 3600
ID_MAX_AHEAD_S: Final = 3600


class Malformed(ValueError):
    """The message is not a frame of its direction. Carries no content of it."""


# -- scalars ---------------------------------------------------------------------------------------------------------


def to_b64(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ANY: Final = "[A-Za-z0-9_-]"
_TO_PLAIN: Final = bytes.maketrans(
    b"-_+/", b"+/!!"
)  # to the alphabet of RFC 4648 section 4, whose own two letters are none of ours


def from_b64(text: str) -> bytes:
    """Reads base64url, with or without padding.

    Raises:
        Malformed: characters outside the alphabet, wrong padding, or bits left over that are not zero.
    """
    bare = text.rstrip("=")
    missing = -len(bare) % 4
    if len(text) not in (len(bare), len(bare) + missing) or not bare.isascii():
        raise Malformed("not base64url")
    try:
        data = binascii.a2b_base64(bare.encode().translate(_TO_PLAIN) + b"=" * missing, strict_mode=True)
    except binascii.Error:
        raise Malformed("not base64url") from None
    # One byte string, one spelling: else two spellings of one body would look like two bodies to whoever compares text.
    if missing and to_b64(data[len(data) - len(data) % 3 :])[-1:] != bare[-1]:
        raise Malformed("not base64url")
    return data


@dataclass(frozen=True)
class B64:
    """Marks a bytes field that is base64url on the wire: `Annotated[bytes, B64(32)]` takes exactly 32 bytes, `B64()` any number.

    With `first`, that is the first byte: public keys name their kind in it.
    """

    size: int | None = None
    first: int | None = None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(to_b64, when_used="json"),
        )

    def __get_pydantic_json_schema__(self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler) -> JsonDict:
        return self.json_schema()

    def json_schema(self) -> JsonDict:
        """JSON Schema of the text."""
        schema: JsonDict = {"type": "string", "contentEncoding": "base64url", "pattern": f"^{_ANY}*={{0,2}}$"}
        if self.size is not None:
            length = -(-self.size * 4 // 3)
            schema |= {"minLength": length, "maxLength": length + (-length % 4), "pattern": self._pattern(length)}
        return schema

    def _pattern(self, length: int) -> str:
        """Of a known size: the first byte, if it is given, and no bits left over that are not zero."""
        head, tail = "", ""
        if self.first is not None:
            start = (self.first & 3) << 4
            head = f"{_ALPHABET[self.first >> 2]}[{_ALPHABET[start : start + 16]}]"
        if spare := -length % 4:
            tail = f"[{_ALPHABET[:: 4**spare]}]({'=' * spare})?"
        middle = length - (2 if head else 0) - (1 if tail else 0)
        return f"^{head}{_ANY}{{{middle}}}{tail}$"

    def _read(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            data = value
        elif isinstance(value, str):
            data = from_b64(value)
        else:
            raise Malformed("not base64url")
        if self.size is not None and len(data) != self.size:
            raise Malformed(f"not {self.size} bytes")
        if self.first is not None and data[:1] != bytes([self.first]):
            raise Malformed("not of this kind")
        return data


class _FrameB64(B64):
    """The same within a frame, read by pydantic's parser on its way through the JSON: a tenth of the time. It is laxer, so whatever
    it could be lax about has been looked for in the whole text before (`_spelled_plainly`).
    """

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.bytes_schema(
            min_length=self.size,
            max_length=self.size,
            serialization=core_schema.plain_serializer_function_ser_schema(to_b64, when_used="json"),
        )


Uuid7 = Annotated[UUID, UuidVersion(7)]  # RFC 9562 section 5.7; the variant is checked with the version
Bytes16 = Annotated[bytes, _FrameB64(16)]
Body = Annotated[bytes, _FrameB64()]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=0)]


def uuid7_seconds(value: UUID) -> int:
    """The time in a UUIDv7, in whole seconds since 1970 (RFC 9562 section 5.7)."""
    return (value.int >> 80) // 1000


def id_time_is_acceptable(value: UUID, now: int) -> bool:
    """Whether an envelope id's time lies within -48 h/+1 h of the relay's clock (docs/protocol.md, Sockets)."""
    return now - ID_MAX_AGE_S <= uuid7_seconds(value) <= now + ID_MAX_AHEAD_S


# -- frames ----------------------------------------------------------------------------------------------------------


class Frame(BaseModel):
    """Base of all frames: frozen, unknown fields refused, numbers not taken from strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, val_json_bytes="base64")

    def encode(self) -> str:
        """The frame as the text of one WebSocket message."""
        return self.model_dump_json()


# Strict mode would refuse the string form of a UUID in Python input, but takes it in JSON, which is all that we parse.


class Ping(Frame):
    type: Literal["ping"] = "ping"
    n: Count


class Pong(Frame):
    type: Literal["pong"] = "pong"
    n: Count


class Hello(Frame):
    """First frame of every session."""

    type: Literal["hello"] = "hello"
    protocol: int
    now: Seconds
    ping_every_s: float
    answer_within_s: float


class Envelope(Frame):
    """One sealed envelope on its way to the recipient."""

    id: UUID
    at: Seconds
    body: Body


class Deliver(Frame):
    type: Literal["deliver"] = "deliver"
    envelopes: Annotated[list[Envelope], Field(min_length=1, max_length=DELIVER_MAX_ENVELOPES)]

    def encode(self) -> str:
        return Delivery(self.envelopes).encode()


class Drained(Frame):
    """Everything that waited at connect has been delivered."""

    type: Literal["drained"] = "drained"


class SignalOut(Frame):
    """A signal on its way to the recipient; `ttl_s` is what is left of its life."""

    type: Literal["signal"] = "signal"
    id: UUID
    body: Body
    ttl_s: Seconds


class PrekeysLow(Frame):
    type: Literal["prekeys_low"] = "prekeys_low"
    prekeys: Count
    kyber_prekeys: Count


class MailboxWasFull(Frame):
    type: Literal["mailbox_was_full"] = "mailbox_was_full"


class Ack(Frame):
    """The app has stored what these envelopes or signals brought."""

    type: Literal["ack"] = "ack"
    ids: Annotated[list[UUID], Field(min_length=1, max_length=ACK_MAX_IDS)]


class Post(Frame):
    """One envelope as its sender hands it in. The body's size is judged one by one, so that a wrong one refuses only itself."""

    id: Uuid7
    to: UUID
    access: Bytes16
    body: Body


def _ids_differ(envelopes: list[Post]) -> list[Post]:
    if len(envelopes) > 1 and len({post.id for post in envelopes}) != len(envelopes):
        raise ValueError("an id occurs twice")
    return envelopes


class PostFrame(Frame):
    type: Literal["post"] = "post"
    envelopes: Annotated[list[Post], Field(min_length=1, max_length=POST_MAX_ENVELOPES), AfterValidator(_ids_differ)]


class SignalFrame(Frame):
    type: Literal["signal"] = "signal"
    id: Uuid7
    to: UUID
    access: Bytes16
    body: Body
    ttl_s: Annotated[int, Field(ge=1, le=SIGNAL_MAX_TTL_S)]


class Posted(Frame):
    """These are committed (envelopes) or accepted (signals)."""

    type: Literal["posted"] = "posted"
    ids: list[UUID]


class Refused(Frame):
    """This one was not taken; `code` is one of relay.errors.Refusal."""

    type: Literal["refused"] = "refused"
    id: UUID
    code: str
    retry_after_s: Seconds
    now: Seconds


class Sayable(Protocol):
    """What an outbox holds: a frame, or one of the two below."""

    def encode(self) -> str:
        """The text of one WebSocket message."""


class _Enveloped(Protocol):
    """Of records and of models alike."""

    @property
    def id(self) -> UUID: ...
    @property
    def at(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Delivery:
    """A `Deliver` of envelopes that were checked when they were posted. Making a model, even an unchecked one, takes as long as its text,
    and most of what the relay says is this."""

    __slots__ = ("_envelopes",)

    def __init__(self, envelopes: Sequence[_Enveloped]) -> None:
        self._envelopes = envelopes

    def encode(self) -> str:
        """In one call of pydantic's writer. It pads base64, and no "=" stands anywhere else."""
        envelopes = [{"id": e.id, "at": e.at, "body": e.body} for e in self._envelopes]
        text = to_json({"type": "deliver", "envelopes": envelopes}, bytes_mode="base64")
        return text.replace(b"=", b"").decode()


class Taken:
    """A `Posted` of ids that were checked."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Sequence[UUID]) -> None:
        self._ids = ids

    def encode(self) -> str:
        return to_json({"type": "posted", "ids": self._ids}).decode()


FromMailboxApp = Ack | Pong | Ping
ToMailboxApp = Hello | Deliver | Drained | SignalOut | PrekeysLow | MailboxWasFull | Ping | Pong
FromPostApp = PostFrame | SignalFrame | Pong | Ping
ToPostApp = Hello | Posted | Refused | Ping | Pong

_from_mailbox_app: TypeAdapter[FromMailboxApp] = TypeAdapter(Annotated[FromMailboxApp, Field(discriminator="type")])
_from_post_app: TypeAdapter[FromPostApp] = TypeAdapter(Annotated[FromPostApp, Field(discriminator="type")])


def parse_from_mailbox_app(text: str) -> FromMailboxApp:
    """Reads what an app says on a mailbox session.

    Raises:
        Malformed: it is none of the frames of that direction.
    """
    try:
        frame: FromMailboxApp = _from_mailbox_app.validator.validate_json(text)  # as the adapter's own, less two calls
        return frame
    except (ValidationError, ValueError):  # ValueError: lone surrogates and the like, before validation
        raise Malformed("not a frame of a mailbox session") from None


def parse_from_post_app(text: str) -> FromPostApp:
    """Reads what an app says on a post session.

    Raises:
        Malformed: it is none of the frames of that direction.
    """
    try:
        frame: FromPostApp = _from_post_app.validator.validate_json(text)
        if not _spelled_plainly(text):
            _spell(text)
        return frame
    except (ValidationError, ValueError):
        raise Malformed("not a frame of a post session") from None


def _spelled_plainly(text: str) -> bool:
    """Whether base64 in this JSON has but one reading: no padding, no letter of the other alphabet, none of them written as an escape."""
    return not ("=" in text or "+" in text or "/" in text or "\\" in text)


def _spell(text: str) -> None:
    """Reads the base64 of a frame that is valid else, letter by letter.

    Raises:
        Malformed
    """
    frame = from_json(text)
    for post in frame.get("envelopes", (frame,)):
        from_b64(post.get("access", ""))
        from_b64(post.get("body", ""))
