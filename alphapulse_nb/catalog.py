"""The list of charts: which query feeds which figure.

Ours, and those that other packages register under the entry-point group `alphapulse_nb.charts` (an
entry point names a `ChartSpec`). Whoever lists charts (dashboard, server, notebooks) asks here.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb import charts, queries
from alphapulse_nb.charts import View
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import ChartError, InputError
from alphapulse_nb.queries import MAX_POINTS, Window

GROUP: Final = "alphapulse_nb.charts"

log = logging.getLogger(__name__)

Load = Callable[[Database, str, Window, int], pd.DataFrame]
Draw = Callable[[pd.DataFrame, View], go.Figure]


@dataclass(frozen=True)
class ChartSpec:
    """A chart that can be listed and shown by name.

    `load(db, symbol, window, max_points)` gives the frame, `draw(frame, view)` the figure.
    `tables` are those whose changes concern it; `fresh_for` is the age in seconds above which its
    newest point counts as stale (0 for never); `by_symbol` is False for a chart of the whole desk;
    `max_points` is how many rows of a series it asks for at most; `slides` says that of one and the
    same frame a later view of the same length differs in the range of its `xaxis` only.
    """

    name: str
    title: str
    load: Load
    draw: Draw
    tables: tuple[str, ...]
    fresh_for: float = 0.0
    by_symbol: bool = True
    max_points: int = MAX_POINTS
    slides: bool = False

    def figure(
        self, db: Database, symbol: str, window: Window, max_points: int | None = None
    ) -> go.Figure:
        """Query and draw."""
        frame = self.load(db, symbol, window, max_points or self.max_points)
        return self.drawn(frame, self.view(symbol, window))

    def view(self, symbol: str, window: Window) -> View:
        """What a figure of that symbol and window is about."""
        return View(symbol if self.by_symbol else "", window.label, window.start, window.end)

    def drawn(self, frame: pd.DataFrame, view: View) -> go.Figure:
        """The frame's figure. Raises `ChartError` when the chart makes something else."""
        figure = self.draw(frame, view)
        if not isinstance(figure, go.Figure):
            raise ChartError(
                f"chart {self.name!r} gave a {type(figure).__name__}, not a plotly Figure"
            )
        return figure


class Drawing:
    """One chart, drawn again and again: of a frame that has not changed only the axis is moved.

    It remembers the last frame and figure. Not for two threads at a time.
    """

    def __init__(self, spec: ChartSpec) -> None:
        self.spec = spec
        self._last: tuple[pd.DataFrame, View, go.Figure] | None = None

    def figure(self, db: Database, symbol: str, window: Window) -> go.Figure:
        """Query and draw, as `ChartSpec.figure`."""
        frame = self.spec.load(db, symbol, window, self.spec.max_points)
        view = self.spec.view(symbol, window)
        figure = self._moved(frame, view) or self.spec.drawn(frame, view)
        self._last = (frame, view, figure)
        return figure

    def _moved(self, frame: pd.DataFrame, view: View) -> go.Figure | None:
        """The last figure over this view; None where it must be drawn."""
        if not self.spec.slides or self._last is None or view.limits is None:
            return None
        before, last, figure = self._last
        if not _slid(last, view) or figure.layout.xaxis.range is None or not frame.equals(before):
            return None
        layout = figure.layout.to_plotly_json()
        layout["xaxis"]["range"] = view.limits
        traces = [trace.to_plotly_json() for trace in figure.data]
        return go.Figure({"data": traces, "layout": layout}, _validate=False)


def _slid(last: View, view: View) -> bool:
    """Whether only time has passed between two views."""
    if None in (last.start, last.end, view.start, view.end):
        return False
    same = (last.symbol, last.span) == (view.symbol, view.span)
    return same and last.end - last.start == view.end - view.start  # type: ignore[operator]


OURS: Final = (
    ChartSpec(
        "funding_rates",
        "Funding rates",
        queries.funding_rates,
        charts.funding_rates,
        ("funding_rates",),
        fresh_for=600,
        slides=True,
    ),
    ChartSpec(
        "anomalies",
        "Anomalies",
        queries.anomalies,
        charts.anomalies,
        ("anomalies",),
        slides=True,
    ),
    ChartSpec(
        "performance",
        "Performance",
        queries.performance,
        charts.performance,
        ("performance_metrics",),
        fresh_for=1_800,
        slides=True,
    ),
    ChartSpec(
        "predictions",
        "Predictions",
        queries.predictions,
        charts.predictions,
        ("signal_predictions", "signals"),
        fresh_for=3_600,
        slides=True,
    ),
    ChartSpec(
        "system",
        "System",
        queries.system_metrics,
        charts.system_metrics,
        ("system_metrics",),
        fresh_for=600,
        by_symbol=False,
        max_points=400,  # five small panels: more would not show, and would be most of the page
    ),
)


@functools.cache
def catalog() -> dict[str, ChartSpec]:
    """Every chart by name: ours in their order, then the registered ones by name.

    A registered chart that cannot be loaded stays in the list and raises when it is drawn, so that
    its own panel says what is wrong.
    """
    listed = {spec.name: spec for spec in OURS}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in listed:
            log.warning("chart %r is registered twice; the first one stays", point.name)
            continue
        listed[point.name] = _registered(point)
    return listed


def chart(name: str) -> ChartSpec:
    """The chart of that name; `InputError` lists the known ones."""
    try:
        return catalog()[name]
    except KeyError:
        raise InputError(f"unknown chart {name!r}; known: {', '.join(catalog())}") from None


def _registered(point: EntryPoint) -> ChartSpec:
    try:
        spec = point.load()
    except Exception as error:  # noqa: BLE001 - somebody else's import; its panel reports it
        log.warning("chart %r could not be loaded: %s", point.name, error)
        return _broken(point.name, f"{type(error).__name__}: {error}")
    if not isinstance(spec, ChartSpec):
        return _broken(point.name, f"{point.value} is a {type(spec).__name__}, not a ChartSpec")
    return spec


def _broken(name: str, reason: str) -> ChartSpec:
    def load(_db: Database, _symbol: str, _window: Window, _points: int) -> pd.DataFrame:
        raise ChartError(f"the registered chart {name!r} could not be loaded: {reason}")

    return ChartSpec(name, name, load, lambda _frame, _view: go.Figure(), ())
