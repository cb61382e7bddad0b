"""What a person can do about alerts and notifications, as JSON in and JSON out.

An action knows neither HTTP nor widgets: the REST API and a notebook's alerts area are two doors to
the same ones. It is told who asks, and the role that it needs is looked at before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import InputError, NotAllowed
from alphapulse_nb.events import Kinds
from alphapulse_nb.notify.fields import known_fields, text, wrong
from alphapulse_nb.notify.telling import EVERYBODY, reader_of
from alphapulse_nb.people import Person, Role
from alphapulse_nb.state import State

Plain = dict[str, Any]

MOST_IDS: Final = 1_000
"""Notifications that are named at a time."""
_LARGEST: Final = 2**63 - 1
"""The largest number that our tables hold."""


class Limit(NamedTuple):
    """How many an answer lists where nobody says, and at most."""

    usual: int
    most: int


@dataclass(frozen=True)
class Means:
    """What actions work with.

    `kinds` are the types of events, `local` says whether channels may reach programs on this
    machine, and `hurry` is called when there is something to send.
    """

    db: Database
    state: State
    clock: Callable[[], datetime]
    kinds: Callable[[], Kinds]
    local: bool = False
    hurry: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Asked:
    """Who asks, with which parameters by name, and which body."""

    person: Person
    values: Mapping[str, Any] = field(default_factory=dict)
    body: object = None

    @property
    def reader(self) -> str:
        """Whose notifications they are: a user's, or those of all who have no name of their own."""
        return reader_of(self.person)

    @property
    def shared(self) -> bool:
        """Whether others read the same notifications."""
        return self.reader == EVERYBODY

    @property
    def name(self) -> str:
        """The name that the path holds. Raises `InputError`."""
        return text("name", self.values.get("name"))

    def limit(self, limit: Limit) -> int:
        """How many are asked for. Raises `InputError`."""
        return min(number("limit", self.values.get("limit") or limit.usual), limit.most)

    def fields(self, *known: str) -> Mapping[str, Any]:
        """The body, which has these fields at most. Raises `InputError`."""
        return known_fields(self.body, known, "the request")


@dataclass(frozen=True)
class Action:
    """Something that can be asked: its name, the role that it needs, and what does it.

    `run` may wait, for the database above all, and raises `AlphaPulseError`.
    """

    name: str
    run: Callable[[Means, Asked], Plain]
    role: Role = Role.VIEWER

    def perform(self, means: Means, asked: Asked) -> Plain:
        """Do it. Raises `NotAllowed` for a person of a lesser role."""
        if not asked.person.role.may(self.role):
            raise NotAllowed(f"this takes the role {self.role}; yours is {asked.person.role}")
        return self.run(means, asked)


def numbers(name: str, given: object) -> list[int]:
    """A list of whole numbers. Raises `InputError`."""
    if not isinstance(given, list) or len(given) > MOST_IDS:
        raise wrong(name, given, f"a list of at most {MOST_IDS:,} numbers")
    return [number(name, one) for one in given]


def number(name: str, given: object) -> int:
    """A whole number. Raises `InputError`."""
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= _LARGEST:
        raise wrong(name, given, "a whole number")
    return given


def needed(fields: Mapping[str, Any], name: str) -> Any:
    """A field that must be there. Raises `InputError`."""
    if name not in fields:
        raise InputError(f"the request has no field {name!r}")
    return fields[name]
