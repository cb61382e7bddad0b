"""Ids that were not there when those after them were: where rows that commit late will appear.

A row gets its id when it is inserted and is seen when its transaction commits, so a higher id may
be seen first. What was skipped is looked for again, for ten minutes. Most of it never comes:
inserts that were rolled back, and blocks of ids that connections took in advance. So it is kept as
ranges, and bounded: where there are too many, neighbours are joined over the rows between them,
which are then read again, and which the log of events knows already.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

WATCHED: Final = timedelta(minutes=10)
"""How long a skipped id is looked for. A transaction that stays open longer is not seen."""
MOST: Final = 2_000
"""Ranges that are kept."""
ASKED: Final = 200
"""Ranges that are looked at in one go."""


@dataclass(frozen=True)
class Gap:
    """Ids from `first` to `last`, both included, missed since a moment."""

    first: int
    last: int
    since: datetime


@dataclass(frozen=True)
class Gaps:
    """Ranges in the order of ids; they do not overlap. A value: what changes it makes another."""

    ranges: tuple[Gap, ...] = ()

    def __iter__(self) -> Iterator[Gap]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)

    def __contains__(self, number: int) -> bool:
        return any(gap.first <= number <= gap.last for gap in self.ranges)

    def passed(self, high: int, ids: Iterable[int], now: datetime) -> Gaps:
        """After `high` was the greatest id, these were read, in order: what they left out."""
        new = []
        for number in ids:
            if number > high + 1:
                new.append(Gap(high + 1, number - 1, now))
            high = max(high, number)
        return _bounded((*self.ranges, *new)) if new else self

    def found(self, ids: Iterable[int]) -> Gaps:
        """Without these ids."""
        wanted = sorted(ids)
        if not wanted:
            return self
        left: list[Gap] = []
        for gap in self.ranges:
            begin, end = bisect_left(wanted, gap.first), bisect_right(wanted, gap.last)
            left += _without(gap, wanted[begin:end])
        return _bounded(tuple(left))

    def given_up(self, now: datetime) -> Gaps:
        """Without what has been looked for long enough."""
        kept = tuple(gap for gap in self.ranges if gap.since > now - WATCHED)
        return self if len(kept) == len(self.ranges) else Gaps(kept)

    def younger(self, by: timedelta) -> Gaps:
        """As if missed later: time in which nobody looked does not count."""
        return Gaps(tuple(replace(gap, since=gap.since + by) for gap in self.ranges))

    def after(self, number: int, most: int = ASKED) -> tuple[Gap, ...]:
        """The ranges, or what is left of them, above that id."""
        above = (gap for gap in self.ranges if gap.last > number)
        cut = (replace(gap, first=max(gap.first, number + 1)) for gap in above)
        return tuple(gap for gap, _ in zip(cut, range(most), strict=False))

    def plain(self) -> list[list[float]]:
        """As JSON holds them."""
        return [[gap.first, gap.last, gap.since.timestamp()] for gap in self.ranges]


def of_plain(stored: Any) -> Gaps:
    """What `Gaps.plain` made."""
    return Gaps(
        tuple(Gap(first, last, datetime.fromtimestamp(at, UTC)) for first, last, at in stored)
    )


def _without(gap: Gap, ids: list[int]) -> Iterator[Gap]:
    first = gap.first
    for number in ids:
        if number > first:
            yield replace(gap, first=first, last=number - 1)
        first = max(first, number + 1)
    if first <= gap.last:
        yield replace(gap, first=first)


def _bounded(ranges: tuple[Gap, ...]) -> Gaps:
    """The ranges, of which those that lie nearest to each other are joined where there are more."""
    excess = len(ranges) - MOST
    if excess <= 0:
        return Gaps(ranges)
    distances = sorted(range(1, len(ranges)), key=lambda n: ranges[n].first - ranges[n - 1].last)
    joined = set(distances[:excess])
    kept: list[Gap] = []
    for number, gap in enumerate(ranges):
        if number in joined:
            kept[-1] = Gap(kept[-1].first, gap.last, max(kept[-1].since, gap.since))
        else:
            kept.append(gap)
    return Gaps(tuple(kept))
