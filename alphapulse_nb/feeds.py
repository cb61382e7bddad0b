"""From successive figures to one snapshot and numbered patches, whatever carries them.

A figure is split into *columns* (every one-dimensional array of a trace: x, y, text, customdata,
marker.color …) and the rest. Columns travel as binary in one buffer per message: numbers and times
(epoch milliseconds) as float64, texts as int32 codes of a growing list of labels. `Feed.update`
compares each column with what was last sent and emits the smallest change: rows dropped at the
head, rows kept, rows appended. The rest is compared path by path. So any chart, an analyst's own
too, is updated in steps without knowing it.

A message is a JSON header and one buffer:

    snapshot  {kind, seq, newest, traces: [{attrs, columns}], layout}
    patch     {kind, seq, base, newest, traces: {index: {attrs, columns}}, layout}

`base` is the sequence number that a patch applies to; whoever holds another asks for a snapshot.
In a patch `attrs` and `layout` map a path such as `xaxis.range` to its new value, null for gone.
A column is {type, at, size} for the whole, with {drop, keep} added when it continues the old one,
and {labels, from} for texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

_Array = npt.NDArray[Any]
_SEPARATOR: Final = "."


class Message(NamedTuple):
    """What a carrier sends: a JSON-able header and one binary buffer."""

    header: dict[str, Any]
    buffer: bytes


@dataclass
class _Column:
    """One column as it was last sent. `kind` is number, time or label."""

    kind: str
    values: _Array
    labels: dict[Any, int] | None = None


@dataclass
class _Trace:
    attrs: dict[str, Any]
    columns: dict[str, _Column]


class Feed:
    """One chart's stream of snapshots and patches. Knows no transport and no clock."""

    def __init__(self) -> None:
        self.seq = 0
        self._traces: list[_Trace] = []
        self._layout: dict[str, Any] = {}

    @property
    def empty(self) -> bool:
        """Whether no figure has been given yet."""
        return self.seq == 0

    def reset(self) -> None:
        """Forget what was sent, so that the next update is a snapshot. Numbers go on."""
        self._traces = []
        self._layout = {}

    def update(self, figure: Any) -> Message | None:
        """The message that brings a reader from the last figure to this one; None if it is equal.

        `figure` is a `plotly.graph_objects.Figure`.
        """
        parts = [_split(trace.to_plotly_json()) for trace in figure.data]
        layout = dict(_flat(_plain(figure.layout.to_plotly_json())))
        _date_axes(parts, layout)
        if not self._continues(parts):
            self._traces = [_Trace(attrs, _encoded(columns)) for attrs, columns in parts]
            self._layout = layout
            self.seq += 1
            return self.snapshot()
        writer = _Writer()
        traces = {}
        for place, (held, (attrs, columns)) in enumerate(zip(self._traces, parts, strict=True)):
            change = _trace_change(held, attrs, columns, writer)
            if change:
                traces[str(place)] = change
        layout_change = _changes(self._layout, layout)
        self._layout = layout
        if not traces and not layout_change:
            return None
        self.seq += 1
        header: dict[str, Any] = {
            "kind": "patch",
            "seq": self.seq,
            "base": self.seq - 1,
            "newest": self.newest,
        }
        if traces:
            header["traces"] = traces
        if layout_change:
            header["layout"] = layout_change
        return Message(header, writer.bytes())

    def snapshot(self) -> Message | None:
        """Everything a new reader needs, under the current number.

        None before the first figure and after a reset.
        """
        if not self._layout and not self._traces:
            return None
        writer = _Writer()
        traces = [
            {
                "attrs": trace.attrs,
                "columns": {path: _whole(column, writer) for path, column in trace.columns.items()},
            }
            for trace in self._traces
        ]
        header = {
            "kind": "snapshot",
            "seq": self.seq,
            "newest": self.newest,
            "traces": traces,
            "layout": self._layout,
        }
        return Message(header, writer.bytes())

    @property
    def newest(self) -> float | None:
        """The latest moment on any x column, in epoch milliseconds."""
        ends = [
            float(np.nanmax(column.values))
            for trace in self._traces
            if (column := trace.columns.get("x")) is not None
            and column.kind == "time"
            and not np.isnan(column.values).all()
        ]
        return max(ends, default=None)

    def _continues(self, parts: list[tuple[dict[str, Any], dict[str, _Array]]]) -> bool:
        """Whether the new figure has the same traces with the same columns as the last one."""
        return bool(self._layout) and [
            (trace.attrs.get("type"), trace.attrs.get("name"), _kinds(trace.columns))
            for trace in self._traces
        ] == [
            (
                attrs.get("type"),
                attrs.get("name"),
                {path: _kind(values) for path, values in columns.items()},
            )
            for attrs, columns in parts
        ]


class _Writer:
    """Collects the columns of one message in one buffer, each aligned to eight bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: _Array) -> int:
        at = self._size
        data = values.tobytes()
        data += b"\0" * (-len(data) % 8)
        self._parts.append(data)
        self._size += len(data)
        return at

    def bytes(self) -> bytes:
        return b"".join(self._parts)


def _split(trace: dict[str, Any]) -> tuple[dict[str, Any], dict[str, _Array]]:
    """A trace's flat attributes and its columns, by path."""
    columns: dict[str, _Array] = {}
    rest: dict[str, Any] = {}
    length = _length(trace)
    for path, value in _flat(trace):
        if path == "customdata" and isinstance(value, np.ndarray) and value.ndim == 2:
            for place in range(value.shape[1]):
                columns[f"{path}.{place}"] = _inferred(value[:, place])
            continue
        array = _column_of(value, length)
        if array is None:
            rest[path] = _plain(value)
        else:
            columns[path] = array
    return rest, columns


def _inferred(values: _Array) -> _Array:
    """A column of a table of mixed ones, in the type that it has by itself."""
    if values.dtype != object:
        return values
    return pd.Series(values).infer_objects().to_numpy()


def _length(trace: dict[str, Any]) -> int:
    for axis in ("x", "y", "lat", "r", "values"):
        if trace.get(axis) is not None:
            return len(trace[axis])
    return -1


def _column_of(value: Any, length: int) -> _Array | None:
    """A value as a column, or None: an array of one dimension, or a list as long as the trace."""
    if isinstance(value, pd.Series | pd.Index):
        value = value.to_numpy()
    if isinstance(value, np.ndarray):
        return _plain_column(value) if value.ndim == 1 else None
    if not isinstance(value, list | tuple) or len(value) != length or not length:
        return None
    if any(isinstance(item, list | tuple | dict | np.ndarray) for item in value):
        return None
    array = np.asarray(value, dtype=object)
    if all(isinstance(item, int | float | np.number) or item is None for item in value):
        return array.astype(np.float64)
    return _plain_column(array)


def _plain_column(array: _Array) -> _Array:
    """Moments and decimal numbers that came as Python objects, in numpy's own types (UTC)."""
    if array.dtype != object or not len(array):
        return array
    known = [item for item in array if not _missing(item)]
    if known and all(isinstance(item, datetime) for item in known):
        moments = pd.to_datetime(pd.Series(array), utc=True)
        return moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    if known and all(isinstance(item, Decimal) for item in known):
        return np.array([np.nan if _missing(item) else float(item) for item in array])
    return array


def _kind(values: _Array) -> str:
    if values.dtype.kind == "M":
        return "time"
    return "number" if values.dtype.kind in "fiub" else "label"


def _kinds(columns: Mapping[str, _Column]) -> dict[str, str]:
    return {path: column.kind for path, column in columns.items()}


def _encoded(columns: dict[str, _Array]) -> dict[str, _Column]:
    return {path: _encode(values, None) for path, values in columns.items()}


def _encode(values: _Array, held: _Column | None) -> _Column:
    """A column in the form it travels in; texts keep the codes that `held` gave them."""
    kind = _kind(values)
    if kind == "time":
        stamps = values.astype("datetime64[us]")
        numbers = stamps.astype(np.int64) / 1e3
        numbers[np.isnat(stamps)] = np.nan
        return _Column(kind, numbers)
    if kind == "number":
        return _Column(kind, values.astype(np.float64))
    texts = [None if _missing(item) else _text(item) for item in values.tolist()]
    labels = dict(held.labels) if held is not None and held.labels is not None else {}
    if len(labels) > 64 + 4 * len(texts):
        labels = {}
    for text in texts:
        if text is not None and text not in labels:
            labels[text] = len(labels)
    codes = np.fromiter(
        (-1 if text is None else labels[text] for text in texts), dtype=np.int32, count=len(texts)
    )
    return _Column(kind, codes, labels)


def _missing(item: Any) -> bool:
    return (
        item is None
        or item is pd.NA
        or item is pd.NaT
        or (isinstance(item, float) and item != item)
    )


def _text(item: Any) -> Any:
    """A label as JSON carries it: numbers and booleans stay what they are."""
    return item if isinstance(item, str | int | float | bool) else str(item)


def _whole(column: _Column, writer: _Writer) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": column.kind,
        "at": writer.add(column.values),
        "size": len(column.values),
    }
    if column.labels is not None:
        record |= {"labels": list(column.labels), "from": 0}
    return record


def _trace_change(
    held: _Trace, attrs: dict[str, Any], columns: dict[str, _Array], writer: _Writer
) -> dict[str, Any]:
    change: dict[str, Any] = {}
    if changed := _changes(held.attrs, attrs):
        change["attrs"] = changed
    held.attrs = attrs
    records = {}
    encoded = {path: _encode(values, held.columns[path]) for path, values in columns.items()}
    lead = "x" if "x" in encoded else next(iter(encoded), "")
    head = _head(held.columns[lead].values, encoded[lead].values) if lead else 0
    for path, new in encoded.items():
        record = _column_change(held.columns[path], new, head, writer)
        held.columns[path] = new
        if record is not None:
            records[path] = record
    if records:
        change["columns"] = records
    return change


def _head(old: _Array, new: _Array) -> int:
    """How many rows left the head, judged by where the new first value stood in the old column."""
    if not len(old) or not len(new):
        return 0
    places = np.flatnonzero(_bits(old) == _bits(new)[0])
    return int(places[0]) if len(places) else 0


def _bits(values: _Array) -> _Array:
    """Values for exact comparison: two NaN are equal, 0.0 and -0.0 are not."""
    return values.view(np.int64) if values.dtype == np.float64 else values


def _column_change(old: _Column, new: _Column, head: int, writer: _Writer) -> dict[str, Any] | None:
    before, after = _bits(old.values), _bits(new.values)
    relabelled = (old.labels or {}) != (new.labels or {})
    continued = not relabelled or _extends(old.labels, new.labels)
    if not relabelled and len(before) == len(after) and np.array_equal(before, after):
        return None
    if not continued:
        return _whole(new, writer)
    drop, keep = max(
        ((start, _common(before[start:], after)) for start in {head, 0}), key=lambda pair: pair[1]
    )
    tail = new.values[keep:]
    record: dict[str, Any] = {
        "type": new.kind,
        "drop": drop,
        "keep": keep,
        "at": writer.add(tail),
        "size": len(tail),
    }
    if relabelled:
        known = len(old.labels or {})
        record |= {"labels": list(new.labels or {})[known:], "from": known}
    return record


def _extends(old: dict[Any, int] | None, new: dict[Any, int] | None) -> bool:
    return list(new or {})[: len(old or {})] == list(old or {})


def _common(before: _Array, after: _Array) -> int:
    """The number of equal rows at the start of both."""
    size = min(len(before), len(after))
    differs = np.flatnonzero(before[:size] != after[:size])
    return int(differs[0]) if len(differs) else size


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested dicts by path; lists are leaves."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, path + _SEPARATOR)
        elif value is not None:
            yield path, value


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    change = {path: value for path, value in new.items() if old.get(path) != value}
    return change | dict.fromkeys(old.keys() - new.keys())


def _date_axes(
    parts: list[tuple[dict[str, Any], dict[str, _Array]]], layout: dict[str, Any]
) -> None:
    """Mark the axes of time columns as dates: epoch milliseconds look like plain numbers."""
    for attrs, columns in parts:
        for letter in ("x", "y"):
            values = columns.get(letter)
            if values is not None and values.dtype.kind == "M":
                number = str(attrs.get(f"{letter}axis", letter))[1:]
                layout.setdefault(f"{letter}axis{number}.type", "date")


def _plain(value: Any) -> Any:
    """A value that JSON can carry; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value
