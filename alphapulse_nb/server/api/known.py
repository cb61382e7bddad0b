"""Which symbols there are: remembered, since every request for one asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries import rows, symbols
from alphapulse_nb.server.answers import Fault, unknown
from alphapulse_nb.server.api.parameter import Text

SYMBOL: Final = Text(
    100, "[^\\x00-\\x1f\\x7f-\\x9f]", "a symbol of 1 to 100 characters without control characters"
)
_KEPT_SECONDS: Final = 1.0
"""How long the list counts for a symbol that is not in it. One that is in it stays."""


class KnownSymbols:
    """The symbols of the last look. Any thread may call."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._looked_at = float("-inf")

    def check(self, db: Database, symbol: str | None) -> str:
        """The symbol, if the desk has data for it; raises `Fault`, or what the database does."""
        if symbol is not None and symbol in self._names:
            return symbol
        names = self._look(db)
        if symbol is None:
            raise Fault(
                "bad_parameter",
                "This chart needs a symbol.",
                field="symbol",
                allowed={"enum": sorted(names)},
            )
        if symbol not in names and not rows.exist(db, symbol):
            raise unknown("symbol", symbol, sorted(names))
        return symbol

    def _look(self, db: Database) -> frozenset[str]:
        """One thread looks for all that wait."""
        with self._lock:
            if self._monotonic() - self._looked_at > _KEPT_SECONDS:
                self._names = frozenset(symbols(db))
                self._looked_at = self._monotonic()
            return self._names
