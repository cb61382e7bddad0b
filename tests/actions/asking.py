"""What people ask, without a server between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from alphapulse_nb.actions import ACTIONS, Asked, Means
from alphapulse_nb.db.connection import Database
from alphapulse_nb.events import Kinds
from alphapulse_nb.people import ANYONE, Person, Role
from tests.notify.house import AWAKE, House

EVERYBODY = Person(ANYONE, Role.ADMIN)
EAGER = replace(AWAKE, min_confidence=0, min_rr_ratio=0)


class Asking:
    """Asks by the name of an action. `hurried` counts how often there was something to send."""

    def __init__(self, db: Database, house: House) -> None:
        self.house = house
        self.now = datetime.now(UTC)
        self.hurried = 0
        self.kinds = Kinds({"fill": None})
        self.means = Means(
            db, house.state, lambda: self.now, lambda: self.kinds, local=True, hurry=self._hurry
        )

    def __call__(
        self, action: str, body: object = None, by: Person = EVERYBODY, /, **values: Any
    ) -> dict[str, Any]:
        return ACTIONS[action].perform(self.means, Asked(by, values, body))

    def user(self, name: str, role: Role = Role.VIEWER) -> Person:
        """Somebody with an account, who is told whatever there is."""
        self.house.users.add(name, "s3cret-pass", role)
        self.house.inbox.prefer(name, EAGER)
        return Person(name, role)

    def titles(self, by: Person = EVERYBODY, **values: Any) -> list[str]:
        return [one["title"] for one in self("notifications", None, by, **values)["notifications"]]

    def _hurry(self) -> None:
        self.hurried += 1
