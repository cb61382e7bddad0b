"""One look at one table: what is new in it, and where we stand after that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from alphapulse_nb.events import stamp
from alphapulse_nb.relay.gaps import Gaps
from alphapulse_nb.relay.log import Cursor
from alphapulse_nb.relay.sources import BACK, OVERLAP, Entry, Portion, Source

PORTION: Final = 500
"""Rows that are read and logged at a time."""
_LEAST: Final = -(2**63)


@dataclass(frozen=True)
class Turn:
    """How far the last look came, in the gaps and in the revisions; forgotten at the end."""

    gap: int = _LEAST
    revision: tuple[datetime, int] | None = None


@dataclass(frozen=True)
class Found:
    """What a look found. `more`: there was more than one portion, so look again."""

    entries: tuple[Entry, ...]
    cursor: Cursor
    turn: Turn = Turn()
    more: bool = False


def begin(link: sa.Connection, source: Source, now: datetime, era: str = "") -> Cursor:
    """The cursor for a table that was never seen: at its present end, without history."""
    end = source.end(link)
    # What is missing just below may be a transaction that is open now.
    gaps = Gaps().passed(max(end - BACK, 0), source.near(link, end), now)
    # The overlap must not reach back before now, and does not until it has passed once.
    revised = None if source.revised is None else now + OVERLAP
    return Cursor(source.name, end, now, gaps, era, revised)


def look(
    link: sa.Connection,
    source: Source,
    cursor: Cursor,
    turn: Turn,
    now: datetime,
    portion: int = PORTION,
) -> Found:
    """One portion of each: rows that are late, rows that are new, rows that were revised."""
    asked = cursor.gaps.after(turn.gap)
    late = source.missed(link, asked, portion, cursor.era)
    new = source.new(link, cursor.high, portion, cursor.era)
    place = turn.revision or _since(cursor)
    revised = Portion() if place is None else source.revisions(link, place, portion, cursor.era)
    gaps = cursor.gaps.found(late.ids).passed(cursor.high, new.ids, now)
    if asked and not late.more and asked[-1].last >= cursor.gaps.ranges[-1].last:
        next_gap = _LEAST
    elif late.more:
        next_gap = late.ids[-1]
    else:
        next_gap = asked[-1].last if asked else _LEAST
    going_on = revised.more and revised.place is not None
    return Found(
        (*late.entries, *new.entries, *revised.entries),
        replace(
            cursor,
            high=max([cursor.high, *new.ids]),
            gaps=gaps.given_up(now),
            revised=_later(cursor.revised, revised.place, now),
            looked_at=now,
        ),
        Turn(next_gap, revised.place if going_on else None),
        new.more or late.more or going_on,
    )


def began_anew(link: sa.Connection, source: Source, cursor: Cursor, now: datetime) -> Cursor | None:
    """A new cursor where a table's ids have started again, as after TRUNCATE; None elsewhere."""
    if source.end(link) >= cursor.high:
        return None
    fresh = begin(link, source, now, f"{stamp(now)}/")
    return replace(fresh, version=cursor.version)


def _since(cursor: Cursor) -> tuple[datetime, int] | None:
    return None if cursor.revised is None else (cursor.revised - OVERLAP, _LEAST)


def _later(
    before: datetime | None, place: tuple[datetime, int] | None, now: datetime
) -> datetime | None:
    """The time up to which revisions were read; never in the future, whatever a row says."""
    if before is None or place is None:
        return before
    return max(before, min(place[0], now))
