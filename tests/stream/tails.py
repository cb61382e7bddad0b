"""A log of events in memory, whose memory reaches back as far as a test wants."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from alphapulse_nb.errors import DatabaseUnavailable
from alphapulse_nb.events import Event


class MemoryTail:
    """See the top of this file. `kept` events are in memory, the others in "the database"."""

    def __init__(self, kept: int = 10_000) -> None:
        self.identity = "a log"
        self.kept = kept
        self.events: list[Event] = []
        self.gone = 0
        self.is_away = False
        self.reads = 0
        self._calls: list[Callable[[Sequence[Event]], None]] = []

    @property
    def newest(self) -> int:
        return self.events[-1].seq if self.events else 0

    def add(self, kind: str = "signal", count: int = 1, **data: Any) -> None:
        """More events; their numbers have holes, as those of a database have."""
        new = []
        for number in range(count):
            seq = self.newest + (2 if number % 7 == 3 else 1)
            new.append(Event(seq, kind, {"symbol": "BTC/USDT", **data}, datetime.now(UTC)))
            self.events.append(new[-1])
        for call in self._calls:
            call(new)

    def recent(self, after: int, most: int) -> Sequence[Event] | None:
        if after >= self.newest:
            return []
        first = max(0, len(self.events) - self.kept)
        if first and self.events[first].seq > after + 1:
            return None
        at = bisect_right(self.events, after, first, key=lambda event: event.seq)
        return self.events[at : at + most]

    async def after(self, seq: int, most: int) -> Sequence[Event]:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.reads += 1
        found = [event for event in self.events if event.seq > max(seq, self.gone)]
        return found[:most]

    async def oldest(self) -> int:
        if self.is_away:
            raise DatabaseUnavailable("away")
        return next((event.seq for event in self.events if event.seq > self.gone), 0)

    def subscribe(self, call: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        self._calls.append(call)
        return lambda: self._calls.remove(call)
