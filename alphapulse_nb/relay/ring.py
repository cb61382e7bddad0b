"""The last events in memory: as many as were promised, unless they are very large."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from alphapulse_nb.events import Event
from alphapulse_nb.relay.log import REMEMBERED

LARGEST: Final = 64 << 20
"""Bytes of all events together."""


class Ring:
    """The end of a log: every event with a number above `floor`, up to `newest`."""

    def __init__(self, floor: int = 0, most: int = REMEMBERED, largest: int = LARGEST) -> None:
        self._most = most
        self._largest = largest
        self._events: list[Event] = []
        self._size = 0
        self.floor = floor
        self.newest = floor

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Sequence[Event]) -> None:
        """Append, in the order of numbers."""
        if not events:
            return
        self._events += events
        self._size += sum(len(event.encoded) for event in events)
        self.newest = events[-1].seq
        # A tenth at a time: what is dropped at the head moves all that stays.
        slack = max(self._most // 10, 1)
        if len(self._events) >= self._most + slack:
            self._drop(len(self._events) - self._most)
        while self._size > self._largest and len(self._events) > 1:
            self._drop(max(len(self._events) // 10, 1))

    def after(self, seq: int, most: int) -> Sequence[Event] | None:
        """The first events with a higher number; None where some of them are no longer here."""
        if seq >= self.newest:
            return ()
        if seq < self.floor:
            return None
        begin = bisect_right(self._events, seq, key=lambda event: event.seq)
        return self._events[begin : begin + most]

    def _drop(self, count: int) -> None:
        gone = self._events[:count]
        del self._events[:count]
        self._size -= sum(len(event.encoded) for event in gone)
        self.floor = gone[-1].seq
