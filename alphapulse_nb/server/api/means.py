"""What the endpoints of one server share: its threads, its counts, what it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alphapulse_nb.server.api.allowance import Allowances
from alphapulse_nb.server.api.known import KnownSymbols
from alphapulse_nb.server.api.readiness import Readiness
from alphapulse_nb.server.api.workers import Workers


@dataclass
class Means:
    """Made once with the routes; `close()` when the server stops.

    Readiness has a thread of its own, so that a long queue of queries does not look like a database
    that is away.
    """

    workers: Workers = field(default_factory=Workers)
    readiness: Readiness = field(default_factory=Readiness)
    allowances: Allowances = field(default_factory=Allowances)
    symbols: KnownSymbols = field(default_factory=KnownSymbols)
    document: dict[str, Any] = field(default_factory=dict)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self.workers.close()
        self.readiness.close()
