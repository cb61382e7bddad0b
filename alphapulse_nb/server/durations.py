"""How long something takes: counts that grow for ever, and quantiles of the last five minutes.

Two sets of buckets, both of a fixed size however many values come. The wide ones count from the
start, as Prometheus wants them. The narrow ones are for quantiles: eight to an octave, kept for
each of ten slices of the window, the oldest slice cleared when its turn comes again. A quantile is
the middle of its narrow bucket, so it is wrong by 5 % at most.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the wide buckets, in seconds."""

QUANTILES: Final = (0.5, 0.95, 0.99)
WINDOW: Final = 300.0
"""Seconds that the quantiles look back."""

_SLICES: Final = 10
_SLICE: Final = WINDOW / _SLICES
_PER_OCTAVE: Final = 8
_LEAST: Final = -14
"""The least narrow bucket ends at 2^-14 s (61 µs), the greatest begins at 2^9 s."""
_NARROW: Final = (9 - _LEAST) * _PER_OCTAVE + 1
_EMPTY: Final = array("L", bytes(array("L").itemsize * _NARROW))


@dataclass(frozen=True)
class Summary:
    """What is known of a duration: seconds, and counts of the wide buckets, each with those below.

    `quantiles` are by `QUANTILES`, None where nothing happened lately.
    """

    count: int
    total: float
    buckets: tuple[int, ...]
    quantiles: tuple[float | None, ...]


class Durations:
    """Counts durations of one kind. The caller keeps threads apart and tells the time."""

    def __init__(self) -> None:
        self._total = 0.0
        self._wide = [0] * (len(BOUNDS) + 1)
        self._slices = [array("L", _EMPTY) for _ in range(_SLICES)]
        self._turns = [-1] * _SLICES

    def add(self, seconds: float, now: float) -> None:
        """Count one. `now` is in seconds, on a clock that never goes back."""
        self._total += seconds
        self._wide[bisect_left(BOUNDS, seconds)] += 1
        turn = int(now / _SLICE)
        place = turn % _SLICES
        if self._turns[place] != turn:
            self._turns[place] = turn
            self._slices[place][:] = _EMPTY
        self._slices[place][_bucket(seconds)] += 1

    def summary(self, now: float) -> Summary:
        """All that is known at `now`."""
        running, buckets = 0, []
        for count in self._wide:
            running += count
            buckets.append(running)
        recent = self.recent(now)
        return Summary(
            running, self._total, tuple(buckets), tuple(quantile(recent, q) for q in QUANTILES)
        )

    def recent(self, now: float) -> list[int]:
        """Counts of the narrow buckets over the window that ends at `now`."""
        turn = int(now / _SLICE)
        live = [
            counts
            for counts, of in zip(self._slices, self._turns, strict=True)
            if turn - _SLICES < of <= turn
        ]
        return [sum(column) for column in zip(*live, strict=True)] if live else []


def quantile(counts: list[int], share: float) -> float | None:
    """The value in seconds below which a share (0..1) of the counted ones lies; None for none."""
    wanted = math.ceil(share * sum(counts))
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return _middle(place)
    return None


def _bucket(seconds: float) -> int:
    if seconds <= 2.0**_LEAST:
        return 0
    place = 1 + int((math.log2(seconds) - _LEAST) * _PER_OCTAVE)
    return min(place, _NARROW - 1)


def _middle(place: int) -> float:
    if place == 0:
        return 0.0
    return float(2.0 ** (_LEAST + (place - 0.5) / _PER_OCTAVE))
