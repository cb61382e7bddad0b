"""What every chart owes its callers, whatever is in the frame."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from alphapulse_nb.charts import View, theme
from alphapulse_nb.feeds import Feed
from tests.charts.frames import MAKERS, START, draw

VIEW = View(
    "BTC/USDT",
    "last 24 h",
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 2, tzinfo=UTC),
)
every = pytest.mark.parametrize("name", MAKERS)


def numbers(frame: pd.DataFrame) -> list[str]:
    return list(frame.select_dtypes("number").columns)


def with_numbers(frame: pd.DataFrame, value: float) -> pd.DataFrame:
    return frame.assign(**dict.fromkeys(numbers(frame), value))


def with_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """NULL in every column that may hold one."""
    times = {c: pd.NaT for c in ("next_funding_time",) if c in frame}
    texts = {
        c: pd.Series([None] * len(frame), dtype="str")
        for c in ("outcome", "metric_unit")
        if c in frame
    }
    return with_numbers(frame, math.nan).assign(**times, **texts)


def with_mixed(frame: pd.DataFrame) -> pd.DataFrame:
    """NULL, NaN and both infinities among good values, in every column."""
    mixed = frame.copy()
    for place, name in enumerate(numbers(frame)):
        for step, value in enumerate((math.nan, math.inf, -math.inf)):
            mixed.loc[mixed.index[(7 * place + 13 * step) % len(mixed) :: 29], name] = value
    for name in ("outcome", "metric_unit"):
        if name in mixed:
            mixed.loc[mixed.index[::3], name] = None
    return mixed


def notes(figure: go.Figure) -> str:
    return " ".join(note["text"] for note in figure.layout.annotations or ())


def says_no_data(figure: go.Figure) -> bool:
    return notes(figure).startswith("No data")


@every
def test_a_figure_is_one_that_plotly_accepts(name: str) -> None:
    go.Figure(draw(name, MAKERS[name](200), VIEW).to_plotly_json())


@every
def test_an_empty_frame_draws_a_quiet_no_data(name: str) -> None:
    figure = draw(name, MAKERS[name](0), VIEW)
    assert notes(figure) == "No data for BTC/USDT in the last 24 h"
    assert len(figure.data) == 0


@every
def test_an_all_null_frame_draws_a_quiet_no_data(name: str) -> None:
    assert says_no_data(draw(name, with_missing(MAKERS[name](20)), VIEW))


@every
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.0, 1e308, -1e308])
@pytest.mark.parametrize("count", [1, 2, 30])
def test_extreme_values_are_drawn_without_failing(name: str, value: float, count: int) -> None:
    figure = draw(name, with_numbers(MAKERS[name](count), value), VIEW)
    assert "Infinity" not in json.dumps(json.loads(figure.to_json())["layout"])
    assert Feed().update(figure) is not None


@every
@pytest.mark.parametrize("count", [1, 2, 3, 200])
def test_missing_values_among_good_ones_are_drawn(name: str, count: int) -> None:
    go.Figure(draw(name, with_mixed(MAKERS[name](count))).to_plotly_json())


@every
def test_a_frame_of_one_row_is_drawn(name: str) -> None:
    figure = draw(name, MAKERS[name](1))
    assert not says_no_data(figure)
    drawn = [one for one in figure.data if one.x is not None and one.hoverinfo != "skip"]
    assert any(len(one.x) == 1 for one in drawn)


@every
def test_a_chart_leaves_its_frame_as_it_was(name: str) -> None:
    frame = MAKERS[name](100)
    before = frame.copy(deep=True)
    draw(name, frame, VIEW)
    pd.testing.assert_frame_equal(frame, before)


@every
def test_names_are_shown_and_never_read_as_html(name: str) -> None:
    evil = "<img src=x onerror=alert(1)>"
    frame = MAKERS[name](40)
    texts = [c for c in frame.select_dtypes("str").columns if c not in ("outcome", "metric_unit")]
    frame = frame.assign(**dict.fromkeys(texts, evil))
    if "metric_unit" in frame:
        frame["metric_unit"] = evil
    for one in (draw(name, frame, VIEW), draw(name, frame.iloc[:0], View(symbol=evil))):
        shown = json.loads(one.to_json())
        shown["layout"].pop("uirevision", None)
        assert "<img" not in json.dumps(shown)
        assert "&lt;img" in json.dumps(shown)


@every
def test_every_colour_has_a_dark_partner(name: str) -> None:
    figure = draw(name, MAKERS[name](100), VIEW)
    known = set(theme.swaps()) | {"rgba(0,0,0,0)"}
    for colour in colours(figure.to_plotly_json()):
        assert colour in known or colour.endswith(",0.16)"), colour
    light = set(theme.swaps())
    partners = set(theme.swaps().values())
    assert not {c for c in colours(theme.dark(figure).to_plotly_json()) if c in light - partners}


def colours(tree: Any) -> set[str]:
    if isinstance(tree, str):
        return {tree} if tree.startswith(("#", "rgb")) else set()
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, np.ndarray) and tree.dtype == object:
        tree = tree.tolist()
    return set().union(*map(colours, tree)) if isinstance(tree, list | tuple) else set()


@every
def test_times_are_drawn_in_utc_whatever_the_zone_of_the_frame(name: str) -> None:
    frame = MAKERS[name](60)
    local = frame.assign(timestamp=frame["timestamp"].dt.tz_convert("Asia/Tokyo"))
    here, there = draw(name, frame, VIEW), draw(name, local, VIEW)
    for one, other in zip(here.data, there.data, strict=True):
        np.testing.assert_array_equal(np.asarray(one.x), np.asarray(other.x))
    first = min(np.asarray(one.x).min() for one in here.data if one.hoverinfo != "skip")
    assert first == START.tz_localize(None).to_datetime64()


@every
def test_ten_new_rows_make_a_small_patch(name: str) -> None:
    frame = MAKERS[name](2_000)
    feed = Feed()
    snapshot = feed.update(draw(name, frame.iloc[:1_990], VIEW))
    patch = feed.update(draw(name, frame.iloc[10:], VIEW))
    assert snapshot is not None
    assert patch is not None
    assert patch.header["kind"] == "patch"
    assert 0 < len(patch.buffer) < 0.1 * len(snapshot.buffer)


@every
def test_the_same_frame_again_makes_no_message(name: str) -> None:
    feed = Feed()
    feed.update(draw(name, MAKERS[name](300), VIEW))
    assert feed.update(draw(name, MAKERS[name](300), VIEW)) is None


@every
def test_a_day_is_drawn_in_a_few_milliseconds(name: str) -> None:
    frame = MAKERS[name](1_440)
    draw(name, frame, VIEW)
    spent = []
    for _ in range(7):
        start = time.perf_counter()
        draw(name, frame, VIEW)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.02  # a busy machine; the benchmark says 2 to 5 ms
