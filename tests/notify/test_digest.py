"""Digests: what quiet hours kept, in one notification."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.digest import digest
from alphapulse_nb.notify.notification import Notification, Priority, Type
from tests.notify.notifications import AT, any_notification, moments, notification, zones

MORNING = datetime(2026, 2, 1, 8, tzinfo=UTC)


def kept(number: int, priority: Priority = Priority.LOW, **others: object) -> Notification:
    """The one that happened `number` minutes after noon."""
    return notification(
        key=f"kept:{number}",
        priority=priority,
        title=f"Number {number}",
        at=AT + timedelta(minutes=number),
        **others,
    )


def test_a_digest_counts_what_was_kept_and_names_the_five_that_matter_most() -> None:
    night = [
        *(kept(number, type=Type.INFO) for number in range(6)),
        kept(2_000, Priority.HIGH, resolved=True),
        kept(7, Priority.MEDIUM, type=Type.PREDICTION),
        kept(8, Priority.MEDIUM, type=Type.ERROR),
        kept(1_000, Priority.HIGH),
        kept(9, Priority.HIGH),
    ]
    assert digest(night, MORNING, "Asia/Kolkata").plain() == {
        **Notification(
            key="digest:16",
            type=Type.INFO,
            priority=Priority.HIGH,
            title="11 notifications during quiet hours",
            message="By priority: 3 high, 2 medium, 6 low\n"
            "By type: 6 info, 1 error, 1 prediction, 3 signal\n"
            "2026-02-01 10:10 Number 1000\n"
            "2026-01-31 17:39 Number 9\n"
            "2026-02-02 02:50 Number 2000\n"
            "2026-01-31 17:38 Number 8\n"
            "2026-01-31 17:37 Number 7\n"
            "and 6 more\n"
            "Times are Asia/Kolkata.",
            at=MORNING,
        ).plain(),
        "key": digest(night, MORNING, "UTC").key,
    }


def test_up_to_five_are_all_named() -> None:
    message = digest([kept(number) for number in range(5)], MORNING, "").message
    assert message.count("Number") == 5
    assert "more" not in message
    assert message.endswith("Times are UTC.")


@pytest.mark.parametrize(
    ("priorities", "own"),
    [
        (["low", "low"], "low"),
        (["low", "medium"], "medium"),
        (["high", "low"], "high"),
        (["low", "urgent"], "high"),
    ],
)
def test_a_digest_is_as_important_as_the_greatest_in_it_but_never_urgent(
    priorities: list[str], own: str
) -> None:
    night = [kept(number, Priority(level)) for number, level in enumerate(priorities)]
    assert digest(night, MORNING, "").priority == own


@settings(deadline=None)
@given(any_notification, moments, zones)
def test_one_that_was_kept_alone_is_told_as_it_is(
    alone: Notification, now: datetime, zone: str
) -> None:
    assert digest([alone], now, zone) is alone
    assert digest([alone, alone], now, zone) == alone


def test_there_is_no_digest_of_nothing() -> None:
    with pytest.raises(InputError, match="at least one notification"):
        digest([], MORNING, "")


many = st.lists(any_notification, min_size=2, max_size=8, unique_by=lambda one: one.key)


@settings(deadline=None)
@given(many, zones, st.data())
def test_the_order_in_which_they_were_kept_does_not_count(
    night: list[Notification], zone: str, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(night))
    assert digest(night, MORNING, zone) == digest(other, MORNING, zone)
    assert digest([*night, night[0]], MORNING, zone) == digest(night, MORNING, zone)


@settings(deadline=None)
@given(many, zones)
def test_its_key_follows_from_all_the_keys_and_nothing_else(
    night: list[Notification], zone: str
) -> None:
    key = digest(night, MORNING, zone).key
    renamed = [notification(key=one.key) for one in night]
    assert digest(renamed, MORNING + timedelta(days=1), "").key == key
    assert digest([*night, notification(key=key)], MORNING, zone).key != key


@pytest.mark.parametrize(
    ("one", "other"), [(["a", "b,c"], ["a,b", "c"]), (['a", "b', "c"], ["a", 'b", "c'])]
)
def test_keys_with_any_character_are_told_apart(one: list[str], other: list[str]) -> None:
    digests = [
        digest([notification(key=key) for key in keys], MORNING, "") for keys in (one, other)
    ]
    assert digests[0].key != digests[1].key


def test_a_long_title_or_one_of_several_lines_is_one_short_line() -> None:
    long, broken = kept(1, rule="x"), kept(2)
    night = [
        Notification(**{**vars(long), "title": "x" * 10_000}),
        Notification(**{**vars(broken), "title": "two\nlines\u2028and more"}),
    ]
    lines = digest(night, MORNING, "").message.splitlines()
    assert lines[2] == "2026-01-31 12:02 two lines and more"
    assert lines[3] == f"2026-01-31 12:01 {'x' * 119}…"
