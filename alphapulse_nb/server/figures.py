"""The server's own figures: counted where things happen, read where somebody asks.

Every name and label value is one of `measures`, so memory is bounded whatever comes in. A call
takes a lock and 1 to 3 µs; any thread may call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from alphapulse_nb.server.durations import Durations, Summary, quantile
from alphapulse_nb.server.measures import MEASURES, OTHER, QUERY, Kind, Measure

Key = tuple[str, ...]
Reading = Callable[[], float | None]


@dataclass(frozen=True)
class Series:
    """One value of a measure, by the values of its labels in their order."""

    labels: Key
    value: float | Summary


@dataclass(frozen=True)
class Family:
    """A measure with all its series."""

    measure: Measure
    series: tuple[Series, ...]


class Figures:
    """Counters, gauges and durations by name.

    Parameters
    ----------
    queries: names of charts, which the label `query` may have too.
    measures: what there is.
    monotonic: the clock, in seconds.

    A name that is no measure of that kind, or labels that are not the measure's, raise `TypeError`.
    """

    def __init__(
        self,
        queries: Iterable[str] = (),
        *,
        measures: Iterable[Measure] = MEASURES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        queries = tuple(queries)
        self._lock = threading.Lock()
        self._measures = {measure.name: measure for measure in measures}
        self._allowed = {
            measure.name: tuple(
                (label.name, frozenset((*label.values, *(queries if label is QUERY else ()))))
                for label in measure.labels
            )
            for measure in self._measures.values()
        }
        self._values: dict[str, dict[Key, float]] = {
            measure.name: {} if measure.labels else {(): 0.0}
            for measure in self._measures.values()
            if measure.kind is not Kind.DURATION
        }
        self._durations: dict[str, dict[Key, Durations]] = {
            measure.name: {} if measure.labels else {(): Durations()}
            for measure in self._measures.values()
            if measure.kind is Kind.DURATION
        }
        self._readings: dict[str, Reading] = {}

    def count(self, name: str, by: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        key = self._key(name, Kind.COUNTER, labels)
        with self._lock:
            values = self._values[name]
            values[key] = values.get(key, 0.0) + by

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        key = self._key(name, Kind.GAUGE, labels)
        with self._lock:
            self._values[name][key] = value

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Count a duration; a negative one (a clock was set) counts as none."""
        key = self._key(name, Kind.DURATION, labels)
        with self._lock:
            found = self._durations[name].get(key)
            if found is None:
                found = self._durations[name][key] = Durations()
            found.add(max(seconds, 0.0), self._monotonic())

    def ask(self, name: str, reading: Reading, /) -> None:
        """Take a gauge or counter without labels from a call, whenever somebody looks.

        The call comes from any thread, must be quick, and gives None where there is no value.
        """
        measure = self._measures.get(name)
        if measure is None or measure.kind is Kind.DURATION or measure.labels:
            raise TypeError(f"{name} is no gauge or counter without labels")
        self._readings[name] = reading

    def value(self, name: str, /, **labels: str) -> float:
        """A counter or gauge; without its labels the sum over them."""
        if name in self._readings:
            return self._readings[name]() or 0.0
        with self._lock:
            values = self._values[name]
            if not labels:
                return sum(values.values())
            return values.get(self._key(name, self._measures[name].kind, labels), 0.0)

    def quantile(self, name: str, share: float, /) -> float | None:
        """A quantile in seconds of the last five minutes over all labels; None for nothing."""
        with self._lock:
            now = self._monotonic()
            recent = [found.recent(now) for found in self._durations[name].values()]
        return quantile([sum(column) for column in zip(*filter(None, recent), strict=True)], share)

    def families(self) -> list[Family]:
        """Everything, in the order of the declarations; series by their labels."""
        asked = {name: reading() for name, reading in self._readings.items()}
        with self._lock:
            now = self._monotonic()
            return [self._family(measure, asked, now) for measure in self._measures.values()]

    def _family(self, measure: Measure, asked: Mapping[str, float | None], now: float) -> Family:
        name = measure.name
        if name in asked:
            value = asked[name]
            return Family(measure, () if value is None else (Series((), value),))
        if measure.kind is Kind.DURATION:
            summaries = {key: one.summary(now) for key, one in self._durations[name].items()}
            return Family(measure, _sorted(summaries))
        return Family(measure, _sorted(self._values[name]))

    def _key(self, name: str, kind: Kind, labels: Mapping[str, str]) -> Key:
        measure = self._measures.get(name)
        if measure is None or measure.kind is not kind:
            raise TypeError(f"{name} is no {kind.name.lower()}")
        allowed = self._allowed[name]
        if len(labels) != len(allowed):
            raise TypeError(f"{name} has the labels {[label for label, _ in allowed]}")
        if not allowed:
            return _NO_LABELS
        try:
            return tuple(
                labels[label] if labels[label] in values else OTHER for label, values in allowed
            )
        except KeyError as missing:
            raise TypeError(f"{name} has a label {missing}") from None


_NO_LABELS: Final[Key] = ()


def _sorted(series: Mapping[Key, float | Summary]) -> tuple[Series, ...]:
    return tuple(Series(key, series[key]) for key in sorted(series))
