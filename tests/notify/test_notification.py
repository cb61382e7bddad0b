"""Notifications: what one holds, what it refuses, and its form in JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.notification import Notification, Priority, Type, of_plain
from tests.notify.notifications import AT, any_notification, notification

PLAIN = {
    "key": "signals:7",
    "type": "signal",
    "priority": "high",
    "title": "LONG BTC/USDT",
    "message": "confidence 90 %, entry at 64,000",
    "at": "2026-01-31T12:00:00Z",
    "symbol": "BTC/USDT",
    "rule": "strong signals",
    "labels": {"exchange": "binance", "symbol": "BTC/USDT"},
    "confidence": 0.9,
    "risk_reward_ratio": 2.5,
    "late": False,
    "alert": "strong signals:BTC/USDT",
    "resolved": False,
}


def test_a_notification_is_a_json_object_whose_fields_have_an_order() -> None:
    assert json.dumps(notification().plain()) == json.dumps(PLAIN)
    assert of_plain(PLAIN) == notification()


def test_its_plain_form_holds_nothing_that_only_python_knows() -> None:
    plain = notification().plain()
    assert {type(value) for value in plain.values()} == {str, dict, float, bool}


@settings(deadline=None)
@given(any_notification)
def test_whatever_a_notification_holds_comes_back_by_way_of_json(there: Notification) -> None:
    assert of_plain(json.loads(json.dumps(there.plain()))) == there


@settings(deadline=None)
@given(any_notification)
def test_the_order_of_its_fields_is_always_the_same(there: Notification) -> None:
    assert list(there.plain()) == list(PLAIN)
    assert list(there.plain()["labels"]) == sorted(there.labels)


def test_most_of_it_may_be_left_out() -> None:
    least = Notification("1", Type.INFO, Priority.LOW, "The desk is open", "", AT)
    assert [name for name, value in least.plain().items() if value in (None, False, {})] == [
        *("symbol", "rule", "labels", "confidence", "risk_reward_ratio"),
        *("late", "alert", "resolved"),
    ]


def test_a_moment_becomes_one_in_utc() -> None:
    noon = datetime(2026, 1, 31, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    there = notification(at=noon)
    assert (there.at, there.at.tzinfo) == (AT, UTC)
    assert there.plain()["at"] == "2026-01-31T12:00:00Z"


def test_notifications_can_be_gathered_in_a_set() -> None:
    assert len({notification(), notification(), notification(key="signals:8")}) == 2


def test_whole_numbers_are_written_as_fractions_are() -> None:
    assert json.dumps(notification(confidence=1).plain()["confidence"]) == "1.0"


@pytest.mark.parametrize(
    ("one", "other", "enough"),
    [
        ("low", "low", True),
        ("low", "medium", False),
        ("medium", "low", True),
        ("medium", "high", False),
        ("high", "medium", True),
        ("high", "urgent", False),
        ("urgent", "high", True),
        ("urgent", "low", True),
    ],
)
def test_priorities_have_an_order(one: str, other: str, enough: bool) -> None:
    assert Priority(one).at_least(Priority(other)) is enough


REFUSED = [
    ("key", "", "key is empty"),
    ("key", None, "key is None; it must be text"),
    ("key", 7, "key is 7; it must be text"),
    ("type", "signals", "type is 'signals'; did you mean signal?"),
    ("type", "xyz", "type is 'xyz' (allowed are info, success, warning, error,"),
    ("type", None, "type is None"),
    ("priority", "Urgent", "priority is 'Urgent'; did you mean urgent?"),
    ("priority", ["low"], "priority is a value of the type list"),
    ("title", "", "title is empty"),
    ("title", "half \ud83d", "title has U+D83D at character 6"),
    ("message", "a\0b", "message has U+0000 at character 2"),
    ("message", "x" * 10_001, "message has 10,001 characters; it may have 10,000"),
    ("symbol", "", "symbol is empty"),
    ("symbol", 5, "symbol is 5"),
    ("rule", "\udc00", "rule has U+DC00"),
    ("labels", [], "labels is a value of the type list; it must be an object of texts"),
    ("labels", None, "labels is None"),
    ("labels", {"size": 5}, "labels['size'] is 5; it must be text"),
    ("labels", {"\ud800": "x"}, "labels has U+D800"),
    ("labels", {"x": "\ud800"}, "labels['x'] has U+D800"),
    ("labels", {str(n): "" for n in range(101)}, "labels has 101 entries; it may have 100"),
    ("confidence", "high", "confidence is 'high'; it must be a finite number"),
    ("confidence", True, "confidence is True"),
    ("confidence", math.nan, "confidence is nan"),
    ("risk_reward_ratio", math.inf, "risk_reward_ratio is inf"),
    ("risk_reward_ratio", 10**400, "risk_reward_ratio is a huge number"),
    pytest.param("confidence", 10**5000, "confidence is a huge number", id="5,000 digits"),
    ("late", 0, "late is 0; it must be true or false"),
    ("resolved", None, "resolved is None"),
    ("alert", "", "alert is empty"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_what_cannot_be_kept_is_refused_by_name(name: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as made:
        notification(**{name: value})
    assert str(made.value).startswith(words)
    with pytest.raises(InputError) as read:
        of_plain({**PLAIN, name: value})
    assert str(read.value) == str(made.value)
    str(made.value).encode()


def test_a_moment_without_a_zone_or_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InputError, match="at is a value of the type datetime; it must be a moment"):
        notification(at=AT.replace(tzinfo=None))
    edge = datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))
    with pytest.raises(InputError, match="at is beyond the calendar"):
        notification(at=edge)


@pytest.mark.parametrize(
    "at", ["", "yesterday", 5, None, AT, "0001-01-01T00:00:00+01:00", "2026-01-31T12:00\ud800"]
)
def test_a_plain_moment_is_a_text_in_iso_8601(at: Any) -> None:
    with pytest.raises(InputError, match=r"at is .*; it must be a moment such as 2026-01-31T12"):
        of_plain({**PLAIN, "at": at})


@pytest.mark.parametrize("missing", list(PLAIN))
def test_a_plain_one_that_lacks_a_field_is_refused(missing: str) -> None:
    with pytest.raises(InputError, match=f"^{missing} is missing"):
        of_plain({name: value for name, value in PLAIN.items() if name != missing})


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({**PLAIN, "titel": "x"}, "no field 'titel'; did you mean title?"),
        ({**PLAIN, "zzz": "x"}, "no field 'zzz'; known: key, type, priority, title,"),
        ({**PLAIN, "\ud800" * 70: "x"}, "no field '\\ud800"),
        ({5: "x"}, "no field 5; known"),
        ([], "is an object with fields, not a value of the type list"),
        (None, "is an object with fields, not None"),
        ("signal", "is an object with fields, not 'signal'"),
    ],
)
def test_what_is_no_notification_is_refused(plain: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        of_plain(plain)
    assert words in str(error.value)
    str(error.value).encode()
