"""Anomalies: place, size and colour of the marks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.charts.anomalies import SCALE, size
from tests.charts.frames import anomalies, column, draw, trace


def frame(*scores: float | None) -> pd.DataFrame:
    made = anomalies(len(scores))
    return made.assign(data_type="price", z_score=pd.Series(scores, dtype="float64"))


def test_marks_stand_at_their_signed_z_score() -> None:
    marks = trace(draw("anomalies", frame(-4.0, 2.5)), "price")
    assert column(marks.y) == [-4.0, 2.5]


def test_the_colour_scale_is_fixed_and_symmetric() -> None:
    for scores in ((0.1, 0.2), (-50.0, 3.0)):
        figure = draw("anomalies", frame(*scores))
        assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-SCALE, SCALE)
        marks = trace(figure, "price")
        assert marks.marker.coloraxis == "coloraxis"
        assert column(marks.marker.color) == [max(-SCALE, min(SCALE, z)) for z in scores]


@given(st.lists(st.floats(allow_nan=False), min_size=2))
def test_size_is_bounded_and_monotone_in_the_size_of_z(scores: list[float]) -> None:
    ordered = np.array(sorted(scores, key=abs))
    sizes = size(ordered)
    assert ((sizes >= 5) & (sizes <= 18)).all()
    assert (np.diff(sizes) >= 0).all()


def test_size_tells_a_strong_anomaly_from_a_weak_one() -> None:
    weak, strong = size(np.array([2.0, 8.0]))
    assert strong > 1.5 * weak


@pytest.mark.parametrize(("z", "name"), [(math.inf, "price z = ∞"), (-math.inf, "price z = −∞")])
def test_an_infinite_z_stands_at_the_edge_and_says_so(z: float, name: str) -> None:
    figure = draw("anomalies", frame(9.0, z))
    marks = trace(figure, name)
    sign = math.copysign(1, z)
    assert column(marks.y) == [9.0 * sign]
    low, high = figure.layout.yaxis.range
    assert low < -9.0 < 9.0 < high
    assert f"z {'∞' if sign > 0 else '−∞'}" in marks.hovertemplate
    assert marks.marker.size == 18


def test_an_unknown_z_is_a_hollow_mark_at_zero() -> None:
    marks = trace(draw("anomalies", frame(4.0, None)), "price z unknown")
    assert column(marks.y) == [0.0]
    assert marks.marker.symbol == "circle-open"
    assert "z unknown" in marks.hovertemplate


def test_each_data_type_has_a_symbol_and_one_legend_entry() -> None:
    figure = draw("anomalies", anomalies(10))
    assert trace(figure, "price").marker.symbol != trace(figure, "volume").marker.symbol
    entries = [one.name for one in figure.data if one.showlegend is not False]
    assert entries == ["price", "volume", "threshold ±3"]


def test_the_lines_stand_at_the_most_common_threshold() -> None:
    made = anomalies(10).assign(threshold=[2.5] * 7 + [4.0, 4.0, None])
    figure = draw("anomalies", made)
    assert [shape.y0 for shape in figure.layout.shapes] == [2.5, -2.5]


def test_marks_within_their_own_threshold_are_pale() -> None:
    made = frame(2.9, 3.0, -3.5, 3.5).assign(threshold=[3.0, 3.0, 3.0, 4.0])
    opacity = column(trace(draw("anomalies", made), "price").marker.opacity)
    assert opacity[0] == opacity[3] < opacity[1] == opacity[2]


def test_the_legend_says_what_size_and_colour_mean() -> None:
    title = draw("anomalies", anomalies(3)).layout.coloraxis.colorbar.title.text
    assert "colour" in title
    assert "size" in title
