"""What siblings say to each other: it comes out as it went in, and what has another shape is refused."""

from __future__ import annotations

from uuid import uuid4

import pytest

from nursery_tasks import sibling_messages as messages
from nursery_tasks.sibling_messages import BadMessage
from relay.records import Ringing, Waiting

ADA, BOB = uuid4(), uuid4()
ITEMS = [
    (ADA, Waiting(uuid4(), 2**40, b"one")),
    (BOB, Waiting(uuid4(), 0, b"")),
    (ADA, Waiting(uuid4(), 5, b"two" * 9)),
]


def joined(parts: list[bytes]) -> memoryview:
    return memoryview(b"".join(parts))


def test_a_bundle_is_read_as_it_was_made() -> None:
    looks, found = messages.read_bundle(joined(messages.bundle(messages.MAIL, [BOB, ADA], ITEMS)), Waiting)
    assert looks == [BOB, ADA]
    assert found == {ADA: [ITEMS[0][1], ITEMS[2][1]], BOB: [ITEMS[1][1]]}
    assert all(type(item.body) is bytes for items in found.values() for item in items), "nothing of the buffer is kept"


def test_so_is_one_of_signals_and_an_empty_one() -> None:
    ring = Ringing(uuid4(), 1234, b"ring")
    assert messages.read_bundle(joined(messages.bundle(messages.SIGNALS, [], [(ADA, ring)])), Ringing) == (
        [],
        {ADA: [ring]},
    )
    assert messages.read_bundle(joined(messages.bundle(messages.MAIL, [], [])), Waiting) == ([], {})


def test_a_bundle_that_is_cut_short_or_goes_on_is_refused() -> None:
    whole = b"".join(messages.bundle(messages.MAIL, [BOB], ITEMS))
    for size in range(len(whole)):
        with pytest.raises(BadMessage):
            messages.read_bundle(memoryview(whole[:size]), Waiting)
    with pytest.raises(BadMessage):
        messages.read_bundle(memoryview(whole + b"x"), Waiting)


def test_news_are_read_as_they_were_made_and_nothing_else_is() -> None:
    told = [(ADA.int, 2**33 + 1), (BOB.int, 0)]
    said = messages.news(told)
    assert messages.read_news(memoryview(said)) == told
    for size in set(range(1, len(said))) - {1, 25}:
        with pytest.raises(BadMessage):
            messages.read_news(memoryview(said[:size]))


def test_greetings_and_confirmations_too() -> None:
    mark = bytes(range(messages.MARK_BYTES))
    assert messages.read_hello(memoryview(messages.hello(mark))) == (messages.VERSION, mark)
    assert messages.read_seen(memoryview(messages.seen(2**40))) == 2**40
    for read, said in ((messages.read_hello, messages.hello(mark)), (messages.read_seen, messages.seen(1))):
        for other in (said[:-1], said + b"x", b""):
            with pytest.raises(BadMessage):
                read(memoryview(other))
    with pytest.raises(BadMessage):
        messages.read_hello(memoryview(bytes([messages.SEEN]) + messages.hello(mark)[1:]))
