"""What a person does with their notifications, and what they cannot do with another's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.errors import InputError, NotAllowed, UnknownName
from alphapulse_nb.events import stamp
from alphapulse_nb.notify import exchange, imported
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.people import ANYONE, LOCAL, SHARED, Person, Role
from alphapulse_nb.state.notification_tables import inbox, notifications, shown
from tests.actions.asking import Asking
from tests.notify.house import NOON, one

PAGE = "page-of-ann"
HUGE = 2**70


def told(ask: Asking, *keys: str) -> list[int]:
    """Tell everybody these; their ids."""
    return [new.id for new in ask.house.tell(*map(one, keys))]


def soon(ask: Asking) -> str:
    return stamp(ask.now + timedelta(days=30))


def file(*found: Notification) -> str:
    return exchange.dumps(found).decode()


def test_nobody_does_anything_with_what_is_anothers(ask: Asking) -> None:
    ann, bob = ask.user("ann"), ask.user("bob")
    ids = told(ask, "a", "b")
    undo = ask("remove", {"ids": None}, ann)["undo"]
    assert ask("restore", {"undo": undo}, bob) == {"changed": 0}
    assert ask("restore", {"undo": undo}) == {"changed": 0}
    assert (ask.titles(ann), ask.titles(bob), ask.titles()) == ([], ["b", "a"], ["b", "a"])
    assert ask("read", {"ids": ids}, bob) == {"changed": 2}
    assert ask("restore", {"undo": undo}, ann) == {"changed": 2}
    assert ask("inbox", None, ann)["unread"] == 2
    number = ask("snooze", {"rule": "rule", "until": soon(ask)}, ann)["id"]
    with pytest.raises(UnknownName, match="no snooze"):
        ask("wake", None, bob, id=number)
    ask("prefer", {"enabled": False}, bob)
    assert ask("preferences", None, ann)["enabled"] is True


def test_who_comes_by_a_shared_name_reads_what_all_without_one_read(ask: Asking) -> None:
    ann = ask.user("ann")
    told(ask, "a")
    ask("remove", {"ids": None}, ann)
    for person in (
        *(Person(name) for name in (SHARED, ANYONE, LOCAL)),
        Person("vouched", account=False),
    ):
        assert ask.titles(person) == ["a"]
        assert ask("inbox", None, person)["shared"] is True
    assert ask("inbox", None, ann)["shared"] is False


MADE_UP = (
    *("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-31T12:00:00.000001Z"),
    *("2026-01-31T12:00:00+00:01", "2026-01-31"),
)


def test_a_made_up_moment_brings_nothing_back(ask: Asking) -> None:
    told(ask, "a")
    ask("remove", {"ids": None})
    assert [ask("restore", {"undo": undo})["changed"] for undo in MADE_UP] == [0] * len(MADE_UP)
    assert ask.titles() == []


@pytest.mark.parametrize("undo", ["", "x", "0001-01-01T00:00:00+14:00", None, 5, ["now"], "\0"])
def test_what_is_no_moment_is_refused(still: Asking, undo: object) -> None:
    with pytest.raises(InputError, match=r"moment|undo is"):
        still("restore", {"undo": undo})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "no field 'ids'"),
        ({"ids": 1}, "a list of at most 1,000"),
        ({"ids": [1] * 1_001}, "a list of at most 1,000"),
        ({"ids": [HUGE]}, "a huge number"),
        ({"ids": [-1]}, "ids is -1"),
        ({"ids": [True]}, "ids is True"),
        ({"ids": ["1"]}, "ids is '1'"),
        ({"ids": [1.0]}, "ids is 1.0"),
        ({"ids": [], "id": 1}, "no field 'id'; did you mean ids"),
        ([], "an object with fields"),
        (None, "an object with fields"),
    ],
)
def test_ids_that_are_none_are_refused(still: Asking, body: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        still("remove", body)


def test_each_notification_is_shown_by_one_page_of_a_person(ask: Asking) -> None:
    ann, bob = ask.user("ann"), ask.user("bob")
    ids = told(ask, *(f"{number}" for number in range(40)))

    def claim(number: int) -> Any:
        turned = ids[number * 5 :] + ids[: number * 5]
        return ask("show", {"ids": turned, "page": f"{PAGE}-{number}"}, ann)["ids"]

    with ThreadPoolExecutor(8) as pages:
        given = [*pages.map(claim, range(8))]
    assert sorted(number for page in given for number in page) == ids
    assert ask("show", {"ids": ids, "page": PAGE}, bob)["ids"] == ids
    assert ask("show", {"ids": ids, "page": "another-page"}, bob)["ids"] == []


def test_of_a_shared_name_each_browser_shows_it_once(ask: Asking) -> None:
    ids = told(ask, "a", "b", "c")

    def claim(number: int) -> Any:
        return ask("show", {"ids": ids, "page": f"browser-{number % 2}"})["ids"]

    with ThreadPoolExecutor(8) as pages:
        given = [*pages.map(claim, range(8))]
    for browser in (0, 1):
        assert sorted(number for page in given[browser::2] for number in page) == ids


def test_nothing_is_shown_that_is_read_removed_held_old_or_anothers(ask: Asking) -> None:
    ann = ask.user("ann")
    read, removed, old, fresh = told(ask, "read", "removed", "old", "fresh")
    ask("read", {"ids": [read]}, ann)
    ask("remove", {"ids": [removed]}, ann)
    past = notifications.c.created_at - timedelta(days=3)
    ask.house.run(sa.update(notifications).where(notifications.c.id == old).values(created_at=past))
    ask("prefer", {"enabled": False}, ann)
    (held,) = told(ask, "held")
    ask("import", {"file": file(one("imported"))})
    (mine,) = ask("notifications", limit=1)["notifications"]
    ids = [read, removed, old, fresh, held, mine["id"], 1_000_000]
    assert ask("show", {"ids": ids, "page": PAGE}, ann) == {"ids": [fresh]}


def test_a_crowd_of_pages_leaves_no_more_than_a_hundred_rows(ask: Asking) -> None:
    (number,) = told(ask, "a")
    for page in range(110):
        ask("show", {"ids": [number], "page": f"made-up-{page}"})
    assert len(ask.house.rows(sa.select(shown))) == 100
    past = notifications.c.created_at - timedelta(days=3)
    ask.house.run(sa.update(notifications).values(created_at=past))
    ask.house.inbox.expire(NOON - timedelta(days=90))
    assert ask.house.rows(sa.select(shown)) == []


@pytest.mark.parametrize(
    "page", ["short", "a" * 65, "with space", "page-of-ann\n", "ä" * 9, 5, None]
)
def test_a_page_has_a_name_of_its_own(still: Asking, page: object) -> None:
    with pytest.raises(InputError, match="page is"):
        still("show", {"ids": [], "page": page})


def test_a_history_goes_out_and_comes_back_as_the_same_bytes(ask: Asking) -> None:
    ann = ask.user("ann")
    odd = one("odd", title='"<b>é\u2028😀', labels={"z": "1", "a": "2"}, confidence=0.1, alert=None)
    ask.house.tell(one("a"), odd, one("c", confidence=1e-300))
    kept = ask("export", None, ann)["file"]
    assert exchange.loads(kept.encode()) == [one("a"), odd, one("c", confidence=1e-300)]
    assert ask("import", {"file": kept}, ann) == {"imported": 0, "known": 3}
    ask("remove", {"ids": None}, ann)
    assert ask("export", None, ann)["file"] == file()
    assert ask("import", {"file": kept}, ann) == {"imported": 3, "known": 0}
    assert ask("export", None, ann)["file"] == kept
    # Into a history that has none of it.
    bob = ask.user("bob")
    assert ask("import", {"file": kept}, bob) == {"imported": 3, "known": 0}
    assert ask("export", None, bob)["file"] == kept
    ask("remove", {"ids": None}, bob)
    assert ask("import", {"file": kept}, bob) == {"imported": 3, "known": 0}
    assert ask("export", None, bob)["file"] == kept
    assert len(ask.house.rows(sa.select(notifications))) == 6


def test_what_is_imported_is_seen_by_nobody_else_and_keeps_nothing_from_being_told(
    ask: Asking,
) -> None:
    ann, bob = ask.user("ann"), ask.user("bob")
    ask("import", {"file": file(one("a", title="imported"))}, ann)
    summary = ask("inbox", None, ann)
    assert (summary["total"], summary["unread"], summary["last_hour"]) == (1, 0, 0)
    assert (summary["person"], summary["shared"], summary["role"]) == ("ann", False, "viewer")
    assert (ask.titles(ann), ask.titles(bob), ask.titles()) == (["imported"], [], [])
    ask.house.tell(one("a", title="told"))
    assert (ask.titles(ann), ask.titles(bob)) == (["told", "imported"], ["told"])
    # There is one of each key in a file: the one that was told last.
    kept = ask("export", None, ann)["file"]
    assert kept == file(one("a", title="told"))
    ask("remove", {"ids": None}, ann)
    assert ask("import", {"file": kept}, ann) == {"imported": 1, "known": 0}
    assert ask.titles(ann) == ["told"]
    assert ask("export", None, ann)["file"] == kept


def test_what_was_held_back_can_be_imported(ask: Asking) -> None:
    ann = ask.user("ann")
    ask("prefer", {"enabled": False}, ann)
    ask.house.tell(one("a"))
    assert ask("import", {"file": file(one("a"))}, ann) == {"imported": 1, "known": 0}
    assert ask.titles(ann) == ["a"]


def test_two_imports_at_once_bring_each_notification_once(ask: Asking) -> None:
    ann = ask.user("ann")
    kept = file(*(one(f"{number}") for number in range(200)))
    with ThreadPoolExecutor(4) as pages:
        done = [*pages.map(lambda _: ask("import", {"file": kept}, ann), range(4))]
    assert sum(answer["imported"] for answer in done) == 200
    assert sum(answer["known"] for answer in done) == 600
    assert ask("export", None, ann)["file"] == kept


def test_a_file_of_ten_thousand_is_taken_and_one_more_is_not(ask: Asking) -> None:
    many = [one(f"{number:05}") for number in range(exchange.MOST)]
    kept = file(*many)
    assert ask("import", {"file": kept}) == {"imported": exchange.MOST, "known": 0}
    assert ask("export")["file"] == kept
    more = kept.replace('{"notifications":[', '{"notifications":[' + file(one("x")).split("\n")[1])
    with pytest.raises(InputError, match=r"10,001|not JSON"):
        ask("import", {"file": more})


def test_nobody_brings_more_than_there_is_room_for(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = ask.user("ann"), ask.user("bob")
    monkeypatch.setattr(imported, "MOST", 3)
    ask.house.tell(*(one(f"told {number}") for number in range(5)))
    ask("import", {"file": file(one("a"), one("b"))}, ann)
    with pytest.raises(InputError, match="imported more than"):
        ask("import", {"file": file(one("c"), one("d"))}, ann)
    # Not one of them was taken, and what is removed still takes its place.
    assert len(ask.titles(ann)) == 7
    ask("remove", {"ids": None}, ann)
    with pytest.raises(InputError, match="imported more than"):
        ask("import", {"file": file(one("c"), one("d"))}, ann)
    ask("import", {"file": file(one("c"), one("d"))}, bob)
    monkeypatch.setattr(imported, "MOST_BYTES", 3_000)
    with pytest.raises(InputError, match="imported more than"):
        ask("import", {"file": file(one("e", message="x" * 3_000))}, bob)
    assert len(ask.house.rows(sa.select(inbox).where(inbox.c.reason == "imported"))) == 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (5, "file is 5"),
        ("", "not JSON"),
        ("\ud800", "half of a character"),
        ("{}", "no field 'notifications'"),
        ('{"notifications":[{}],"version":1}', "item 1: key is missing"),
        (file(one("a"))[:-30], "not JSON"),
        (file(one("a")).replace('"late":false', '"late":NaN'), "NaN is no number"),
        (file(one("a")).replace('"late":false', '"late":false,"late":true'), "given twice"),
        (file(one("a")).replace("confidence 90", "\\u0000"), "U.0000"),
        ("[" * 100_000, "nests too deep|not JSON"),
        ("x" * 20_000_001, "20,000,001 bytes"),
    ],
    ids=range(11),
)
def test_a_file_that_is_none_is_refused_and_nothing_is_taken(
    still: Asking, given: object, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        still("import", {"file": given})
    assert still.titles() == []


def test_an_action_looks_at_the_role_before_anything_else(still: Asking) -> None:
    with pytest.raises(NotAllowed, match="takes the role operator; yours is viewer"):
        still("connect", {"address": "nonsense"}, Person("ann"), name="\0")
    assert json.dumps(still("channels", None, Person("ann", Role.OPERATOR)))


def test_a_person_snoozes_within_bounds(ask: Asking) -> None:
    ask("snooze", {"labels": {"symbol": "BTC/USDT"}, "until": soon(ask), "rule": None})
    (kept,) = ask("snoozes")["snoozes"]
    assert kept == {
        "id": kept["id"],
        "rule": None,
        "labels": {"symbol": "BTC/USDT"},
        "alert": None,
        "until": soon(ask),
    }
    ask("wake", id=kept["id"])
    assert ask("snoozes") == {"snoozes": []}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "names a rule, an alert or labels"),
        ({"rule": "x"}, "without an end"),
        ({"rule": "", "until": "soon"}, "rule is empty"),
        ({"rule": 5, "until": "soon"}, "rule is 5"),
        ({"rule": "x", "until": "2026-01-31T12:00:00Z"}, "within a year"),
        ({"rule": "x", "until": "2100-01-01"}, "within a year"),
        ({"rule": "x", "until": "9999-12-31T23:59:59-14:00"}, "no moment"),
        ({"rule": "x", "until": 5}, "until is 5"),
        ({"labels": {}, "until": "soon"}, "names a rule, an alert or labels"),
        ({"labels": [], "alert": "x"}, "labels is"),
        ({"labels": {"x": 5}, "alert": "x"}, "labels.x is 5"),
        ({"labels": {"x": "y" * 1_001}, "alert": "x"}, "1,001 characters"),
        ({"labels": {f"{n}": "" for n in range(21)}, "alert": "x"}, "at most 20"),
        ({"alert": "x\0"}, "U.0000"),
        ({"alert": "x", "for": "1h"}, "no field 'for'"),
    ],
)
def test_a_snooze_that_makes_no_sense_is_refused(
    still: Asking, given: dict[str, Any], words: str
) -> None:
    said = given | ({"until": soon(still)} if given.get("until") == "soon" else {})
    with pytest.raises(InputError, match=words):
        still("snooze", said)
    assert still("snoozes") == {"snoozes": []}
