"""A notebook's door to the actions: for whoever runs its kernel.

They hold the database's credentials, so there is nothing that a role could keep them from. What the
server has started is another matter: its pages ask the server.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from alphapulse_nb.actions import ACTIONS, Asked, Means
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import AlphaPulseError, RuleError, UnknownName
from alphapulse_nb.events import Kinds
from alphapulse_nb.people import Person, Role
from alphapulse_nb.relay.log import EventLog
from alphapulse_nb.state import State, Users


class Door:
    """Answers by name, as the REST API does by address. Any thread may call; it may wait."""

    def __init__(self, db: Database, clock: Callable[[], datetime], *, local: bool = False) -> None:
        self._state = State(db)
        self._means = Means(db, self._state, clock, self._kinds, local=local)

    def __call__(self, name: str, values: Mapping[str, Any], body: object) -> dict[str, Any]:
        """The answer, or `{"error": {"code", "message"}}`, for a rule also with `problems`."""
        action = ACTIONS.get(name)
        if action is None:
            return _error(UnknownName("there is nothing of that name to ask"))
        try:
            return action.perform(self._means, Asked(self._person(), values, body))
        except AlphaPulseError as error:
            return _error(error)

    def close(self) -> None:
        """Close the connections."""
        self._state.close()

    def _person(self) -> Person:
        """The user of this system, with their account of that name if they have one."""
        name = getpass.getuser()
        known = Users(self._state).find(name)
        return Person(name, Role.ADMIN, known.person.zone if known else "", known is not None)

    def _kinds(self) -> Kinds:
        return Kinds(EventLog(self._state).types())


def _error(error: AlphaPulseError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if isinstance(error, RuleError):
        told["problems"] = error.plain()
    return {"error": told}
