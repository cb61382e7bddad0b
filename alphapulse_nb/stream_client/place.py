"""How far a client is in the log, and which rows it has been told of.

What came by the stream is known by its number. A row that polling found has none; the stream tells
of it again when it is back, and by its table and id it is known, too. A signal counts anew when its
outcome is known; who was told the outcome first is not told of the signal without it afterwards.
"""

from __future__ import annotations

from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Event, moment

MOST_ROWS: Final = 100_000
"""Rows that are remembered of each kind; the oldest are forgotten first."""

Row = tuple[str, int, Any]


class Place:
    """See the top of this file. `seq` is None before the first connection."""

    def __init__(self, seq: int | None = None, log: str | None = None) -> None:
        self.seq = seq
        self.log = log
        self._streamed: dict[Row, None] = {}
        self._polled: dict[Row, None] = {}

    def advance(self, seq: int) -> None:
        """All up to that number is known, or lost."""
        self.seq = seq if self.seq is None else max(self.seq, seq)

    def move(self, seq: int, log: str) -> None:
        """Go on in another log, or further back in this one."""
        self.seq, self.log = seq, log

    def is_new(self, event: Event) -> bool:
        """Whether the event has not been seen; from now on it has."""
        if event.seq:
            if self.seq is not None and event.seq <= self.seq:
                return False
            self.seq = event.seq
        row = row_of(event)
        if row is None:
            return True
        return self._is_new_on_stream(row) if event.seq else self._is_new_in_poll(row)

    def _is_new_on_stream(self, row: Row) -> bool:
        if row in self._polled:
            del self._polled[row]
            _keep(self._streamed, row)
            return False
        _keep(self._streamed, row)
        return True

    def _is_new_in_poll(self, row: Row) -> bool:
        if row in self._polled or row in self._streamed:
            return False
        _keep(self._polled, row)
        table, number, revised = row
        first = (table, number, None)
        if revised is not None and first not in self._streamed:
            _keep(self._polled, first)
        return True


def row_of(event: Event) -> Row | None:
    """What tells a row, and a revision of it, from others; None for an event that is no row."""
    table, number = event.data.get("table"), event.data.get("id")
    if not isinstance(table, str) or type(number) is not int:
        return None
    return table, number, _revised(event.data.get("evaluated_at")) if table == "signals" else None


def _revised(text: Any) -> Any:
    # The stream and the API write the same moment with and without its zeros.
    try:
        return None if text is None else moment(text)
    except InputError:
        return str(text)


def _keep(rows: dict[Row, None], row: Row) -> None:
    rows[row] = None
    if len(rows) > MOST_ROWS:
        del rows[next(iter(rows))]
