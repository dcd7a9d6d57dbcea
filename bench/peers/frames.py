"""The wire protocol as the FastAPI peers read it: plain `json`, then checks by hand. The bounds are those of docs/protocol.md."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Any, NamedTuple
from uuid import UUID

BODY_BYTES = frozenset((1024, 4096, 16384, 65536))
MOST_POSTS, MOST_IDS, MOST_DELIVERED = 32, 256, 64
MAX_INBOUND_BYTES = 98304
PING_EVERY_S, ANSWER_WITHIN_S = 25.0, 10.0
HELLO = {"type": "hello", "protocol": 1, "ping_every_s": PING_EVERY_S, "answer_within_s": ANSWER_WITHIN_S}


class BadFrame(Exception):
    """The session ends with 4400."""


class Post(NamedTuple):
    id: UUID
    to: UUID
    access_hash: bytes
    body: bytes


class Envelope(NamedTuple):
    id: UUID
    at: int
    body: bytes


def read_post_frame(text: str) -> list[Post] | int:
    """The posts of a frame; the number of a ping; -1 for a pong."""
    frame = _object(text)
    kind = frame.get("type")
    if kind != "post":
        return _heartbeat(frame)
    if len(frame) != 2:
        raise BadFrame
    envelopes = frame.get("envelopes")
    if not isinstance(envelopes, list) or not 1 <= len(envelopes) <= MOST_POSTS:
        raise BadFrame
    now = time.time()
    posts = [_post(envelope, now) for envelope in envelopes]
    if len({post.id for post in posts}) != len(posts):
        raise BadFrame
    return posts


def read_mailbox_frame(text: str) -> list[UUID] | int:
    """The acknowledged ids of a frame; the number of a ping; -1 for a pong."""
    frame = _object(text)
    if frame.get("type") != "ack":
        return _heartbeat(frame)
    ids = frame.get("ids")
    if len(frame) != 2 or not isinstance(ids, list) or not 1 <= len(ids) <= MOST_IDS:
        raise BadFrame
    return [_uuid(one) for one in ids]


def deliver(envelopes: list[Envelope]) -> str:
    told = [{"id": str(e.id), "at": e.at, "body": urlsafe_b64encode(e.body).rstrip(b"=").decode()} for e in envelopes]
    return json.dumps({"type": "deliver", "envelopes": told}, separators=(",", ":"))


def posted(ids: list[UUID]) -> str:
    return json.dumps({"type": "posted", "ids": [str(id_) for id_ in ids]}, separators=(",", ":"))


def refused(id_: UUID, code: str) -> str:
    return json.dumps({"type": "refused", "id": str(id_), "code": code, "retry_after_s": 60, "now": int(time.time())})


def from_b64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise BadFrame
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        raise BadFrame from None


def _object(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except ValueError:
        raise BadFrame from None
    if not isinstance(frame, dict):
        raise BadFrame
    return frame


def _heartbeat(frame: dict[str, Any]) -> int:
    number = frame.get("n")
    if len(frame) != 2 or not isinstance(number, int) or number < 0:
        raise BadFrame
    match frame["type"]:
        case "ping":
            return number
        case "pong":
            return -1
    raise BadFrame


def _uuid(text: Any) -> UUID:
    if not isinstance(text, str) or len(text) != 36:
        raise BadFrame
    try:
        return UUID(text)
    except ValueError:
        raise BadFrame from None


def _post(envelope: Any, now: float) -> Post:
    if not isinstance(envelope, dict) or envelope.keys() != {"id", "to", "access", "body"}:
        raise BadFrame
    id_, access, body = _uuid(envelope["id"]), from_b64(envelope["access"]), from_b64(envelope["body"])
    if id_.version != 7 or len(access) != 16 or len(body) not in BODY_BYTES:
        raise BadFrame
    if not now - 48 * 3600 <= (id_.int >> 80) / 1000 <= now + 3600:
        raise BadFrame
    return Post(id_, _uuid(envelope["to"]), hashlib.sha256(access).digest(), body)
