"""The figures as others read them: JSON, Prometheus text, OpenMetrics text, a table for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from alphapulse_nb.server.durations import BOUNDS, QUANTILES, WINDOW, Summary
from alphapulse_nb.server.figures import Family, Figures
from alphapulse_nb.server.measures import OTHER, QUERY, Kind, Label, Measure

JSON: Final = "application/json"
PROMETHEUS: Final = "text/plain"
OPENMETRICS: Final = "application/openmetrics-text"

CONTENT_TYPES: Final = {
    JSON: "application/json",
    PROMETHEUS: "text/plain; version=0.0.4; charset=utf-8",
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", '"': '\\"'}
_HELP_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n"}


def as_json(families: Iterable[Family]) -> dict[str, Any]:
    """`{"window_seconds", "figures": {name: {kind, unit, help, series: […]}}}`.

    A series has `labels` and `value`; that of a duration has `count`, `sum`, `p50`, `p95` and `p99`
    in seconds, the last three over the window and null where nothing happened in it.
    """
    figures = {
        family.measure.name: {
            "kind": family.measure.kind.value,
            "unit": family.measure.unit,
            "help": family.measure.help,
            "series": [
                {"labels": _labels(family.measure, series.labels)} | _json_value(series.value)
                for series in family.series
            ],
        }
        for family in families
    }
    return {"window_seconds": WINDOW, "figures": figures}


def _json_value(value: float | Summary) -> dict[str, Any]:
    if not isinstance(value, Summary):
        return {"value": value if math.isfinite(value) else None}
    shares = {
        f"p{share * 100:g}": found for share, found in zip(QUANTILES, value.quantiles, strict=True)
    }
    return {"count": value.count, "sum": value.total} | shares


def as_text(families: Iterable[Family], kind: str = PROMETHEUS) -> str:
    """Text for a Prometheus server, in its own form or as OpenMetrics.

    A duration becomes a histogram, and a gauge `…_recent_seconds` with its quantiles.
    """
    lines = [line for family in families for line in _family(family, kind == OPENMETRICS)]
    return "\n".join([*lines, *(["# EOF"] if kind == OPENMETRICS else []), ""])


def _family(family: Family, openmetrics: bool) -> Iterator[str]:
    measure = family.measure
    name = measure.exported
    if measure.kind is Kind.DURATION:
        yield from _histogram(family)
        yield from _quantiles(family)
        return
    sample = f"{name}_total" if measure.kind is Kind.COUNTER else name
    yield from _head(name if openmetrics else sample, measure.kind.value, measure.help)
    for series in family.series:
        if isinstance(series.value, Summary):
            continue
        yield _sample(sample, _labels(measure, series.labels), series.value)


def _histogram(family: Family) -> Iterator[str]:
    measure = family.measure
    name = measure.exported
    yield from _head(name, "histogram", measure.help)
    for series in family.series:
        if not isinstance(series.value, Summary):
            continue
        labels = _labels(measure, series.labels)
        for bound, count in zip((*BOUNDS, math.inf), series.value.buckets, strict=True):
            yield _sample(f"{name}_bucket", labels | {"le": _number(bound)}, count)
        yield _sample(f"{name}_sum", labels, series.value.total)
        yield _sample(f"{name}_count", labels, series.value.count)


def _quantiles(family: Family) -> Iterator[str]:
    measure = family.measure
    name = recent_name(measure)
    yield from _head(name, "gauge", f"{measure.help} (quantiles of the last 5 minutes)")
    for series in family.series:
        if not isinstance(series.value, Summary):
            continue
        labels = _labels(measure, series.labels)
        for share, found in zip(QUANTILES, series.value.quantiles, strict=True):
            if found is not None:
                yield _sample(name, labels | {"quantile": _number(share)}, found)


def recent_name(measure: Measure) -> str:
    """What the quantiles of a duration are called for Prometheus."""
    return measure.exported.removesuffix("_seconds") + "_recent_seconds"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {_escaped(text, _HELP_ESCAPES)}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text, _ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)


def _labels(measure: Measure, values: tuple[str, ...]) -> dict[str, str]:
    return dict(zip((label.name for label in measure.labels), values, strict=True))


def answer(figures: Figures, accept: str) -> tuple[str, str]:
    """Content type and body for a request with that `Accept` header."""
    form = accepted(accept)
    families = figures.families()
    body = json.dumps(as_json(families)) if form == JSON else as_text(families, form)
    return CONTENT_TYPES[form], body


def accepted(accept: str) -> str:
    """The form that an `Accept` header asks for: JSON unless it prefers one of the texts."""
    best, best_quality = JSON, 0.0
    for part in accept.split(",")[:20]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = _quality(parameters)
        named = JSON if media in {"*/*", "application/*", ""} else media
        if named in CONTENT_TYPES and quality > best_quality:
            best, best_quality = named, quality
    return best


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0
    return 1.0


def as_table(measures: Iterable[Measure]) -> str:
    """The rows of `docs/metrics.md`: every measure with its kind, unit, labels and meaning."""
    rows = ["| name | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for measure in measures:
        name = measure.exported + ("_total" if measure.kind is Kind.COUNTER else "")
        labels = "; ".join(map(_label_text, measure.labels))
        rows.append(f"| `{name}` | {measure.kind} | {measure.unit} | {labels} | {measure.help} |")
    return "\n".join(rows) + "\n"


def _label_text(label: Label) -> str:
    names = ("a chart's name",) if label is QUERY else ()
    return f"`{label.name}`: {', '.join((*names, *label.values, OTHER))}"
