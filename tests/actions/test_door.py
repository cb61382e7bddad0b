"""What a notebook's widgets ask of the kernel, for the person who runs it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from alphapulse_nb.actions import ACTIONS
from alphapulse_nb.actions.door import Door
from alphapulse_nb.alerts import files
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.dashboard import Dashboard
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.people import Role
from alphapulse_nb.state import State, Users
from tests.notify.house import House

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def door(house: House, db: Database) -> Iterator[Door]:
    made = Door(db, lambda: NOON)
    yield made
    made.close()


def told(key: str) -> Notification:
    return Notification(key, Type.INFO, Priority.LOW, key, "", NOON)


def test_without_an_account_one_reads_what_everybody_is_told(house: House, door: Door) -> None:
    house.tell(told("a"))
    assert [one["key"] for one in door("notifications", {}, None)["notifications"]] == ["a"]
    said = door("inbox", {}, None)
    assert (said["person"], said["role"], said["shared"]) == (getpass.getuser(), "admin", True)


def test_with_an_account_one_reads_ones_own(house: House, door: Door, state: State) -> None:
    Users(state).add(getpass.getuser(), "correct horse battery", Role.VIEWER)
    house.tell(told("a"))
    door("read", {}, {"ids": None, "read": True})
    assert (door("inbox", {}, None)["unread"], door("inbox", {}, None)["shared"]) == (0, False)
    assert house.inbox.summary("", NOON).unread == 1


@pytest.mark.parametrize(
    ("name", "values", "body", "code"),
    [
        ("no such thing", {}, None, "unknown_name"),
        ("drop", {"name": "no such rule"}, None, "unknown_name"),
        ("wake", {"id": 7}, None, "unknown_name"),
        ("read", {}, None, "bad_parameter"),
        ("read", {}, {"ids": "all"}, "bad_parameter"),
        ("prefer", {}, {"zone": "Nowhere"}, "bad_parameter"),
        ("save", {"name": "x"}, {"rule": {"name": "x"}, "version": 0}, "bad_rule"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_code(
    door: Door, name: str, values: dict[str, object], body: object, code: str
) -> None:
    error = door(name, values, body)["error"]
    assert error["code"] == code
    assert error["message"]
    assert ("problems" in error) is (code == "bad_rule")


def test_a_rule_that_was_changed_meanwhile_is_a_conflict(door: Door, state: State) -> None:
    rule = files.shipped()[0]
    Store(state).save(rule)
    wanted = {"rule": rule.plain(), "version": 7}
    assert door("save", {"name": rule.name}, wanted)["error"]["code"] == "conflict"


def test_a_database_that_is_away_is_said_and_no_secret_of_it() -> None:
    with connect("postgresql+psycopg2://ann:hush@127.0.0.1:1/desk") as nowhere:
        door = Door(nowhere, lambda: NOON)
        error = door("notifications", {}, None)["error"]
        door.close()
    assert error["code"] == "database_unavailable"
    assert "hush" not in error["message"]


def test_every_action_has_one_name() -> None:
    assert all(name == action.name for name, action in ACTIONS.items())
    assert len(ACTIONS) == 26


@pytest.mark.parametrize(("software", "answers"), [("", True), ("voila/0.5.8", False)])
def test_on_a_page_of_voila_the_kernel_answers_nobody(
    db: Database, monkeypatch: pytest.MonkeyPatch, software: str, answers: bool
) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", software)
    dashboard = Dashboard(db)
    assert dashboard.alerts._answers is answers
    dashboard.close()
