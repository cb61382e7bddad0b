"""What the endpoints of one server share: its threads, its counts, what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from alphapulse_nb.server.api.allowance import Allowances
from alphapulse_nb.server.api.known import KnownSymbols
from alphapulse_nb.server.api.readiness import Readiness
from alphapulse_nb.server.api.workers import Workers

_ROOM: Final = 48 << 20
"""Bytes of large bodies that are in memory at a time."""


class Room:
    """How many bytes may still be held. On the loop."""

    def __init__(self, size: int = _ROOM) -> None:
        self.free = size

    def take(self, size: int) -> bool:
        """Hold so many more, if there is room for them."""
        if size > self.free:
            return False
        self.free -= size
        return True

    def give(self, size: int) -> None:
        """Hold so many no longer."""
        self.free += size


@dataclass
class Means:
    """Made once with the routes; `close()` when the server stops.

    Readiness has a thread of its own, so that a long queue of queries does not look like a database
    that is away; and `outside` are threads for what waits for others than the database.
    """

    workers: Workers = field(default_factory=Workers)
    outside: Workers = field(default_factory=lambda: Workers(2, 8, name="outside"))
    room: Room = field(default_factory=Room)
    readiness: Readiness = field(default_factory=Readiness)
    allowances: Allowances = field(default_factory=Allowances)
    symbols: KnownSymbols = field(default_factory=KnownSymbols)
    document: dict[str, Any] = field(default_factory=dict)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self.workers.close()
        self.outside.close()
        self.readiness.close()
