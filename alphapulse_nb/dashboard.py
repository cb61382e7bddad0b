"""The dashboard: queries, charts and widgets wired together for notebooks."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import ipywidgets
import plotly.graph_objects as go
import sqlalchemy as sa

from alphapulse_nb import catalog
from alphapulse_nb import settings as settings_module
from alphapulse_nb.catalog import ChartSpec
from alphapulse_nb.db import connection
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries import DEFAULT_RANGE, RANGES, Window
from alphapulse_nb.refresh import Job, Refresher
from alphapulse_nb.settings import Settings
from alphapulse_nb.widgets.live_chart import LiveChart, Shown


def connect(url: str | sa.URL | None = None, settings: Settings | None = None) -> Database:
    """The database of the settings, or the one at `url`.

    With no database settings this starts (or joins) the embedded Postgres. Raises `SettingsError`,
    `InputError` or `EmbeddedError`.
    """
    settings = settings or settings_module.read()
    return connection.connect(
        url if url is not None else settings.database(),
        statement_timeout=settings.statement_timeout,
        data_dir=settings.data_dir,
    )


class Dashboard:
    def __init__(self, db: Database | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or settings_module.read()
        self.db = db if db is not None else connect(settings=self.settings)
        self.symbol, self.span = "BTC/USDT", DEFAULT_RANGE
        self.refresher = Refresher(self.settings.refresh_interval, around=self.db.session)
        self.charts: dict[str, LiveChart] = {}
        for name, spec in catalog.catalog().items():
            self.charts[name] = chart = LiveChart(
                title=spec.title, every=self.refresher.interval, fresh_for=spec.fresh_for
            )
            chart.on_alive = self.refresher.renew
            chart.on_retry = self.refresher.nudge
            self.refresher.add(
                Job(
                    name,
                    functools.partial(self._figure, spec),
                    functools.partial(self._show, chart),
                    functools.partial(self._fail, chart, spec),
                )
            )
        self.widget = ipywidgets.VBox(list(self.charts.values()))
        self.refresher.start()

    def _figure(self, spec: ChartSpec) -> go.Figure:
        window = Window.last(self.span, self.settings.clock())
        return spec.figure(self.db, self.symbol, window)

    def _show(self, chart: LiveChart, figure: go.Figure) -> None:
        chart.show(figure, Shown(self.symbol, self.span, self.refresher.turn))

    def _fail(self, chart: LiveChart, spec: ChartSpec, error: Exception) -> None:
        chart.fail(spec.title, str(error))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)
