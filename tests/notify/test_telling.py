"""Telling: each notification once, with a decision for each person and why."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from alphapulse_nb.db.connection import Database
from alphapulse_nb.notify import telling
from alphapulse_nb.notify.decide import Outcome, Snooze
from alphapulse_nb.notify.notification import Notification, Priority, Type, of_plain
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.quiet import Hours
from alphapulse_nb.notify.telling import reader_of
from alphapulse_nb.people import ANYONE, LOCAL, SHARED, Person
from alphapulse_nb.state.notification_tables import inbox, notifications, preferences
from tests.conftest import wait_until
from tests.notify.house import AWAKE, MORNING, NIGHT, NOON, SECOND, House, one
from tests.notify.notifications import any_notification

WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
DUE = sa.select(inbox.c.person).where(inbox.c.due_at.is_not(None))
COUNT = sa.select(sa.func.count()).select_from(notifications)


def waits(db: Database) -> None:
    """Until another connection waits for what we hold."""
    wait_until(lambda: db.scalar(WAITING) == 1)


def decisions(house: House) -> dict[tuple[str, str], tuple[str, str]]:
    """What was decided, by person and title, with the reason."""
    query = sa.select(
        inbox.c.person, notifications.c.record["title"].astext, inbox.c.outcome, inbox.c.reason
    ).join(notifications, notifications.c.id == inbox.c.notification)
    return {(who, title): (outcome, why) for who, title, outcome, why in house.rows(query)}


def test_a_notification_is_kept_once_whoever_finds_it_and_however_often(house: House) -> None:
    (told,) = house.tell(one("a"), one("a"))
    assert (told.notification, told.persons) == (one("a"), [""])
    assert house.tell(one("a", title="another")) == []
    (new,) = house.tell(one("a"), one("b"))
    assert new.notification.key == "b"
    assert house.titles() == ["b", "a"]
    assert house.tell() == []


def test_what_is_found_together_is_told_in_its_order(house: House) -> None:
    keys = ["m", "z", "a", "q"]
    told = house.tell(*map(one, keys))
    assert [found.notification.key for found in told] == keys
    assert house.titles() == keys[::-1]


@pytest.mark.parametrize("commits", [True, False])
def test_of_two_writers_at_once_one_tells(house: House, db: Database, commits: bool) -> None:
    with ThreadPoolExecutor(1) as other:
        with house.state.writing() as link:
            assert len(telling.keep(link, [one()], NOON)) == 1
            later = other.submit(house.tell, one())
            waits(db)
            if not commits:
                link.rollback()
        assert len(later.result(30)) == (0 if commits else 1)
    assert house.titles() == ["a"]


def test_a_decision_is_kept_for_each_person_with_its_reason(house: House) -> None:
    house.user("day")
    house.user("tokyo", "Asia/Tokyo")
    house.user("off", wanted=Preferences(enabled=False))
    house.user("calm", wanted=Preferences(types={Type.SIGNAL: False}))
    house.user("sure", wanted=Preferences(min_confidence=0.95))
    house.user("away", "Asia/Tokyo", Preferences(zone="UTC"))
    house.inbox.snooze("tokyo", Snooze(rule="another", until=NIGHT))
    house.tell(one("noon"))
    (told,) = house.tell(one("night"), now=NIGHT)
    found = decisions(house)
    assert told.persons == ["tokyo"]
    assert found["", "noon"] == ("sent", "nothing speaks against it")
    assert found["day", "noon"][0] == "sent"
    assert found["tokyo", "noon"][0] == "sent"
    assert found["off", "noon"] == ("disabled", "your notifications are off")
    assert found["calm", "noon"][0] == "type_disabled"
    assert found["sure", "noon"] == ("below_confidence", "confidence 90 % is below your 95 %")
    assert found["tokyo", "night"][0] == "sent"
    quiet = ("quiet_hours", "your quiet hours are 22:00 to 08:00 UTC")
    assert found["", "night"] == found["day", "night"] == found["away", "night"] == quiet
    assert len(found) == 14


@pytest.mark.parametrize("name", [SHARED, ANYONE, LOCAL])
def test_all_who_have_no_name_are_one_person(name: str) -> None:
    assert reader_of(Person(name)) == ""


def test_a_user_is_a_person_of_their_own_however_they_write_it() -> None:
    assert reader_of(Person("Ann")) == "ann"


def test_whom_a_proxy_vouches_for_and_who_has_no_account_is_told_what_everybody_is() -> None:
    assert reader_of(Person("ann", account=False)) == ""


def test_who_comes_later_is_told_what_comes_later(house: House) -> None:
    house.tell(one("before"))
    house.user("ann")
    house.tell(one("after"))
    assert house.titles("ann") == ["after"]
    house.users.remove("ann")
    house.tell(one("gone"))
    assert house.titles("ann") == ["after"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(any_notification, any_notification)
def test_whatever_is_told_can_be_read_back(
    house: House, first: Notification, second: Notification
) -> None:
    keys = iter(_numbers)
    first, second = (replace(each, key=f"{each.key}{next(keys)}") for each in (first, second))
    told = house.tell(first, second)
    query = sa.select(notifications.c.record).where(
        notifications.c.id.in_([new.id for new in told])
    )
    rows = house.rows(query.order_by(notifications.c.id))
    assert [of_plain(row.record) for row in rows] == [first, second]


_numbers = itertools.count()


def test_one_that_was_kept_is_told_once_at_the_end_of_quiet_hours(house: House) -> None:
    (told,) = house.tell(one(), now=NIGHT)
    assert told.persons == []
    assert house.titles() == []
    (held,) = house.entries(held=True)
    assert (held.outcome, held.due_at) == (Outcome.QUIET_HOURS, MORNING)
    assert house.digests(MORNING - SECOND) == []
    (late,) = house.digests()
    assert (late.id, late.notification, late.persons) == (told.id, one(), [""])
    assert house.digests(MORNING + SECOND) == []
    (entry,) = house.entries()
    assert (entry.outcome, entry.due_at, entry.read_at) == (Outcome.SENT, None, None)
    assert house.entries(held=True) == []


def test_several_that_were_kept_are_told_in_one_digest_for_each_person(house: House) -> None:
    house.user("ann")
    house.tell(one("a"), one("b", priority=Priority.LOW), now=NIGHT)
    house.tell(one("c", priority=Priority.URGENT), now=NIGHT)
    nobody, ann = house.digests()
    assert (nobody.persons, ann.persons) == ([""], ["ann"])
    assert nobody.id != ann.id
    for person in ("", "ann"):
        assert house.titles(person) == ["2 notifications during quiet hours", "c"]
        assert house.titles(person, held=True) == ["b", "a"]
        assert house.inbox.summary(person, MORNING).unread == 2
    assert nobody.notification.priority is Priority.HIGH
    assert house.digests(MORNING + SECOND) == []


def test_what_others_were_told_at_once_still_reaches_who_sleeps(house: House) -> None:
    house.user("tokyo", "Asia/Tokyo")
    house.user("new york", "America/New_York")
    (told,) = house.tell(one(), now=NIGHT)
    assert told.persons == ["tokyo", "new york"]
    (late,) = house.digests()
    assert (late.id, late.persons) == (told.id, [""])


def test_each_is_told_when_their_own_night_ends_by_their_own_clock(house: House) -> None:
    house.user("kolkata", "Asia/Kolkata")
    evening = NOON.replace(hour=17)  # 22:30 there
    house.tell(one("a", at=evening), one("b", at=evening), now=evening)
    assert house.digests(NOON.replace(hour=23)) == []
    (told,) = house.digests(MORNING.replace(hour=2, minute=30))
    assert told.persons == ["kolkata"]
    assert "2026-01-31 22:30 a" in told.notification.message
    assert "Times are Asia/Kolkata." in told.notification.message


def test_a_night_that_ends_leaves_the_longer_ones_of_others(house: House) -> None:
    house.user("kolkata", "Asia/Kolkata")
    house.tell(one(), now=NIGHT)
    found = [house.digests(now) for now in (MORNING.replace(hour=2, minute=30), MORNING)]
    assert [[told.persons for told in each] for each in found] == [[["kolkata"]], [[""]]]


def test_who_sets_another_zone_meanwhile_reads_times_of_that_one(house: House) -> None:
    house.tell(one("a", at=NIGHT), one("b", at=NIGHT), now=NIGHT)
    house.inbox.prefer("", Preferences(zone="Asia/Kolkata"))
    (told,) = house.digests()
    assert "2026-02-01 04:30 a" in told.notification.message


def test_two_nights_have_a_digest_each(house: House) -> None:
    for night in range(2):
        now = NIGHT.replace(month=2, day=1 + night)
        house.tell(one(f"a{night}"), one(f"b{night}"), now=now)
        (told,) = house.digests(MORNING.replace(day=2 + night))
        assert told.notification.title.startswith("2 ")
    assert len(house.titles()) == 2


def test_of_two_who_tell_digests_at_once_one_does(house: House, db: Database) -> None:
    house.tell(one("a"), one("b"), now=NIGHT)
    with ThreadPoolExecutor(1) as other:
        with house.state.writing() as link:
            assert len(telling.digests(link, MORNING)) == 1
            # Its clock is ahead, and more is due by it.
            house.tell(one("c"), now=NIGHT)
            later = other.submit(house.digests, MORNING + SECOND)
            waits(db)
        found = later.result(30)
    assert [told.notification.title for told in found] == ["c"]


def test_what_was_removed_at_night_is_not_told_in_the_morning(house: House) -> None:
    told = house.tell(one("a"), one("b"), now=NIGHT)
    house.inbox.remove("", [told[0].id], NIGHT)
    (late,) = house.digests()
    assert late.notification.key == "b"
    # Brought back, it is told as it would have been.
    house.inbox.restore("", NIGHT)
    assert [again.notification.key for again in house.digests()] == ["a"]


def test_who_is_no_user_any_more_is_told_nothing(house: House) -> None:
    house.user("ann")
    house.inbox.prefer("", AWAKE)
    house.tell(one("a"), one("b"), now=NIGHT)
    house.users.remove("ann")
    before = house.rows(COUNT)
    assert house.digests() == []
    assert house.rows(COUNT) == before
    # Nobody looks at it again every few seconds.
    assert house.rows(DUE) == []


def unreadable_preferences(house: House) -> None:
    house.inbox.prefer("ann", Preferences())
    newer = {"zone": "UTC", "colour": "red"}
    house.run(sa.update(preferences).values(record=newer))


def unreadable_notification(house: House) -> None:
    newer = one("z").plain() | {"colour": "red"}
    house.run(sa.update(notifications).where(notifications.c.key == "z").values(record=newer))


def test_preferences_that_cannot_be_read_keep_nobody_from_being_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.user("ann")
    unreadable_preferences(house)
    (told,) = house.tell(one())
    assert told.persons == ["", "ann"]
    assert "has no field 'colour'" in caplog.text


@pytest.mark.parametrize(("others", "titles"), [([], []), (["a"], ["a"])])
def test_a_notification_that_cannot_be_read_keeps_no_digest_back(
    house: House, others: list[str], titles: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    house.tell(one("z"), *map(one, others), now=NIGHT)
    unreadable_notification(house)
    assert [told.notification.title for told in house.digests()] == titles
    assert "cannot be read" in caplog.text
    assert house.rows(DUE) == []


def resolved(**others: Any) -> Notification:
    values = {"resolved": True, "type": Type.SUCCESS, "priority": Priority.LOW, **others}
    return one("resolved", **values)


FLAPPING: dict[str, Callable[[], Snooze]] = {
    "its alert": lambda: Snooze(alert="alert 1"),
    "its rule": lambda: Snooze(rule="strong signals"),
    "its labels": lambda: Snooze(labels={"symbol": "BTC/USDT"}),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("snooze", FLAPPING.values(), ids=FLAPPING)
def test_a_snooze_until_the_alert_clears_is_over_when_it_has(
    house: House, snooze: Callable[[], Snooze], together: bool
) -> None:
    house.user("ann")
    house.open_alert("alert 1")
    house.inbox.snooze("ann", snooze())
    for title in ("again", "and again"):
        house.tell(one(title, alert="alert 1"))
    assert house.titles("ann") == []
    later = [resolved(alert="alert 1"), one("fires anew", alert="alert 2")]
    for found in [later] if together else [[each] for each in later]:
        house.tell(*found)
    assert house.titles("ann") == ["fires anew", "resolved"]
    assert house.titles() == ["fires anew", "resolved", "and again", "again"]
    assert house.inbox.snoozed("ann") == {}


def test_a_snooze_goes_on_when_another_alert_clears_or_until_its_time(house: House) -> None:
    house.open_alert("alert 1")
    first = house.inbox.snooze("", Snooze(alert="alert 1"))
    far = NOON.replace(year=2100)
    second = house.inbox.snooze("", Snooze(rule="strong signals", until=far))
    house.tell(resolved(alert="alert 2"))
    assert set(house.inbox.snoozed("")) == {first, second}
    assert house.titles() == []


def test_quiet_hours_that_are_turned_off_keep_nothing(house: House) -> None:
    house.inbox.prefer("", Preferences(quiet_hours=Hours(enabled=False)))
    (told,) = house.tell(one(), now=NIGHT)
    assert told.persons == [""]
