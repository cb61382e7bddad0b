"""Skipped ids: kept while they may still come, found in any order, bounded whatever happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.relay import MemoryLog
from alphapulse_nb.relay.gaps import ASKED, MOST, WATCHED, Gap, Gaps, of_plain
from alphapulse_nb.relay.log import Cursor
from alphapulse_nb.relay.look import Turn, begin, look
from alphapulse_nb.relay.sources import Source
from tests.relay.rows import NOON, Table

SECOND = timedelta(seconds=1)


def ranges(gaps: Gaps) -> list[tuple[int, int]]:
    return [(gap.first, gap.last) for gap in gaps]


def test_what_is_skipped_is_kept_as_ranges() -> None:
    gaps = Gaps().passed(10, [11, 13, 14, 20], NOON)
    assert ranges(gaps) == [(12, 12), (15, 19)]
    assert 12 in gaps
    assert 13 not in gaps


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ([], [(5, 9), (20, 20)]),
        ([5], [(6, 9), (20, 20)]),
        ([9, 20], [(5, 8)]),
        ([7], [(5, 6), (8, 9), (20, 20)]),
        ([6, 8, 1, 99], [(5, 5), (7, 7), (9, 9), (20, 20)]),
        (range(100), []),
    ],
)
def test_what_is_found_is_no_longer_missing(found: Any, left: list[tuple[int, int]]) -> None:
    gaps = Gaps((Gap(5, 9, NOON), Gap(20, 20, NOON)))
    assert ranges(gaps.found(found)) == left


def test_it_is_given_up_after_ten_minutes_in_which_somebody_looked() -> None:
    gaps = Gaps((Gap(1, 1, NOON), Gap(5, 5, NOON + 60 * SECOND)))
    assert ranges(gaps.given_up(NOON + WATCHED - SECOND)) == [(1, 1), (5, 5)]
    assert ranges(gaps.given_up(NOON + WATCHED)) == [(5, 5)]
    away = timedelta(hours=3)
    later = NOON + away + WATCHED - SECOND
    assert ranges(gaps.younger(away).given_up(later)) == [(1, 1), (5, 5)]


def test_a_million_skipped_ids_are_one_range() -> None:
    gaps = Gaps().passed(0, [1_000_000], NOON)
    assert ranges(gaps) == [(1, 999_999)]
    assert of_plain(gaps.plain()) == gaps


def test_too_many_ranges_are_joined_where_they_are_nearest_and_none_is_lost() -> None:
    ids = [2 * number for number in range(1, MOST + 500)] + [10**9]
    gaps = Gaps().passed(0, ids, NOON)
    assert len(gaps) == MOST
    missing = set(range(1, ids[-2])) - set(ids)
    assert all(number in gaps for number in list(missing)[:: len(missing) // 50])
    assert 10**9 - 1 in gaps


def test_a_look_asks_for_some_ranges_and_the_next_goes_on_from_there() -> None:
    gaps = Gaps().passed(0, [2 * number for number in range(1, 3 * ASKED)], NOON)
    seen: list[int] = []
    place = -1
    while part := gaps.after(place):
        assert len(part) <= ASKED
        seen += [gap.first for gap in part]
        place = part[-1].last
    assert seen == [gap.first for gap in gaps]
    assert gaps.after(4)[0] == Gap(5, 5, NOON)
    assert Gaps((Gap(1, 9, NOON),)).after(4) == (Gap(5, 9, NOON),)


@given(
    st.lists(st.integers(1, 60), unique=True).map(sorted),
    st.lists(st.lists(st.integers(1, 60), unique=True), max_size=5),
)
def test_ranges_say_what_a_set_would(ids: list[int], found: list[list[int]]) -> None:
    gaps = Gaps().passed(0, ids, NOON)
    missing = set(range(1, max(ids, default=0))) - set(ids)
    for some in found:
        gaps = gaps.found(some)
        missing -= set(some)
    assert {number for gap in gaps for number in range(gap.first, gap.last + 1)} == missing
    firsts = [gap.first for gap in gaps]
    assert firsts == sorted(set(firsts))
    assert of_plain(gaps.plain()) == gaps


class Desk:
    """Transactions over one table, and a relay that may be replaced at any moment."""

    def __init__(self, portion: int) -> None:
        self.table = Table()
        self.log = MemoryLog()
        self.portion = portion
        self.now = NOON
        self.next_id = 1
        self.open: dict[int, list[int]] = {}
        self.told_from = 0
        self.cursor: Cursor | None = None
        self.paused: Cursor | None = None
        self.turn = Turn()

    def insert(self, transaction: int, count: int, skipped: int) -> None:
        self.next_id += skipped
        ids = range(self.next_id, self.next_id + count)
        self.open.setdefault(transaction, []).extend(ids)
        self.next_id += count

    def commit(self, transaction: int) -> None:
        self.table.ids |= set(self.open.pop(transaction, []))

    def roll_back(self, transaction: int) -> None:
        self.open.pop(transaction, None)

    def look(self) -> bool:
        """One look; whether there is more."""
        source = cast(Source, self.table)
        link = cast(Any, None)
        self.now += SECOND
        if self.cursor is None:
            self.cursor = self.log.append((), begin(link, source, self.now)).cursor
            return True
        found = look(link, source, self.cursor, self.turn, self.now, self.portion)
        self.cursor = self.log.append(found.entries, found.cursor).cursor
        self.turn = found.turn
        return found.more

    def crash(self) -> None:
        """The relay is gone; another one has only what was saved."""
        self.cursor, self.turn = self.log.cursors().get("signals"), Turn()

    def told(self) -> list[int]:
        return [event.data["id"] for event in self.log.after(0, 10_000)]


step = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 4), st.integers(1, 6), st.integers(0, 3)),
    st.tuples(st.just("commit"), st.integers(0, 4)),
    st.tuples(st.just("roll_back"), st.integers(0, 4)),
    st.tuples(st.just("look")),
    st.tuples(st.just("crash")),
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4), st.lists(step, max_size=60))
def test_every_row_that_is_committed_is_told_of_exactly_once(
    portion: int, steps: list[tuple[Any, ...]]
) -> None:
    desk = Desk(portion)
    desk.look()
    for name, *values in steps:
        getattr(desk, name)(*values)
    for transaction in list(desk.open):
        desk.commit(transaction)
    for _ in range(200):
        desk.look()
    assert sorted(desk.told()) == sorted(desk.table.ids)


@settings(max_examples=100, deadline=None)
@given(st.lists(step, max_size=20), st.lists(step, max_size=20))
def test_a_table_is_told_of_from_the_moment_at_which_it_was_first_seen(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    desk = Desk(3)
    for name, *values in before:
        if name not in {"look", "crash"}:
            getattr(desk, name)(*values)
    history = set(desk.table.ids)
    desk.look()
    for name, *values in after:
        getattr(desk, name)(*values)
    for transaction in list(desk.open):
        desk.commit(transaction)
    for _ in range(100):
        desk.look()
    assert sorted(desk.told()) == sorted(desk.table.ids - history)


def test_a_row_that_commits_within_the_bound_is_found_and_a_later_one_is_not() -> None:
    desk = Desk(10)
    desk.look()
    desk.insert(1, 1, 0)
    desk.insert(2, 1, 0)
    desk.insert(3, 1, 0)
    desk.commit(3)
    desk.look()
    desk.now += WATCHED - 2 * SECOND
    desk.commit(1)
    desk.look()
    assert desk.told() == [3, 1]
    desk.now += SECOND
    desk.look()
    desk.commit(2)
    desk.look()
    assert desk.told() == [3, 1]
