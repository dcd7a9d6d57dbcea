"""Partitions: every id that is accepted has one, and none goes before all in it has expired."""

from __future__ import annotations

from uuid import UUID

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from relay.database import Database, open_database
from relay.frames import ID_MAX_AGE_S, ID_MAX_AHEAD_S, id_time_is_acceptable, uuid7_seconds
from relay.partitions import STEADY_FOR_S, WEEK_S, SteadyClock, Week, expired, keep_partitions, wanted
from tests.contract.worlds import CONTACT, SETTINGS, postgres_world, posting

NOW = 1_789_000_000
TTL_S = 30 * 86400

INSERT = """
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body) VALUES ($1, $1, 1, 1, false, $2)
"""


def id_at(seconds: int, ms: int = 0, rest: int = 0) -> UUID:
    return UUID(int=((seconds * 1000 + ms) << 80) | (7 << 76) | (2 << 62) | rest)


async def names(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'envelopes'::regclass ORDER BY 1"
    )
    return [row[0] for row in rows]


# -- which clock ---------------------------------------------------------------------------------------------------------


class Clocks:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.monotonic = float(NOW), 5.0

    def pass_(self, seconds: float, *, wall: float | None = None) -> None:
        self.monotonic += seconds
        self.wall += seconds if wall is None else wall


def test_a_clock_is_believed_after_an_hour_in_step_and_a_jump_begins_it_anew() -> None:
    clocks = Clocks()
    clock = SteadyClock(lambda: clocks.wall, lambda: clocks.monotonic)
    assert not clock.is_steady()
    clocks.pass_(STEADY_FOR_S - 1)
    assert not clock.is_steady()
    clocks.pass_(1, wall=0.5)  # slewing is no jump
    assert clock.is_steady()
    clocks.pass_(60, wall=45 * 86400)
    assert not clock.is_steady()
    clocks.pass_(60, wall=-45 * 86400)
    clocks.pass_(STEADY_FOR_S - 60)
    assert not clock.is_steady()
    clocks.pass_(61)
    assert not clock.is_steady()
    clocks.pass_(STEADY_FOR_S)
    assert clock.is_steady()


async def test_without_leave_to_drop_an_expired_week_stays(database: Database) -> None:
    await keep_partitions(database, NOW, TTL_S)
    before = await names(database)
    await keep_partitions(database, NOW + 60 * 86400, TTL_S, drop=False)
    assert set(before) < set(await names(database))
    await keep_partitions(database, NOW + 60 * 86400, TTL_S)
    assert not set(before) & set(await names(database))


# -- which weeks -----------------------------------------------------------------------------------------------------

MOMENTS = st.one_of(
    st.integers(20 * WEEK_S, 2**37),
    # around the edges of weeks, where one more second decides
    st.builds(
        lambda week, edge, off: week * WEEK_S + edge + off,
        st.integers(20, 10_000),
        st.sampled_from([0, ID_MAX_AGE_S, -ID_MAX_AHEAD_S, ID_MAX_AGE_S + TTL_S]),
        st.integers(-2, 2),
    ),
)


@given(MOMENTS, st.integers(-ID_MAX_AGE_S - 1, ID_MAX_AHEAD_S + 1), st.integers(0, 999))
def test_every_acceptable_id_has_a_week(now: int, off: int, ms: int) -> None:
    if not id_time_is_acceptable(id_at(now + off, ms), now):
        return
    id_ = id_at(now + off, ms, rest=2**62 - 1)
    weeks = [week for week in wanted(now) if week.first <= id_ < Week(week.number + 1).first]
    assert len(weeks) == 1
    # ...and it stays until the envelope has expired, even if it arrives at the last moment.
    assert expired([weeks[0].name], now + TTL_S, TTL_S) == []


@given(MOMENTS)
def test_what_is_wanted_is_never_expired_and_reaches_ahead(now: int) -> None:
    weeks = wanted(now)
    assert expired([week.name for week in weeks], now, 0) == []
    assert [week.number for week in weeks] == list(range(weeks[0].number, weeks[-1].number + 1))
    assert weeks[-1].number == (now + ID_MAX_AHEAD_S) // WEEK_S + 2
    assert 3 <= len(weeks) <= 4


@given(MOMENTS, st.integers(1, 60 * 86400))
def test_all_in_an_expired_week_is_older_than_its_time_to_live(now: int, ttl_s: int) -> None:
    number = now // WEEK_S
    for week in expired([Week(number - back).name for back in range(12)], now, ttl_s):
        last_id = Week(week.number + 1).first.int - 1
        latest_arrival = uuid7_seconds(UUID(int=last_id)) + ID_MAX_AGE_S
        assert latest_arrival + ttl_s < now


def test_a_week_goes_within_a_week_and_the_margin() -> None:
    end = (Week(100).number + 1) * WEEK_S
    kept_until = end + ID_MAX_AGE_S + TTL_S
    assert expired([Week(100).name], kept_until, TTL_S) == []
    assert expired([Week(100).name], kept_until + 1, TTL_S) == [Week(100)]


# -- in the database -------------------------------------------------------------------------------------------------


async def test_it_makes_what_is_wanted_and_may_be_asked_again(database: Database) -> None:
    for _ in range(2):
        await keep_partitions(database, NOW, TTL_S)
        assert await names(database) == [week.name for week in wanted(NOW)]


@pytest.mark.parametrize("now", [NOW, 3000 * WEEK_S, 3000 * WEEK_S + ID_MAX_AGE_S, 3001 * WEEK_S - ID_MAX_AHEAD_S])
async def test_ids_at_both_edges_of_the_window_can_be_stored(database: Database, now: int) -> None:
    await keep_partitions(database, now, TTL_S)
    edges = [id_at(now - ID_MAX_AGE_S), id_at(now), id_at(now + ID_MAX_AHEAD_S, ms=999, rest=2**62 - 1)]
    for edge in edges:
        assert id_time_is_acceptable(edge, now)
        await database.execute(INSERT, edge, bytes(1024))
    assert await database.fetchval("SELECT count(*) FROM envelopes") == 3


async def test_it_drops_only_what_is_expired(database: Database) -> None:
    await keep_partitions(database, NOW, TTL_S)
    await database.execute(INSERT, id_at(NOW), bytes(1024))
    first = wanted(NOW)[0]
    last_moment = (first.number + 1) * WEEK_S + ID_MAX_AGE_S + TTL_S
    await keep_partitions(database, last_moment, TTL_S)
    assert first.name in await names(database)
    await keep_partitions(database, last_moment + 1, TTL_S)
    there = await names(database)
    assert first.name not in there
    assert {week.name for week in wanted(NOW)[1:]} | {week.name for week in wanted(last_moment + 1)} == set(there)


async def test_several_processes_may_keep_them_at_once(schema_database_url: str) -> None:
    async with open_database(schema_database_url) as one, open_database(schema_database_url) as two:
        for now in (NOW, NOW + 8 * WEEK_S):  # the second time, they drop as well
            async with trio.open_nursery() as nursery:
                for database in (one, two, one, two):
                    nursery.start_soon(keep_partitions, database, now, TTL_S)
            assert await names(one) == [week.name for week in wanted(now)]


async def test_a_partition_is_like_its_parent(database: Database) -> None:
    """Storage of bodies, the key and the order of arrival: what a copy could forget."""
    await keep_partitions(database, NOW, TTL_S)
    name = wanted(NOW)[0].name
    storage = await database.fetchval(
        "SELECT attstorage::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = 'body'", name
    )
    assert storage == "e"
    indexes = await database.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = $1", name)
    columns = sorted(row[0].partition("USING btree ")[2] for row in indexes)
    assert columns == ["(account_id, envelope_id)", "(account_id, seq) WHERE (seq > 0)"]


async def test_no_partition_is_no_store_at_all(database: Database) -> None:
    """What keep_partitions is for: an id of a week that has none fails its batch."""
    async with postgres_world(database) as world:
        account_id = await world.add_account()
        far = posting(account_id, access=CONTACT)._replace(id=id_at(NOW + 10 * SETTINGS.envelope_ttl_s))
        with pytest.raises(Exception, match="23514"):
            await world.mailbox.put([far])
