"""Quiet hours, in every zone and on the days on which its clocks change."""

from __future__ import annotations

import math
import operator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify import quiet
from alphapulse_nb.notify.quiet import Hours
from tests.notify.notifications import moments, times, zones

BERLIN = "Europe/Berlin"
LORD_HOWE = "Australia/Lord_Howe"
APIA = "Pacific/Apia"
TICK = timedelta(microseconds=1)
LARGEST_SHIFT = timedelta(hours=3)
"""What clocks were set back at most from 2000 to 2035: those of Antarctica/Casey."""


def hours(text: str) -> Hours:
    """Such as 22:00-08:00."""
    start, end = text.split("-")
    return Hours(time.fromisoformat(start), time.fromisoformat(end))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def changes(zone: str, year: int) -> list[datetime]:
    """Days of a year on which the clocks of a zone change; its first day if there are none."""
    place, first = ZoneInfo(zone), datetime(year, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=day) for day in range(366)]
    offsets = [day.astimezone(place).utcoffset() for day in days]
    changed = zip(days, offsets, offsets[1:], strict=False)
    return [day for day, offset, later in changed if offset != later] or [first]


@st.composite
def quiet_moments(draw: st.DrawFn) -> tuple[Hours, str, datetime]:
    """Quiet hours, a zone and a moment at which it is quiet; half of them about a change."""
    zone, year = draw(zones), draw(st.integers(2000, 2035))
    minutes = st.integers(-24 * 60, 48 * 60).map(lambda number: timedelta(minutes=number))
    about = st.builds(operator.add, st.sampled_from(changes(zone, year)), minutes)
    early = st.builds(time, st.integers(0, 4), st.integers(0, 59))
    night, moment = draw(st.builds(Hours, times | early, times | early)), draw(moments | about)
    assume(quiet.inside(night, zone, moment))
    return night, zone, moment


@pytest.mark.parametrize(
    ("span", "zone", "start", "end"),
    [
        ("22:00-08:00", "UTC", "2026-01-31T22:00", "2026-02-01T08:00"),
        ("12:00-14:00", "UTC", "2026-01-31T12:00", "2026-01-31T14:00"),
        ("22:00-00:00", "UTC", "2026-01-31T22:00", "2026-02-01T00:00"),
        ("00:00-23:59", "UTC", "2026-01-31T00:00", "2026-01-31T23:59"),
        ("22:00-08:00", BERLIN, "2026-01-31T21:00", "2026-02-01T07:00"),
        ("22:00-08:00", "America/New_York", "2026-02-01T03:00", "2026-02-01T13:00"),
        ("22:00-08:00", "Asia/Kolkata", "2026-01-31T16:30", "2026-02-01T02:30"),
        ("22:00-08:00", "Pacific/Kiritimati", "2026-01-31T08:00", "2026-01-31T18:00"),
        # The night on which Berlin's clocks skip from 02:00 to 03:00 lasts nine hours.
        ("22:00-08:00", BERLIN, "2026-03-28T21:00", "2026-03-29T06:00"),
        ("02:30-08:00", BERLIN, "2026-03-29T01:00", "2026-03-29T06:00"),
        ("22:00-02:30", BERLIN, "2026-03-28T21:00", "2026-03-29T01:00"),
        ("22:00-02:00", BERLIN, "2026-03-28T21:00", "2026-03-29T01:00"),
        ("22:00-03:00", BERLIN, "2026-03-28T21:00", "2026-03-29T01:00"),
        # The night on which they show 02:00 to 03:00 twice lasts eleven.
        ("22:00-08:00", BERLIN, "2026-10-24T20:00", "2026-10-25T07:00"),
        ("02:30-08:00", BERLIN, "2026-10-25T00:30", "2026-10-25T07:00"),
        ("22:00-02:30", BERLIN, "2026-10-24T20:00", "2026-10-25T01:30"),
        ("02:15-02:45", BERLIN, "2026-10-25T00:15", "2026-10-25T01:45"),
        # Lord Howe changes by half an hour: on 2026-10-04 from 02:00 to 02:30, back on 2026-04-05.
        ("22:00-02:15", LORD_HOWE, "2026-10-03T11:30", "2026-10-03T15:30"),
        ("02:15-08:00", LORD_HOWE, "2026-10-03T15:30", "2026-10-03T21:00"),
        ("22:00-01:45", LORD_HOWE, "2026-04-04T11:00", "2026-04-04T15:15"),
        ("01:45-08:00", LORD_HOWE, "2026-04-04T14:45", "2026-04-04T21:30"),
        # Clocks of St. John's went back at 00:01, to the day before.
        ("00:00-06:00", "America/St_Johns", "2010-11-07T02:30", "2010-11-07T09:30"),
        ("20:00-23:30", "America/St_Johns", "2010-11-06T22:30", "2010-11-07T03:00"),
        ("23:45-23:30", "America/St_Johns", "2010-11-06T02:15", "2010-11-08T03:00"),
        # Samoa left out 2011-12-30: two nights are one, of ten hours.
        ("22:00-08:00", APIA, "2011-12-30T08:00", "2011-12-30T18:00"),
        ("12:00-14:00", APIA, "2011-12-29T22:00", "2011-12-30T00:00"),
        ("12:00-14:00", APIA, "2011-12-30T22:00", "2011-12-31T00:00"),
        # What is awake from 02:15 to 02:45 is skipped in spring, and overlaps in autumn.
        ("02:45-02:15", BERLIN, "2026-03-28T01:45", "2026-03-30T00:15"),
        ("02:45-02:15", BERLIN, "2026-10-24T00:45", "2026-10-26T01:15"),
    ],
)
def test_a_night_is_quiet_from_its_start_until_its_end(
    span: str, zone: str, start: str, end: str
) -> None:
    night = hours(span)
    assert not quiet.inside(night, zone, utc(start) - TICK)
    assert quiet.inside(night, zone, utc(start))
    assert quiet.end(night, zone, utc(start)) == utc(end)
    assert quiet.end(night, zone, utc(end) - TICK) == utc(end)
    assert not quiet.inside(night, zone, utc(end))


def test_a_night_that_falls_into_the_skipped_hour_is_left_out() -> None:
    night, noon = hours("02:15-02:45"), utc("2026-03-28T12:00")
    assert not any(
        quiet.inside(night, BERLIN, noon + timedelta(minutes=minute)) for minute in range(24 * 60)
    )


@settings(deadline=None)
@given(st.builds(Hours, times, times), zones, moments)
def test_hours_that_are_off_or_start_when_they_end_are_never(
    night: Hours, zone: str, moment: datetime
) -> None:
    assert not quiet.inside(Hours(night.start, night.end, enabled=False), zone, moment)
    assert not quiet.inside(Hours(night.start, night.start), zone, moment)


def test_there_is_no_end_where_it_is_not_quiet() -> None:
    with pytest.raises(InputError, match=r"13:00 is not in the quiet hours from 22:00 to 08:00"):
        quiet.end(Hours(), BERLIN, utc("2026-01-31T12:00"))


def test_a_moment_may_come_in_any_zone() -> None:
    moment = utc("2026-01-31T21:30")
    there = moment.astimezone(ZoneInfo("America/New_York"))
    assert quiet.inside(Hours(), BERLIN, there)
    assert quiet.end(Hours(), BERLIN, there) == utc("2026-02-01T07:00")
    assert quiet.end(Hours(), BERLIN, there).tzinfo is UTC


@settings(max_examples=100, deadline=None)
@given(quiet_moments())
@example((hours("02:45-02:15"), BERLIN, utc("2026-10-25T00:00")))
@example((hours("12:00-11:59"), APIA, utc("2011-12-29T23:00")))
@example((hours("04:00-03:59"), "Antarctica/Casey", utc("2010-03-04T05:00")))
def test_it_is_quiet_until_the_end_and_not_longer(found: tuple[Hours, str, datetime]) -> None:
    night, zone, moment = found
    end = quiet.end(night, zone, moment)
    assert end > moment
    assert quiet.inside(night, zone, end - TICK)
    assert not quiet.inside(night, zone, end)
    halfway = moment + (end - moment) / 2
    assert quiet.end(night, zone, halfway) == end


@settings(max_examples=100, deadline=None)
@given(quiet_moments())
@example((hours("08:00-04:00"), BERLIN, utc("2026-10-24T06:00")))
@example((hours("22:00-08:00"), APIA, utc("2011-12-30T08:00")))
@example((hours("06:00-01:00"), "Antarctica/Casey", utc("2010-03-03T19:00")))
@example((hours("01:01-02:00"), "Canada/Mountain", utc("2000-10-29T08:00")))
def test_a_night_is_as_long_as_the_clock_says_and_what_it_is_set_back(
    found: tuple[Hours, str, datetime],
) -> None:
    night, zone, moment = found
    start, end = (timedelta(hours=t.hour, minutes=t.minute) for t in (night.start, night.end))
    length = (end - start) % timedelta(days=1)
    ahead = quiet.end(night, zone, moment) - moment
    if timedelta(days=1) - length > LARGEST_SHIFT:
        assert ahead <= length + set_back(zone, moment - length - LARGEST_SHIFT, moment + ahead)
    else:  # two nights may be one
        assert ahead <= timedelta(days=2) + LARGEST_SHIFT


def set_back(zone: str, start: datetime, end: datetime) -> timedelta:
    """By how much the clocks of a zone are set back between two moments, at the most."""
    hours = range(math.ceil((end - start) / timedelta(hours=1)))
    before = (offset(zone, start + timedelta(hours=number)) for number in hours)
    return max(*before, offset(zone, end)) - offset(zone, end)


def offset(zone: str, moment: datetime) -> timedelta:
    return moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta(0)


def is_twice(local: datetime) -> bool:
    """Whether the clocks show this time twice."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


@settings(max_examples=150, deadline=None)
@given(st.builds(Hours, times, times), zones, moments)
@example(hours("22:00-02:30"), BERLIN, utc("2026-10-25T00:45"))
@example(hours("22:00-02:30"), BERLIN, utc("2026-10-25T01:45"))
@example(hours("02:30-08:00"), BERLIN, utc("2026-10-25T01:15"))
def test_it_is_quiet_when_the_clock_says_so_and_else_only_in_a_time_that_comes_twice(
    night: Hours, zone: str, moment: datetime
) -> None:
    local = moment.astimezone(ZoneInfo(zone))
    if night.start <= night.end:
        by_clock = night.start <= local.time() < night.end
    else:
        by_clock = local.time() >= night.start or local.time() < night.end
    is_quiet = quiet.inside(night, zone, moment)
    assert is_quiet >= by_clock
    assert is_quiet == by_clock or is_twice(local)


@pytest.mark.parametrize("zone", ["", "Mars/Base", "Europe", "../../etc/passwd", "\0", "\ud800"])
def test_a_zone_that_is_not_known_here_has_the_clocks_of_utc(zone: str) -> None:
    assert str(quiet.clock(zone)) == "UTC"
    assert quiet.inside(Hours(), zone, utc("2026-01-31T22:00"))


def test_a_moment_is_shown_as_the_clock_on_the_wall_does() -> None:
    assert quiet.wall(utc("2026-01-31T12:00"), "Asia/Kolkata") == "2026-01-31 17:30"
    last = datetime.max.replace(tzinfo=UTC)
    assert quiet.wall(last, "Asia/Kolkata") == "9999-12-31T23:59:59.999999Z"
