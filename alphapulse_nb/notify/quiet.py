"""Quiet hours: when a person is not disturbed, by the clock on their wall.

A night begins when the clock first shows its start or a later time, and ends after the clock last
shows a time before its end. So a change of the clocks never shortens it:

- A start or end that is skipped in spring is the first moment after the gap.
- A time that comes twice in autumn begins a night the first time and ends one the second time.

Where a change swallows the time between two nights they are one: hours from 02:45 to 02:15 in a
zone that skips from 02:00 to 03:00, or two nights beside a day that a country left out. All other
nights last as long as the clock says, plus what it is set back.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import stamp

_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True)
class Hours:
    """Quiet hours from `start` to before `end` each day; none where both are the same time.

    They cross midnight where `end` is the earlier.
    """

    start: time = time(22)
    end: time = time(8)
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.start:%H:%M} to {self.end:%H:%M}"


def inside(hours: Hours, zone: str, moment: datetime) -> bool:
    """Whether it is quiet in an IANA zone at a moment (with any time zone of its own)."""
    return _night_end(hours, clock(zone), moment) is not None


def end(hours: Hours, zone: str, moment: datetime) -> datetime:
    """When the quiet hours end that contain `moment`: the first moment in UTC that is not quiet.

    Raises `InputError` where it is not quiet at `moment`.
    """
    place, until = clock(zone), moment.astimezone(UTC)
    while (later := _night_end(hours, place, until)) is not None:
        until = later
    if until == moment:
        raise InputError(f"{wall(moment, zone)} is not in the quiet hours from {hours}")
    return until


def clock(zone: str) -> ZoneInfo:
    """The clocks of an IANA zone; those of UTC for an empty name or one that is not known here."""
    try:
        return ZoneInfo(zone) if zone else _UTC
    except (KeyError, ValueError, OSError):  # OSError: a folder of zones, such as Europe
        return _UTC


def wall(moment: datetime, zone: str) -> str:
    """A moment as the clock of a zone shows it, such as 2026-01-31 23:10."""
    try:
        local = moment.astimezone(clock(zone))
    except OverflowError:  # the calendar ends before it is that late there
        return stamp(moment)
    return local.replace(tzinfo=None).isoformat(" ", "minutes")


def _night_end(hours: Hours, place: ZoneInfo, moment: datetime) -> datetime | None:
    """The end of a night that `moment` is in; None where it is in none."""
    if not hours.enabled or hours.start == hours.end:
        return None
    today = moment.astimezone(place).date()
    # Clocks that go back over midnight show the day before, or after, that of the night.
    for days in (-2, -1, 0, 1):
        start, stop = _night(hours, place, today + timedelta(days))
        if start <= moment < stop:
            return stop
    return None


def _night(hours: Hours, place: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    """The first moment of the night that starts on a day, and the first after it; in UTC."""
    last = day + timedelta(days=hours.end < hours.start)
    return (
        _shows(datetime.combine(day, hours.start), place, fold=0),
        _shows(datetime.combine(last, hours.end), place, fold=1),
    )


def _shows(local: datetime, place: ZoneInfo, *, fold: int) -> datetime:
    """When clocks show a time: the first or (`fold` 1) last of two; after the gap if never."""
    found = local.replace(tzinfo=place, fold=fold).astimezone(UTC)
    return found if _local(found, place) == local else _after_gap(local, place)


def _after_gap(local: datetime, place: ZoneInfo) -> datetime:
    """The first moment at which clocks show more than a time that they skip."""
    # PEP 495: in a gap fold 1 computes with the offset after it, which gives the earlier moment.
    before = local.replace(tzinfo=place, fold=1).astimezone(UTC)
    after = local.replace(tzinfo=place, fold=0).astimezone(UTC)
    seconds = range(round((after - before).total_seconds()))
    return before + timedelta(
        seconds=bisect_left(
            seconds, local, key=lambda second: _local(before + timedelta(seconds=second), place)
        )
    )


def _local(moment: datetime, place: ZoneInfo) -> datetime:
    return moment.astimezone(place).replace(tzinfo=None)
