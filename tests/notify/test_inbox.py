"""Inboxes: what each person sees, marks, removes, snoozes and prefers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.decide import Snooze
from alphapulse_nb.notify.inbox import MOST, Summary
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.state.notification_tables import (
    deliveries,
    inbox,
    notifications,
    preferences,
    shown,
    snoozes,
)
from tests.notify.house import AWAKE, NIGHT, NOON, SECOND, House, one

HOUR = timedelta(hours=1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
HUGE = 2**70


def told(house: House, *keys: str) -> dict[str, int]:
    """Tell these; their ids."""
    return {new.notification.key: new.id for new in house.tell(*map(one, keys))}


def test_the_newest_come_first_a_page_at_a_time(house: House) -> None:
    told(house, *(f"{number}" for number in range(7)))
    pages, before = [], None
    while page := house.inbox.listed("", before=before, most=3):
        pages.append([entry.notification.title for entry in page])
        before = page[-1].id
        # What comes meanwhile shifts no page.
        house.tell(one(f"new {before}"))
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


def test_a_page_has_an_end(house: House) -> None:
    told(house, *(f"{number}" for number in range(MOST + 1)))
    assert len(house.inbox.listed("", most=HUGE)) == MOST


def test_an_entry_is_the_notification_as_it_was_told(house: House) -> None:
    house.tell(one())
    (entry,) = house.entries()
    assert entry.notification == one()
    assert (entry.outcome, entry.reason) == ("sent", "nothing speaks against it")
    assert (entry.due_at, entry.read_at, entry.acknowledged_by) == (None, None, None)


def test_nobody_sees_what_others_have(house: House) -> None:
    house.user("ann")
    house.user("bob")
    ids = told(house, "a", "b")
    house.inbox.mark("ann", [ids["a"]])
    house.inbox.remove("ann", [ids["b"]], NOON)
    assert house.titles("ann") == ["a"]
    assert house.titles("bob", unread=True) == ["b", "a"]
    assert house.inbox.restore("bob", NOON) == 0
    assert house.titles("carol") == []


def test_read_and_unread(house: House) -> None:
    ids = told(house, "a", "b", "c")
    assert house.inbox.mark("", [ids["a"], ids["b"]]) == 2
    assert house.inbox.mark("", [ids["a"]]) == 0
    assert house.titles(unread=True) == ["c"]
    assert house.inbox.mark("", [ids["b"], ids["c"]], read=False) == 1
    assert house.titles(unread=True) == ["c", "b"]
    assert house.inbox.mark("", None) == 2
    assert house.titles(unread=True) == []
    assert house.inbox.mark("", None, read=False) == 3


def test_marking_again_keeps_when_it_was_read_first(house: House) -> None:
    told(house, "a")
    house.inbox.mark("", None)
    (first,) = house.entries()
    house.inbox.mark("", None)
    assert house.entries() == [first]


@pytest.mark.parametrize("ids", [[], [HUGE], [-HUGE], [0], [10**6]])
def test_ids_that_nobody_has_change_nothing(house: House, ids: list[int]) -> None:
    told(house, "a")
    assert house.inbox.mark("", ids) == 0
    assert house.inbox.remove("", ids, NOON) == 0
    assert house.titles(unread=True) == ["a"]


def test_what_is_removed_can_be_brought_back(house: House) -> None:
    ids = told(house, "a", "b", "c")
    house.inbox.mark("", [ids["a"]])
    assert house.inbox.remove("", [ids["a"], ids["b"]], NOON) == 2
    assert house.titles() == ["c"]
    assert house.inbox.remove("", None, NOON + SECOND) == 1
    assert house.titles() == []
    assert house.inbox.remove("", None, NOON + HOUR) == 0
    assert house.inbox.restore("", NOON) == 2
    assert house.titles() == ["b", "a"]
    assert house.titles(unread=True) == ["b"]
    assert house.inbox.restore("", NOON) == 0
    assert house.inbox.restore("", NOON + SECOND) == 1


def test_what_is_removed_is_not_marked(house: House) -> None:
    told(house, "a", "b")
    house.inbox.remove("", None, NOON)
    assert house.inbox.mark("", None) == 0
    house.inbox.restore("", NOON)
    assert len(house.titles(unread=True)) == 2


def test_marking_and_removing_all_leaves_what_quiet_hours_still_keep(house: House) -> None:
    house.tell(one("day"))
    house.tell(one("night"), now=NIGHT)
    assert house.inbox.mark("", None) == 1
    assert house.inbox.remove("", None, NIGHT) == 1
    (late,) = house.digests()
    assert late.notification.title == "night"
    assert house.titles(unread=True) == ["night"]


def test_what_was_kept_can_be_read_and_removed_one_by_one(house: House) -> None:
    (kept,) = house.tell(one("night"), now=NIGHT)
    assert house.inbox.mark("", [kept.id]) == 1
    assert house.inbox.remove("", [kept.id], NIGHT) == 1
    assert house.titles(held=True) == []


VARIED = [
    one("btc signal"),
    one("eth signal", symbol="ETH/USDT", priority=Priority.URGENT, rule="other"),
    one("system", type=Type.SYSTEM, symbol=None, rule=None, priority=Priority.LOW),
]


@pytest.mark.parametrize(
    ("wanted", "titles"),
    [
        ({}, ["system", "eth signal", "btc signal"]),
        ({"types": [Type.SIGNAL]}, ["eth signal", "btc signal"]),
        ({"types": [Type.SIGNAL, Type.SYSTEM]}, ["system", "eth signal", "btc signal"]),
        ({"types": []}, []),
        ({"priorities": [Priority.URGENT, Priority.LOW]}, ["system", "eth signal"]),
        ({"priorities": []}, []),
        ({"symbol": "ETH/USDT"}, ["eth signal"]),
        ({"symbol": "eth/usdt"}, []),
        ({"symbol": ""}, []),
        ({"rule": "strong signals"}, ["btc signal"]),
        ({"rule": "strong"}, []),
        ({"types": [Type.SIGNAL], "rule": "other", "words": "ETH"}, ["eth signal"]),
        ({"types": [Type.SYSTEM], "rule": "other"}, []),
        ({"held": True}, []),
    ],
)
def test_a_filter_shows_what_meets_all_of_it(
    house: House, wanted: dict[str, Any], titles: list[str]
) -> None:
    house.tell(*VARIED)
    assert house.titles(**wanted) == titles


def test_what_was_held_back_has_a_list_of_its_own(house: House) -> None:
    house.inbox.prefer("", replace(AWAKE, types={Type.SYSTEM: False}))
    house.tell(*VARIED)
    assert house.titles() == ["eth signal", "btc signal"]
    (held,) = house.entries(held=True)
    assert held.notification.title == "system"
    assert held.reason == "your notifications of type system are off"


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("%", ["%(x)s :x", "15 % up"]),
        ("_", ["a_b"]),
        ("\\", ["back\\slash"]),
        ("/", ["a/b"]),
        ("a_b", ["a_b"]),
        ("15 %", ["15 % up"]),
        ("'", ["o'clock"]),
        (":x", ["%(x)s :x"]),
        ("%(x)s", ["%(x)s :x"]),
        ("ÄRGER", ["Ärger"]),
        ("BACK", ["back\\slash"]),
        ("entry", ["%(x)s :x", "Ärger", "o'clock", "back\\slash", "a/b", "a_b", "15 % up"]),
        ("up said", []),
        ("nowhere", []),
    ],
)
def test_words_are_found_as_they_are_written(house: House, words: str, titles: list[str]) -> None:
    texts = ["15 % up", "a_b", "a/b", "back\\slash", "o'clock", "Ärger", "%(x)s :x"]
    house.tell(*(one(text, message="entry said") for text in texts))
    assert house.titles(words=words) == titles


@pytest.mark.parametrize("field", ["words", "symbol", "rule"])
@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x" * 10_001])
def test_text_that_no_row_holds_is_refused_by_name(house: House, field: str, bad: str) -> None:
    with pytest.raises(InputError, match=f"^{field} has"):
        house.titles(**{field: bad})


def test_the_summary_counts_what_was_told(house: House) -> None:
    house.inbox.prefer("", AWAKE)
    assert house.inbox.summary("", NOON) == Summary(0, 0, 0, 0)
    ids = told(house, "a", "b", "c", "d")
    house.inbox.prefer("", Preferences(enabled=False))
    house.tell(one("held"))
    house.inbox.mark("", [ids["a"]])
    house.inbox.remove("", [ids["b"]], NOON)
    now = datetime.now(UTC)
    old = sa.update(notifications).where(notifications.c.id == ids["c"])
    house.run(old.values(created_at=now - HOUR - SECOND))
    assert house.inbox.summary("", now) == Summary(3, 2, 2, ids["d"])


def test_preferences_are_kept_for_each_person(house: House) -> None:
    assert house.inbox.preferences("ann") == Preferences()
    wanted = Preferences(zone="Asia/Tokyo", max_on_screen=7)
    house.inbox.prefer("ann", wanted)
    house.inbox.prefer("ann", replace(wanted, min_confidence=0.5))
    assert house.inbox.preferences("ann") == replace(wanted, min_confidence=0.5)
    assert house.inbox.preferences("") == Preferences()
    rows = house.rows(sa.select(preferences))
    assert len(rows) == 1


def test_a_snooze_lasts_until_its_time(house: House) -> None:
    house.inbox.snooze("", Snooze(rule="strong signals", until=NOON + HOUR))
    house.tell(one("snoozed"))
    house.tell(one("later"), now=NOON + HOUR)
    assert house.titles() == ["later"]
    (held,) = house.entries(held=True)
    assert held.reason == "you snoozed it until 2026-01-31 13:00 UTC"


@pytest.mark.parametrize(
    ("snooze", "covers"),
    [
        (Snooze(rule="strong signals", until=FAR), True),
        (Snooze(rule="another", until=FAR), False),
        (Snooze(labels={"symbol": "BTC/USDT"}, until=FAR), True),
        (Snooze(labels={"symbol": "ETH/USDT"}, until=FAR), False),
        (Snooze(labels={}, until=FAR), False),
        (Snooze(rule="strong signals", labels={}, until=FAR), True),
        (Snooze(alert="alert a", until=FAR), True),
        (Snooze(alert="alert a"), True),
        (Snooze(alert="alert b"), False),
    ],
)
def test_a_snooze_comes_back_as_it_was_and_covers_what_it_names(
    house: House, snooze: Snooze, covers: bool
) -> None:
    for key in ("a", "b"):
        house.open_alert(f"alert {key}")
    number = house.inbox.snooze("", snooze)
    assert house.inbox.snoozed("") == {number: snooze}
    house.tell(one())
    assert house.titles() == ([] if covers else ["a"])


def test_a_snooze_is_of_one_person_and_can_be_ended(house: House) -> None:
    house.user("ann")
    number = house.inbox.snooze("ann", Snooze(rule="strong signals", until=FAR))
    assert house.inbox.wake("", number) is False
    assert house.inbox.snoozed("") == {}
    house.tell(one("a"))
    assert (house.titles("ann"), house.titles()) == ([], ["a"])
    assert house.inbox.wake("ann", number) is True
    assert house.inbox.wake("ann", number) is False
    house.tell(one("b"))
    assert house.titles("ann") == ["b"]


def fill(house: House, number: int, **values: Any) -> None:
    rows = [{"person": "", "rule": f"rule {n}", **values} for n in range(number)]
    house.run(sa.insert(snoozes).values(rows))


def test_nobody_snoozes_more_than_two_hundred_things(house: House) -> None:
    fill(house, 200, until=FAR)
    with pytest.raises(InputError, match="200 things already"):
        house.inbox.snooze("", Snooze(rule="one more", until=FAR))
    house.inbox.snooze("ann", Snooze(rule="somebody else's", until=FAR))
    house.inbox.wake("", next(iter(house.inbox.snoozed(""))))
    house.inbox.snooze("", Snooze(rule="one more", until=FAR))


def test_snoozes_that_are_over_are_neither_shown_nor_counted_nor_kept(house: House) -> None:
    house.open_alert("open")
    house.open_alert("closed", closed_at=NOON)
    lasting = [Snooze(alert="open"), Snooze(rule="rule"), Snooze(rule="rule", until=FAR)]
    numbers = [house.inbox.snooze("", snooze) for snooze in lasting]
    fill(house, 200, until=NOON)
    fill(house, 100, alert="closed", until=None)
    fill(house, 100, alert="removed", until=None)
    assert list(house.inbox.snoozed("")) == numbers
    house.inbox.snooze("", Snooze(rule="one more", until=FAR))
    assert len(house.rows(sa.select(snoozes))) == 4
    house.close_alert("open")
    assert len(house.inbox.snoozed("")) == 3


@pytest.mark.parametrize(
    "snooze",
    [
        Snooze(rule="a\0", until=FAR),
        Snooze(alert="\ud800"),
        Snooze(labels={"\0": "x"}, until=FAR),
        Snooze(labels={"x": "\0"}, until=FAR),
    ],
)
def test_a_snooze_that_no_row_holds_is_refused(house: House, snooze: Snooze) -> None:
    with pytest.raises(InputError, match="what is snoozed has U"):
        house.inbox.snooze("", snooze)


def test_who_acknowledges_first_looks_after_an_alert(house: House) -> None:
    house.open_alert("alert a")
    house.user("ann")
    house.tell(one())
    assert house.inbox.acknowledge("alert a", "Ann") == "Ann"
    assert house.inbox.acknowledge("alert a", "Bob") == "Ann"
    assert house.inbox.acknowledge("alert b", "Bob") is None
    with pytest.raises(InputError, match="alert has U"):
        house.inbox.acknowledge("\0", "Bob")
    for person in ("", "ann"):
        (entry,) = house.entries(person)
        assert entry.acknowledged_by == "Ann"


def test_a_notification_without_an_alert_is_listed_like_others(house: House) -> None:
    house.open_alert("alert a")
    house.tell(one("b", alert=None))
    assert house.titles() == ["b"]


def test_what_is_old_goes_with_all_that_belongs_to_it(house: House) -> None:
    house.user("ann")
    ids = told(house, "a", "b", "c", "d", "e")
    house.ask("hook", key="f")
    house.inbox.show("ann", [*ids.values()])
    old = sa.update(notifications).where(notifications.c.id != ids["e"])
    house.run(old.values(created_at=NOON))
    gone = [house.inbox.expire(NOON + SECOND, portion=2) for _ in range(4)]
    assert gone == [2, 2, 1, 0]
    assert house.inbox.expire(NOON) == 0
    assert house.titles() == house.titles("ann") == ["e"]
    assert len(house.rows(sa.select(inbox))) == 2
    assert house.rows(sa.select(deliveries)) == []
    assert [row.notification for row in house.rows(sa.select(shown))] == [ids["e"]]


def test_a_search_reads_no_more_than_the_title_and_the_message(house: House) -> None:
    house.tell(one(labels={"secret": "needle"}, message="hay"))
    assert house.titles(words="needle") == []
    assert house.titles(words="a hay") == ["a"]
