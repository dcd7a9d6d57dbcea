"""What worker processes of one machine say to each other, as bytes (nursery_tasks/siblings.py says what it means).

A message is one record of a socket that keeps records apart, so it has no length of its own. It goes to the next process and no further, and
both are the same program, or the greeting says so: numbers are fixed in width, bodies are as they are. What has another shape is refused whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct, error
from typing import Final, TypeVar
from uuid import UUID

from relay.records import Ringing, Waiting

Item = TypeVar("Item", Waiting, Ringing)

VERSION: Final = 1

HELLO, NEWS, SEEN, MAIL, SIGNALS = range(1, 6)
"""Kinds: who speaks, and of which database; sessions that came and left; how many messages were dealt with; what was stored."""

MARK_BYTES: Final = 16
MOST_BYTES: Final = 128 * 1024
MOST_NEWS: Final = 1000
BUNDLE_BYTES: Final = 96 * 1024
BUNDLE_ITEMS: Final = 16
"""A message of what was stored holds as much, or one item that is larger. With its bodies it must fit into a socket's buffer; and whoever
takes it says all of it in one turn, so it is not long."""

_HELLO = Struct(f"!BB{MARK_BYTES}s")
_ONE_NEWS = Struct("!16sQ")  # account, epoch of its session, 0 when it has left
_SEEN = Struct("!BQ")
_HEAD = Struct("!BHH")  # kind, accounts that should look, items
_ITEM = Struct("!16s16sQI")  # account, id, when it arrived or expires, bytes of the body
_ID = 16


class BadMessage(ValueError):
    """It is none of these. Carries no content of it."""


def hello(mark: bytes) -> bytes:
    assert len(mark) == MARK_BYTES, "else it would come out as another one"
    return _HELLO.pack(HELLO, VERSION, mark)


def read_hello(message: memoryview) -> tuple[int, bytes]:
    """Version and mark. Raises BadMessage."""
    try:
        kind, version, mark = _HELLO.unpack(message)
    except error:
        raise BadMessage from None
    if kind != HELLO:
        raise BadMessage
    return version, mark


def news(sessions: Iterable[tuple[int, int]]) -> bytes:
    """Accounts as numbers, each with the epoch of its session or 0; MOST_NEWS at most."""
    return bytes([NEWS]) + b"".join([_ONE_NEWS.pack(account.to_bytes(_ID), epoch) for account, epoch in sessions])


def read_news(message: memoryview) -> list[tuple[int, int]]:
    """Raises BadMessage."""
    try:
        return [(int.from_bytes(account), epoch) for account, epoch in _ONE_NEWS.iter_unpack(message[1:])]
    except error:
        raise BadMessage from None


def seen(count: int) -> bytes:
    return _SEEN.pack(SEEN, count)


def read_seen(message: memoryview) -> int:
    """Raises BadMessage."""
    try:
        count: int = _SEEN.unpack(message)[1]
    except error:
        raise BadMessage from None
    return count


def bundle(kind: int, looks: Sequence[UUID], items: Sequence[tuple[UUID, Waiting | Ringing]]) -> list[bytes]:
    """What was stored, in parts to be written together: bodies are not copied."""
    heads = [_HEAD.pack(kind, len(looks), len(items)), *[account_id.bytes for account_id in looks]]
    heads += [
        _ITEM.pack(account_id.bytes, id_.bytes, time, len(body)) for account_id, (id_, time, body) in items
    ]  # fmt: skip
    return [b"".join(heads), *[item.body for _, item in items]]


def read_bundle(
    message: memoryview, make: Callable[[UUID, int, bytes], Item]
) -> tuple[list[UUID], dict[UUID, list[Item]]]:
    """Who should look, and what was stored for whom, in order. Raises BadMessage."""
    try:
        _, many_looks, many = _HEAD.unpack_from(message)
    except error:
        raise BadMessage from None
    first_item = _HEAD.size + many_looks * _ID
    at = first_item + many * _ITEM.size
    if at > len(message):
        raise BadMessage
    looks = [UUID(bytes=bytes(message[n : n + _ID])) for n in range(_HEAD.size, first_item, _ID)]
    found: dict[UUID, list[Item]] = {}
    for account, id_, time, size in _ITEM.iter_unpack(message[first_item:at]):
        found.setdefault(UUID(bytes=account), []).append(make(UUID(bytes=id_), time, bytes(message[at : at + size])))
        at += size
    if at != len(message):
        raise BadMessage
    return looks, found
