"""The list of charts: ours, and those that other packages register."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from alphapulse_nb import catalog
from alphapulse_nb.catalog import ChartSpec, Drawing
from alphapulse_nb.charts import View
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import ChartError, InputError
from alphapulse_nb.feeds import Feed
from alphapulse_nb.queries import RANGES, Window
from tests.charts.frames import MAKERS

Register = Callable[..., None]
HOUR = timedelta(hours=1)
WINDOW = Window.last("24h", datetime(2026, 3, 1, tzinfo=UTC))

spread = ChartSpec(
    "spread", "Spread", lambda *_: pd.DataFrame(), lambda *_: go.Figure(), ("quotes",)
)
impostor = "not a chart"


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Registers entry points (name=value) for the length of a test."""

    def made(**points: str) -> None:
        found = EntryPoints(
            EntryPoint(name, value, catalog.GROUP) for name, value in points.items()
        )
        monkeypatch.setattr(catalog, "entry_points", lambda group: found.select(group=group))
        catalog.catalog.cache_clear()

    yield made
    catalog.catalog.cache_clear()


def test_our_charts_come_in_the_order_of_the_page() -> None:
    ours = ["funding_rates", "anomalies", "performance", "predictions", "system"]
    assert [spec.name for spec in catalog.OURS] == ours


@pytest.mark.parametrize("name", [spec.name for spec in catalog.OURS])
def test_each_of_ours_goes_from_the_database_to_a_figure(
    desk: Any, db: Database, name: str
) -> None:
    for span in RANGES:
        figure = catalog.chart(name).figure(db, "BTC/USDT", Window.last(span, desk.now))
        if span == "24h":
            assert len(figure.data) > 0


def test_a_registered_chart_is_listed_after_ours(register: Register) -> None:
    register(spread="tests.test_catalog:spread")
    assert list(catalog.catalog())[-1] == "spread"
    assert catalog.chart("spread") is spread


def test_a_chart_that_cannot_be_loaded_says_so_when_it_is_drawn(register: Register) -> None:
    register(gone="no_such_package:chart", spread="tests.test_catalog:spread")
    assert {"gone", "spread"} <= set(catalog.catalog())
    with pytest.raises(ChartError, match="'gone' could not be loaded: ModuleNotFoundError"):
        catalog.chart("gone").figure(_no_database(), "BTC/USDT", WINDOW)


def test_an_entry_point_that_is_no_chart_says_so_when_it_is_drawn(register: Register) -> None:
    register(odd="tests.test_catalog:impostor")
    with pytest.raises(ChartError, match="is a str, not a ChartSpec"):
        catalog.chart("odd").figure(_no_database(), "BTC/USDT", WINDOW)


def test_a_registered_chart_does_not_take_the_place_of_ours(register: Register) -> None:
    register(anomalies="tests.test_catalog:spread")
    assert catalog.chart("anomalies") is catalog.OURS[1]


def test_a_chart_that_draws_something_else_is_named() -> None:
    spec = ChartSpec("odd", "Odd", lambda *_: pd.DataFrame(), lambda *_: 3, ())  # type: ignore[arg-type,return-value]
    with pytest.raises(ChartError, match="'odd' gave a int"):
        spec.figure(_no_database(), "BTC/USDT", WINDOW)


def test_an_unknown_chart_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown chart 'x'; known: funding_rates, anomalies"):
        catalog.chart("x")


def test_a_chart_of_the_whole_desk_knows_no_symbol() -> None:
    seen = []
    spec = ChartSpec(
        "desk",
        "Desk",
        lambda *_: pd.DataFrame(),
        lambda _frame, view: (seen.append(view.symbol), go.Figure())[1],
        (),
        by_symbol=False,
    )
    spec.figure(_no_database(), "BTC/USDT", WINDOW)
    assert seen == [""]


LATER = Window(WINDOW.start + HOUR, WINDOW.end + HOUR)


@pytest.mark.parametrize("spec", [one for one in catalog.OURS if one.slides], ids=lambda s: s.name)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_what_slides_is_moved_to_just_what_would_be_drawn(spec: ChartSpec, count: int) -> None:
    frame = MAKERS[spec.name](count)
    drawing = Drawing(replace(spec, load=lambda *_: frame.copy()))
    drawing.figure(_no_database(), "BTC/USDT", WINDOW)
    moved = drawing.figure(_no_database(), "BTC/USDT", LATER)
    drawn = spec.drawn(frame, spec.view("BTC/USDT", LATER))
    assert moved.to_plotly_json()["layout"] == drawn.to_plotly_json()["layout"]
    assert Feed().update(moved) == Feed().update(drawn)


def drawing_of(frames: list[pd.DataFrame], slides: bool = True) -> tuple[Drawing, list[View]]:
    """A drawing of a chart that is given these frames, and the views that it has drawn."""
    drawn: list[View] = []
    left = iter(frames)

    def draw(frame: pd.DataFrame, view: View) -> go.Figure:
        drawn.append(view)
        layout = {"xaxis": {"range": view.limits}}
        return go.Figure({"data": [{"type": "bar", "y": frame["y"]}], "layout": layout})

    spec = ChartSpec("bars", "Bars", lambda *_: next(left), draw, (), slides=slides)
    return Drawing(spec), drawn


SAME = pd.DataFrame({"y": [1.0, math.nan]})


def test_a_frame_that_has_not_changed_is_not_drawn_again() -> None:
    drawing, drawn = drawing_of([SAME.copy(), SAME.copy()])
    before = drawing.figure(_no_database(), "BTC/USDT", WINDOW)
    after = drawing.figure(_no_database(), "BTC/USDT", LATER)
    assert len(drawn) == 1
    assert list(after.layout.xaxis.range) == drawing.spec.view("BTC/USDT", LATER).limits
    assert list(before.layout.xaxis.range) == drawing.spec.view("BTC/USDT", WINDOW).limits


@pytest.mark.parametrize(
    ("frame", "symbol", "window", "slides"),
    [
        (SAME + 1, "BTC/USDT", LATER, True),
        (SAME, "ETH/USDT", LATER, True),
        (SAME, "BTC/USDT", Window.last("7d", WINDOW.end), True),
        (SAME, "BTC/USDT", replace(LATER, start=WINDOW.start), True),
        (SAME, "BTC/USDT", LATER, False),
    ],
    ids=["another frame", "another symbol", "another range", "a longer view", "does not slide"],
)
def test_whatever_else_has_changed_is_drawn_again(
    frame: pd.DataFrame, symbol: str, window: Window, slides: bool
) -> None:
    drawing, drawn = drawing_of([SAME, frame], slides)
    drawing.figure(_no_database(), "BTC/USDT", WINDOW)
    drawing.figure(_no_database(), symbol, window)
    assert len(drawn) == 2


def _no_database() -> Any:
    return SimpleNamespace()
