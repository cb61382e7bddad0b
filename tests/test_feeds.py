"""A feed's messages, applied by a reader, always give the figure that was sent."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.feeds import Feed, Message


class Reader:
    """What a browser does with the messages, in a few lines of Python."""

    def __init__(self) -> None:
        self.seq = 0
        self.layout: dict[str, Any] = {}
        self.traces: list[dict[str, Any]] = []

    def take(self, message: Message) -> None:
        header = json.loads(json.dumps(message.header, allow_nan=False))
        if header["kind"] == "snapshot":
            self.layout = header["layout"]
            self.traces = [
                {
                    "attrs": trace["attrs"],
                    "columns": {
                        path: self._column(None, record, message.buffer)
                        for path, record in trace["columns"].items()
                    },
                }
                for trace in header["traces"]
            ]
        else:
            assert header["base"] == self.seq
            _merge(self.layout, header.get("layout", {}))
            for place, change in header.get("traces", {}).items():
                trace = self.traces[int(place)]
                _merge(trace["attrs"], change.get("attrs", {}))
                for path, record in change.get("columns", {}).items():
                    trace["columns"][path] = self._column(
                        trace["columns"][path], record, message.buffer
                    )
        self.seq = header["seq"]

    def _column(self, old: Any, record: dict[str, Any], buffer: bytes) -> Any:
        dtype = np.int32 if record["type"] == "label" else np.float64
        fresh = np.frombuffer(buffer, dtype, record["size"], record["at"])
        labels = [] if old is None else old[1]
        if "labels" in record:
            labels = labels[: record["from"]] + record["labels"]
        if "keep" not in record:
            return fresh, labels
        kept = old[0][record["drop"] : record["drop"] + record["keep"]]
        return np.concatenate([kept, fresh]), labels

    def values(self, trace: int, path: str) -> list[Any]:
        numbers, labels = self.traces[trace]["columns"][path]
        if labels:
            return [None if code < 0 else labels[code] for code in numbers]
        return list(numbers)


def _merge(held: dict[str, Any], change: dict[str, Any]) -> None:
    for path, value in change.items():
        if value is None:
            held.pop(path, None)
        else:
            held[path] = value


def line(start: int, stop: int, **parts: Any) -> go.Figure:
    stamps = pd.date_range("2026-01-01", periods=stop, freq="min").to_numpy()[start:]
    y = np.sin(np.arange(start, stop) / 10)
    return go.Figure(
        {"data": [{"type": "scatter", "name": "a", "x": stamps, "y": y, **parts}], "layout": {}}
    )


def test_the_first_message_is_a_snapshot_with_the_whole_figure() -> None:
    message = Feed().update(line(0, 100))
    assert message is not None
    assert message.header["kind"] == "snapshot"
    assert message.header["seq"] == 1
    assert message.header["layout"]["xaxis.type"] == "date"
    assert len(message.buffer) == 2 * 100 * 8
    assert message.header["newest"] == pd.Timestamp("2026-01-01 01:39").timestamp() * 1e3


def test_the_same_figure_again_sends_nothing() -> None:
    feed = Feed()
    feed.update(line(0, 100))
    assert feed.update(line(0, 100)) is None
    assert feed.seq == 1


def test_a_window_that_moves_on_sends_only_the_new_rows() -> None:
    feed, reader = Feed(), Reader()
    reader.take(_sent(feed.update(line(0, 1440))))
    patch = _sent(feed.update(line(10, 1450)))
    assert patch.header["traces"]["0"]["columns"]["y"] | {"at": 0} == {
        "type": "number",
        "drop": 10,
        "keep": 1430,
        "at": 0,
        "size": 10,
    }
    assert len(patch.buffer) == 2 * 10 * 8
    reader.take(patch)
    np.testing.assert_array_equal(reader.values(0, "y"), np.sin(np.arange(10, 1450) / 10))


def test_a_changed_last_row_is_replaced() -> None:
    feed, reader = Feed(), Reader()
    reader.take(_sent(feed.update(line(0, 50))))
    figure = line(0, 50)
    figure.data[0].y = [*figure.data[0].y[:-1], 9.0]
    reader.take(_sent(feed.update(figure)))
    assert reader.values(0, "y")[-1] == 9.0
    assert len(reader.values(0, "y")) == 50


def test_nan_is_equal_to_nan() -> None:
    feed = Feed()
    feed.update(line(0, 3, customdata=np.array([np.nan, 1.0, np.nan])))
    assert feed.update(line(0, 3, customdata=np.array([np.nan, 1.0, np.nan]))) is None


def test_only_the_changed_paths_of_a_layout_travel() -> None:
    feed = Feed()
    figure = line(0, 5)
    figure.layout = {"xaxis": {"range": [0, 1]}, "title": {"text": "t"}}
    feed.update(figure)
    moved = go.Figure(figure)
    moved.layout.xaxis.range = [1, 2]
    patch = _sent(feed.update(moved))
    assert patch.header["layout"] == {"xaxis.range": [1, 2]}
    moved.layout.title = None
    assert _sent(feed.update(moved)).header["layout"] == {"title.text": None}


def test_texts_keep_their_codes_and_new_ones_are_appended() -> None:
    feed, reader = Feed(), Reader()
    reader.take(_sent(feed.update(line(0, 3, text=np.array(["a", "b", "a"], dtype=object)))))
    patch = _sent(feed.update(line(1, 5, text=np.array(["b", "a", "c", None], dtype=object))))
    assert patch.header["traces"]["0"]["columns"]["text"]["labels"] == ["c"]
    reader.take(patch)
    assert reader.values(0, "text") == ["b", "a", "c", None]


def test_columns_inside_markers_and_rows_of_customdata_travel_as_columns() -> None:
    rows = np.array([[1.0, "x"], [2.0, "y"], [3.0, "x"]], dtype=object)
    marker = {"color": np.arange(3.0), "size": [1, 2, 3]}
    message = _sent(Feed().update(line(0, 3, customdata=rows, marker=marker)))
    columns = message.header["traces"][0]["columns"]
    assert set(columns) == {
        "x", "y", "customdata.0", "customdata.1", "marker.color", "marker.size",
    }  # fmt: skip
    assert columns["customdata.0"]["type"] == "number"
    assert columns["customdata.1"]["labels"] == ["x", "y"]


def test_other_traces_or_columns_make_a_snapshot_and_the_numbers_go_on() -> None:
    feed = Feed()
    feed.update(line(0, 5))
    message = _sent(feed.update(line(0, 5, text=np.array(list("abcde"), dtype=object))))
    assert (message.header["kind"], message.header["seq"]) == ("snapshot", 2)
    feed.reset()
    message = _sent(feed.update(line(0, 5)))
    assert (message.header["kind"], message.header["seq"]) == ("snapshot", 3)


def test_a_reader_that_comes_late_gets_the_state_of_now() -> None:
    feed = Feed()
    assert feed.snapshot() is None
    feed.update(line(0, 20))
    feed.update(line(5, 25))
    reader = Reader()
    reader.take(_sent(feed.snapshot()))
    assert reader.seq == 2
    np.testing.assert_array_equal(reader.values(0, "y"), np.sin(np.arange(5, 25) / 10))


@pytest.mark.parametrize(
    "values",
    [
        np.array([], dtype=float),
        np.array([np.inf, -np.inf, np.nan]),
        np.array([True, False]),
        np.array([1, 2, 3], dtype=np.int16),
        np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"),
        np.array([None, None], dtype=object),
        np.array(["<b>", "é", "日本"], dtype=object),
    ],
    ids=str,
)
def test_every_kind_of_column_arrives(values: np.ndarray[Any, Any]) -> None:
    feed, reader = Feed(), Reader()
    figure = go.Figure({"data": [{"type": "scatter", "y": np.arange(len(values)), "text": values}]})
    reader.take(_sent(feed.update(figure)))
    got = reader.values(0, "text")
    if values.dtype.kind == "M":
        assert np.isnan(got[1])
        assert got[0] == pd.Timestamp("2026-01-01").timestamp() * 1e3
    elif values.dtype.kind == "O":
        assert got == ([None, None] if values[0] is None else list(values)) or got == [-1, -1]
    else:
        np.testing.assert_array_equal(got, values.astype(float))


numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=12)
texts = st.lists(st.sampled_from(["a", "b", "c", "<i>", None]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(numbers, texts), min_size=1, max_size=6))
def test_any_sequence_of_figures_ends_in_the_last_one(
    steps: list[tuple[list[float], list[str | None]]],
) -> None:
    feed, reader = Feed(), Reader()
    for values, words in steps:
        size = min(len(values), len(words))
        y = np.array(values[:size])
        text = np.array([*words[:size]], dtype=object)
        message = feed.update(
            go.Figure({"data": [{"type": "scatter", "name": "s", "y": y, "text": text}]})
        )
        if message is not None:
            reader.take(message)
        np.testing.assert_array_equal(reader.traces[0]["columns"]["y"][0], y)
        codes, labels = reader.traces[0]["columns"]["text"]
        assert [None if code < 0 else labels[code] for code in codes] == list(text)


def _sent(message: Message | None) -> Message:
    assert message is not None
    return message


def test_moments_and_decimals_of_plain_python_are_times_and_numbers() -> None:
    from datetime import UTC, datetime, timedelta, timezone
    from decimal import Decimal

    east = timezone(timedelta(hours=2))
    moments = [datetime(2026, 1, 1, 2, tzinfo=east), datetime(2026, 1, 1, 1, tzinfo=UTC)]
    feed, reader = Feed(), Reader()
    figure = go.Figure(
        {"data": [{"type": "scatter", "x": moments, "y": [Decimal("1.5"), Decimal("2.5")]}]}
    )
    reader.take(_sent(feed.update(figure)))
    assert reader.layout["xaxis.type"] == "date"
    assert reader.values(0, "x") == [
        pd.Timestamp("2026-01-01").timestamp() * 1e3,
        pd.Timestamp("2026-01-01 01:00").timestamp() * 1e3,
    ]
    assert reader.values(0, "y") == [1.5, 2.5]


def test_rows_that_leave_are_counted_on_the_time_axis_and_not_on_repeated_values() -> None:
    feed = Feed()
    feed.update(line(0, 100, customdata=np.repeat(1.0, 100)))
    patch = _sent(feed.update(line(5, 105, customdata=np.repeat(1.0, 100))))
    assert len(patch.buffer) == 2 * 5 * 8
