"""System metrics: a panel per unit."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from tests.charts.frames import column, draw, stamps, system_metrics, trace


def frame(metrics: dict[str, tuple[str | None, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": stamps(len(metrics)),
            "metric_name": pd.Series(list(metrics), dtype="str"),
            "metric_value": [value for _, value in metrics.values()],
            "metric_unit": pd.Series([unit for unit, _ in metrics.values()], dtype="str"),
        }
    )


def test_latency_ratio_and_throughput_come_first_each_on_an_axis_of_its_own() -> None:
    figure = draw("system_metrics", system_metrics(50))
    axes = {name: trace(figure, name).yaxis for name in ("latency", "cache hit ratio")}
    assert axes == {"latency": "y", "cache hit ratio": "y2"}
    assert trace(figure, "throughput").yaxis == "y3"
    assert trace(figure, "cpu").yaxis == trace(figure, "memory").yaxis == "y4"
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [
        "latency, ms",
        "cache hit ratio, %",
        "throughput, rows/s",
        "cpu · memory, %",
    ]


def test_a_ratio_is_drawn_in_per_cent() -> None:
    figure = draw("system_metrics", frame({"hits": ("ratio", 0.25), "misses": ("ratio", 0.75)}))
    assert column(trace(figure, "hits").y) == [25.0]
    assert figure.layout.yaxis.range[0] == 0


def test_a_high_ratio_is_magnified_up_to_a_hundred() -> None:
    figure = draw("system_metrics", frame({"hits": ("ratio", 0.996)}))
    assert figure.layout.yaxis.range[0] == 99
    assert list(figure.layout.yaxis.tickvals) == [99, 99.5, 100]


def test_metrics_that_share_a_panel_are_in_the_legend_and_others_are_not() -> None:
    figure = draw("system_metrics", system_metrics(50))
    entries = [one.name for one in figure.data if one.showlegend]
    assert entries == ["cpu", "memory"]
    assert trace(figure, "cpu").line.color != trace(figure, "memory").line.color


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_panels_never_overlap_and_leave_room_for_a_title(count: int) -> None:
    figure = draw("system_metrics", frame({f"m{n}": (f"unit{n}", 1.0) for n in range(count)}))
    names = [f"yaxis{n or ''}" for n in (None, *range(2, min(count, 5) + 1))]
    domains = [figure.layout[name].domain for name in names]
    assert len(figure.layout.annotations) == min(count, 5)
    plot = 300 - 30 - 40
    for above, below in itertools.pairwise(domains):
        assert (above[0] - below[1]) * plot >= 15
    assert all((high - low) * plot >= 20 for low, high in domains)


def test_a_metric_without_a_unit_has_a_panel() -> None:
    figure = draw("system_metrics", frame({"restarts": (None, 2.0)}))
    assert column(trace(figure, "restarts").y) == [2.0]
