"""What the tests of the relay share: rows of the desk, a table in memory, waiting on a loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from alphapulse_nb.relay.gaps import Gap
from alphapulse_nb.relay.sources import BACK, Entry, Portion

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

SIGNAL = (
    "INSERT INTO signals (timestamp, symbol, signal_type) VALUES (now(), 'BTC/USDT', 'LONG')"
    " RETURNING id"
)
MANY = (
    "INSERT INTO signal_predictions (timestamp, symbol, signal_type, confidence)"
    " SELECT now(), 'BTC/USDT', 'LONG', n FROM generate_series(1, {}) n"
)


def run(link: sa.Connection, statement: str, **values: Any) -> Any:
    """The first column of the first row, where there is one."""
    result = link.execute(sa.text(statement), values)
    return result.scalar() if result.returns_rows else None


async def until(met: Callable[[], Any], seconds: float = 30) -> Any:
    """What `met` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)
    return found


class Table:
    """A source whose rows are a set of ids; what is in it has been committed."""

    name = "signals"
    revised = None

    def __init__(self) -> None:
        self.ids: set[int] = set()

    def end(self, _: object) -> int:
        return max(self.ids, default=0)

    def near(self, _: object, end: int) -> list[int]:
        return sorted(number for number in self.ids if end - BACK < number <= end)

    def new(self, _: object, high: int, limit: int, era: str = "") -> Portion:
        return self._portion([number for number in self.ids if number > high], limit, era)

    def missed(self, _: object, gaps: Sequence[Gap], limit: int, era: str = "") -> Portion:
        there = [n for n in self.ids if any(gap.first <= n <= gap.last for gap in gaps)]
        return self._portion(there, limit, era)

    def revisions(self, *_: object) -> Portion:
        return Portion()

    def _portion(self, ids: list[int], limit: int, era: str) -> Portion:
        entries = [
            Entry("signal", {"id": number}, NOON, None, self.name, number, era)
            for number in sorted(ids)[:limit]
        ]
        return Portion(tuple(entries), len(entries) == limit)
