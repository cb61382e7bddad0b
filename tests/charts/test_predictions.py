"""Predictions: aligned axes, and marks that say what became of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapulse_nb.charts.predictions import aligned
from alphapulse_nb.charts.theme import light
from tests.charts.frames import column, draw, predictions, trace

HOLLOW = "rgba(0,0,0,0)"


def frame(*outcomes: str | None) -> pd.DataFrame:
    made = predictions(len(outcomes))
    return made.assign(signal_type="LONG", outcome=pd.Series(outcomes, dtype="str"))


@given(st.lists(st.floats(-1e9, 1e9)))
@example([5e-324])
@example([-1e-310, 2e-10])
@example([0.1 + 0.2, -1e-9])
@example([-(10.0**-7)])
def test_the_zero_lines_are_level_and_every_value_is_inside(values: list[float]) -> None:
    left, right = aligned(np.array(values))
    assert left[0] / (left[1] - left[0]) == pytest.approx(right[0] / (right[1] - right[0]))
    assert left[0] <= 0
    assert left[1] > 100
    assert all(right[0] - 1e-9 <= value <= right[1] + 1e-9 for value in values)


def test_a_small_change_leaves_the_axes_as_they_are() -> None:
    assert aligned(np.array([-37.0, 81.0])) == aligned(np.array([-39.0, 84.0]))


def test_the_figure_uses_the_aligned_ranges() -> None:
    figure = draw("predictions", predictions(50))
    left, right = figure.layout.yaxis.range, figure.layout.yaxis2.range
    assert left[0] < 0
    assert left[0] / left[1] == pytest.approx(right[0] / right[1])
    assert figure.layout.yaxis2.overlaying == "y"


def test_confidence_is_in_per_cent_and_pnl_in_usdt() -> None:
    made = frame(None).assign(confidence=0.5, predicted_pnl=-12.5)
    figure = draw("predictions", made)
    assert column(trace(figure, "LONG").y) == [50.0]
    bars = trace(figure, "predicted PnL")
    assert column(bars.y) == [-12.5]
    assert bars.yaxis == "y2"


def test_the_dashed_line_stands_at_seventy_per_cent() -> None:
    (line,) = draw("predictions", predictions(5)).layout.shapes
    assert (line.y0, line.y1, line.line.dash) == (70, 70, "dash")


@pytest.mark.parametrize(
    ("outcome", "name", "fill", "edge"),
    [
        ("WIN", "LONG win", light("good"), light("good")),
        ("LOSS", "LONG loss", light("bad"), light("bad")),
        ("NEUTRAL", "LONG neutral", light("muted"), light("muted")),
        ("PENDING", "LONG pending", HOLLOW, light("accent")),
        (None, "LONG", HOLLOW, light("zero")),
        ("something else", "LONG", HOLLOW, light("zero")),
    ],
)
def test_a_mark_says_what_became_of_it(
    outcome: str | None, name: str, fill: str, edge: str
) -> None:
    marks = trace(draw("predictions", frame(outcome)), name)
    assert (marks.marker.color, marks.marker.line.color) == (fill, edge)
    assert len(marks.x) == 1


def test_every_prediction_has_one_mark() -> None:
    made = predictions(40)
    figure = draw("predictions", made)
    marks = [one for one in figure.select_traces({"type": "scatter"}) if one.hoverinfo != "skip"]
    assert sum(len(one.x) for one in marks) == 40


def test_a_prediction_without_a_signal_is_smaller() -> None:
    figure = draw("predictions", frame("WIN", None))
    assert trace(figure, "LONG").marker.size < trace(figure, "LONG win").marker.size


def test_the_hover_names_the_outcome() -> None:
    figure = draw("predictions", frame("WIN", None))
    won = trace(figure, "LONG win")
    assert "WIN %{customdata[1]:+.2f} %" in won.hovertemplate
    assert [row[1] for row in won.customdata] == [0.25]
    assert "no signal followed" in trace(figure, "LONG").hovertemplate


def test_each_signal_type_has_its_own_symbol() -> None:
    made = predictions(6).assign(
        signal_type=["LONG", "SHORT", "EXIT_LONG", "EXIT_SHORT", "HEDGE", "ROLL"],
        outcome=pd.Series([None] * 6, dtype="str"),
    )
    figure = draw("predictions", made)
    names = ["LONG", "SHORT", "EXIT_LONG", "EXIT_SHORT", "HEDGE", "ROLL"]
    assert len({trace(figure, name).marker.symbol for name in names}) == 6


def test_the_legend_names_symbols_and_the_colours_in_use() -> None:
    figure = draw("predictions", frame("WIN", "PENDING"))
    entries = [one.name for one in figure.data if one.showlegend is not False]
    assert entries == ["LONG", "win"]
