"""Who somebody is, and what that lets them do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a person may do. Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Whether this role is enough where `needed` is asked for."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class Person:
    """Somebody who has been let in.

    `zone` is an IANA time zone; empty means the one of their browser.
    """

    name: str
    role: Role = Role.VIEWER
    zone: str = ""
