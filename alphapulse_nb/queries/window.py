"""The stretch of time that a query reads. No query asks a clock: the clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from alphapulse_nb.errors import InputError

RANGES: Final[dict[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
"""The ranges that a viewer can choose, by the name that the address carries."""

DEFAULT_RANGE: Final = "24h"

MAX_POINTS: Final = 1_500
"""Rows per series above which a query keeps only those that show in a chart."""


@dataclass(frozen=True)
class Window:
    """From `start` up to and including `end`, both tz-aware; kept in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise InputError(f"{name} {moment} has no time zone; give a tz-aware datetime")
            object.__setattr__(self, name, moment.astimezone(UTC))
        if self.start >= self.end:
            raise InputError(f"start {self.start} is not before end {self.end}")

    @classmethod
    def last(cls, span: str | timedelta, now: datetime) -> Window:
        """The stretch that ends at `now`; `span` is a timedelta or a name in `RANGES`."""
        if isinstance(span, str):
            if span not in RANGES:
                raise InputError(f"unknown range {span!r}; known: {', '.join(RANGES)}")
            span = RANGES[span]
        return cls(now - span, now)

    @property
    def span(self) -> timedelta:
        return self.end - self.start

    @property
    def label(self) -> str:
        """The length in words, for titles and messages: `last 24 h`, `last 7 days`."""
        seconds = self.span.total_seconds()
        for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
            if seconds >= size * (2 if unit == "days" else 1):
                return f"last {seconds / size:.4g} {unit}"
        return f"last {seconds:.4g} s"
