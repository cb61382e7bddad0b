"""The dashboard: queries, charts and widgets wired together for notebooks."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import ipywidgets
import plotly.graph_objects as go
import sqlalchemy as sa

from alphapulse_nb import catalog, charts, queries
from alphapulse_nb import settings as settings_module
from alphapulse_nb.alerts.periods import firing
from alphapulse_nb.catalog import ChartSpec, Drawing
from alphapulse_nb.charts import Alert, Card, View
from alphapulse_nb.db import connection
from alphapulse_nb.db.connection import Database, spending
from alphapulse_nb.errors import AlphaPulseError, DatabaseUnavailable, InputError
from alphapulse_nb.queries import DEFAULT_RANGE, RANGES, Window
from alphapulse_nb.refresh import Job, Refresher
from alphapulse_nb.reports import Reporter
from alphapulse_nb.settings import Settings
from alphapulse_nb.widgets.alerts import Alerts, Answer
from alphapulse_nb.widgets.cards import Cards
from alphapulse_nb.widgets.controls import Controls, acceptable
from alphapulse_nb.widgets.live_chart import LiveChart, Shown

_SYMBOLS_EVERY: Final = 60.0
"""Seconds between looks at which symbols there are."""


def connect(url: str | sa.URL | None = None, settings: Settings | None = None) -> Database:
    """The database at `url`, or else the one that the settings name.

    With no database settings this starts (or joins) the embedded Postgres. Raises `SettingsError`,
    `InputError` or `EmbeddedError`.
    """
    settings = settings or settings_module.read()
    return connection.connect(
        url if url is not None else settings.database(),
        statement_timeout=settings.statement_timeout,
        data_dir=settings.data_dir,
    )


def live_chart(
    name: str,
    db: Database,
    symbol: str = "",
    span: str = DEFAULT_RANGE,
    *,
    every: float = 10.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> LiveChart:
    """A registered chart as a widget that stays live.

    `span` is a name in `queries.RANGES`; `every` is in seconds. Raises `InputError` for an unknown
    chart or range.
    """
    spec = catalog.chart(name)
    Window.last(span, clock())

    def load() -> go.Figure:
        return spec.figure(db, symbol, Window.last(span, clock()))

    load.__name__ = spec.title
    chart = LiveChart(load, spec.title, every=every, fresh_for=spec.fresh_for)
    chart.about(Shown(symbol if spec.by_symbol else "", Window.last(span, clock()).label))
    return chart


@dataclass(frozen=True)
class Selection:
    """What the viewer looks at. `turn` counts the choices."""

    symbol: str
    span: str
    turn: int = 0


class Dashboard:
    """Every chart of the catalog with controls, headline cards and alerts.

    Parameters
    ----------
    db: where the data is; by default what the settings say.
    symbol, span: the first view; by default what the page's address asks for, else the first
        symbol and the last 24 h.
    settings: read from the environment by default.

    Display it as the last value of a cell. In a kernel it refreshes by itself; in a plain script
    call `refresh()`.
    """

    def __init__(
        self,
        db: Database | None = None,
        *,
        symbol: str | None = None,
        span: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or settings_module.read()
        self.db = db if db is not None else connect(settings=self.settings)
        self._guard = threading.RLock()
        self._faults: dict[str, Alert] = {}
        self._breaches: list[Alert] = []
        self._newest: float | None = None
        self._unreachable: set[str] = set()
        self._symbols_at = -_SYMBOLS_EVERY
        asked = _asked(os.environ.get("QUERY_STRING", ""))
        self.selection = Selection(
            symbol or asked.get("symbol", ""), span or asked.get("range", "")
        )
        if self.selection.span not in RANGES:
            self.selection = Selection(self.selection.symbol, DEFAULT_RANGE)
        # The server's stream shows its database, so another one's dashboard has nothing of it.
        self._streamed = (
            db is None and settings is None and bool(os.environ.get("ALPHAPULSE_STREAM"))
        )
        self.refresher = Refresher(
            self.settings.refresh_interval,
            around=self.db.session,
            after=self._finished,
            report=Reporter(),
            asleep=self._streamed,
        )
        self._build()
        self._add_jobs()
        self._watch()
        self.refresher.start()

    def __repr__(self) -> str:
        return f"Dashboard({len(self.charts)} charts)"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs) | {"text/plain": repr(self)}

    def select(self, symbol: str | None = None, span: str | None = None) -> None:
        """Show another symbol or range. Everything that is loading for the old one is discarded."""
        span = span or self.selection.span
        if span not in RANGES:
            raise InputError(f"unknown range {span!r}; known: {', '.join(RANGES)}")
        with self._guard:
            self.selection = Selection(
                symbol or self.selection.symbol, span, self.selection.turn + 1
            )
            self._newest = None
            for name, chart in self.charts.items():
                chart.await_view(self._shown(self._specs[name], self.selection))
            self.cards.await_view()
            self.controls.symbol = self.selection.symbol
            self.controls.span = self.selection.span
            self.refresher.next_turn()

    def refresh(self) -> None:
        """Load and show everything once, in this thread."""
        self.refresher.run_once()

    def close(self) -> None:
        """Stop refreshing and close the widgets. The database stays open."""
        self.refresher.stop()
        for widget in (*self.charts.values(), self.controls, self.cards, self.alerts):
            widget.close()
        self._grid.close()
        self.widget.close()

    def _build(self) -> None:
        self._specs = catalog.catalog()
        self.charts = {name: self._panel(spec) for name, spec in self._specs.items()}
        self.controls = Controls(
            symbol=self.selection.symbol or "–",
            span=self.selection.span,
            spans=list(RANGES),
            every=self.settings.refresh_interval,
            notice=self.settings.notice,
            zone=os.environ.get("ALPHAPULSE_ZONE") or "local",
            person=os.environ.get("ALPHAPULSE_USER", "") if _signed_in() else "",
            streamed=self._streamed,
        )
        self.cards = Cards(feed=self._feed("headline"))
        self.alerts = Alerts(feed=self._feed("alerts"), answer=self._answering())
        self._grid = ipywidgets.Box([*self.charts.values(), self.alerts])
        self._grid.add_class("ap-grid")
        self.widget = ipywidgets.VBox([self.controls, self.cards, self._grid])
        self.widget.add_class("ap-page")

    def _answering(self) -> Answer | None:
        """What answers the page about notifications; None on pages that others may open.

        Those of our server ask the server, and another Voila knows nobody's rights.
        """
        if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
            return None
        from alphapulse_nb.actions.door import Door

        return Door(self.db, self.settings.clock, local=self.settings.local_channels)

    def _panel(self, spec: ChartSpec) -> LiveChart:
        chart = LiveChart(
            title=spec.title,
            every=self.refresher.interval,
            fresh_for=spec.fresh_for,
            feed=self._feed(spec.name),
        )
        chart.on_alive = self.refresher.renew
        chart.on_retry = self.refresher.nudge
        chart.await_view(self._shown(spec, self.selection))
        return chart

    def _feed(self, name: str) -> str:
        """The feed of a page's stream; none where the page has no stream."""
        return name if self._streamed else ""

    def _add_jobs(self) -> None:
        add = self._add_job
        add("symbols", "Symbols", self._load_symbols, self._show_symbols)
        for name, spec in self._specs.items():
            add(
                name,
                spec.title,
                functools.partial(self._load_chart, Drawing(spec)),
                functools.partial(self._show_chart, spec),
            )
        add("headline", "Headline", self._load_headline, self._show_headline)
        add("breaches", "Alerts", self._load_breaches, self._show_breaches)
        add("firing", "Alerts on the charts", self._load_firing, self._show_firing)

    def _add_job(
        self,
        name: str,
        title: str,
        load: Callable[[Selection, datetime], Any],
        show: Callable[[Selection, datetime, Any], None],
    ) -> None:
        """A job that reads the selection once and shows its result only while that still holds."""

        def run() -> tuple[Selection, datetime, Any]:
            selection, now = self.selection, self.settings.clock()
            with spending() as spent:
                try:
                    return selection, now, load(selection, now)
                finally:
                    job.query, job.rows = spent.seconds, spent.rows

        def done(result: tuple[Selection, datetime, Any]) -> None:
            with self._guard:
                if result[0] == self.selection:
                    self._faults.pop(name, None)
                    self._unreachable.discard(name)
                    show(*result)

        def failed(error: Exception) -> None:
            with self._guard:
                self._fail(name, title, error)

        job = Job(name, run, done, failed)
        self.refresher.add(job)

    def _watch(self) -> None:
        self.controls.observe(self._chosen, ["symbol", "span"])
        self.controls.observe(lambda change: self._set_interval(change.new), "every")
        self.controls.observe(lambda change: self._set_paused(change.new), "paused")

    def _chosen(self, _change: Any) -> None:
        symbol, span = self.controls.symbol, self.controls.span
        if (symbol, span) != (self.selection.symbol, self.selection.span):
            self.select(symbol, span)

    def _set_interval(self, seconds: float) -> None:
        self.refresher.set_interval(seconds)
        for chart in self.charts.values():
            chart.every = seconds

    def _set_paused(self, paused: bool) -> None:
        self.refresher.set_paused(paused)
        self._report()

    def _shown(self, spec: ChartSpec, selection: Selection) -> Shown:
        now = self.settings.clock()
        label = Window.last(selection.span, now).label
        return Shown(selection.symbol if spec.by_symbol else "", label, selection.turn)

    def _load_symbols(self, _selection: Selection, _now: datetime) -> list[str] | None:
        if time.monotonic() - self._symbols_at < _SYMBOLS_EVERY:
            return None
        found = queries.symbols(self.db)
        self._symbols_at = time.monotonic()
        return found

    def _show_symbols(self, selection: Selection, _now: datetime, found: list[str] | None) -> None:
        if found is None:
            return
        self.controls.symbols = found
        if not selection.symbol and found:
            self.select(found[0])

    def _load_chart(
        self, drawing: Drawing, selection: Selection, now: datetime
    ) -> go.Figure | None:
        if drawing.spec.by_symbol and not selection.symbol and not self._no_symbols():
            return None
        return drawing.figure(self.db, selection.symbol, Window.last(selection.span, now))

    def _no_symbols(self) -> bool:
        """Whether we have looked and there are none: then the charts may say "no data"."""
        return self._symbols_at > 0 and not self.controls.symbols

    def _show_chart(
        self, spec: ChartSpec, selection: Selection, now: datetime, figure: go.Figure | None
    ) -> None:
        if figure is None:
            return
        chart = self.charts[spec.name]
        chart.show(figure, self._shown(spec, selection), at=now.timestamp())
        if chart.newest is not None:
            self._newest = max(self._newest or 0.0, chart.newest)

    def _load_headline(self, selection: Selection, now: datetime) -> list[Card]:
        window = Window.last(selection.span, now)
        frame = queries.headline(self.db, selection.symbol, window)
        return charts.headline(frame, View(selection.symbol, window.label))

    def _show_headline(self, _selection: Selection, _now: datetime, cards: list[Card]) -> None:
        self.cards.show(cards)

    def _load_breaches(self, selection: Selection, now: datetime) -> list[Alert]:
        return charts.breaches(queries.breaches(self.db, Window.last(selection.span, now)))

    def _show_breaches(self, _selection: Selection, _now: datetime, found: list[Alert]) -> None:
        self._breaches = found

    def _load_firing(self, selection: Selection, now: datetime) -> list[dict[str, Any]]:
        window = Window.last(selection.span, now)
        return firing(self.db, selection.symbol, window.start, window.end, self._specs.values())

    def _show_firing(
        self, _selection: Selection, _now: datetime, found: list[dict[str, Any]]
    ) -> None:
        for name, chart in self.charts.items():
            chart.shade([period for period in found if name in period["charts"]])

    def _fail(self, name: str, title: str, error: Exception) -> None:
        """Show a failure in its panel and among the alerts; nothing of our insides goes out."""
        known = isinstance(error, AlphaPulseError)
        message = str(error) if known else f"{type(error).__name__}: {error}"
        now = self.settings.clock().timestamp()
        if isinstance(error, DatabaseUnavailable):
            self._unreachable.add(name)
        else:
            self._unreachable.discard(name)
        since = self._faults[name].at if name in self._faults else now * 1e3
        self._faults[name] = Alert(f"fault-{name}", "error", "high", title, message, since)
        if name in self.charts:
            self.charts[name].fail(title, message, at=now)

    def _finished(self) -> None:
        """A tick has ended: tell the alerts area and the badge."""
        with self._guard:
            self.alerts.show([*self._collapsed(self._faults.values()), *self._breaches])
            self._report()

    def _collapsed(self, faults: Iterable[Alert]) -> list[Alert]:
        """One alert for panels that fail for the same reason."""
        by_message: dict[str, list[Alert]] = {}
        for fault in faults:
            by_message.setdefault(fault.message, []).append(fault)
        return [
            Alert(
                same[0].key,
                "error",
                "high",
                same[0].title if len(same) == 1 else f"{len(same)} panels have no new data",
                message,
                min(fault.at for fault in same),
            )
            for message, same in by_message.items()
        ]

    def _report(self) -> None:
        now = self.settings.clock().timestamp()
        fault = "the database cannot be reached" if self._unreachable else ""
        self.controls.report(at=now, newest=self._newest, fault=fault)


def _signed_in() -> bool:
    """Whether the server started us for somebody who signed in, and so can sign out."""
    return bool(os.environ.get("ALPHAPULSE_SIGNED_IN"))


def _asked(query: str) -> dict[str, str]:
    """The view that an address asks for; the last value wins, overlong ones are left out."""
    return {
        name: value
        for name, value in parse_qsl(query[:2_000])
        if name in {"symbol", "range"} and acceptable(value)
    }
