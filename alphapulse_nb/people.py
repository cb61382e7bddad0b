"""Who somebody is, and what that lets them do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

SHARED: Final = "viewer"
"""The name of whoever came with the token or password that all share."""
ANYONE: Final = "anyone"
"""The name of everybody where nobody is asked."""
LOCAL: Final = "local"
"""The name of whoever uses a server that only this machine reaches."""
NAMELESS: Final = frozenset({SHARED, ANYONE, LOCAL})
"""Names that stand for more than one person, and that no user may have."""


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

    `zone` is an IANA time zone; empty means the one of their browser. Whom a proxy vouches for may
    have no `account` here.
    """

    name: str
    role: Role = Role.VIEWER
    zone: str = ""
    account: bool = True
