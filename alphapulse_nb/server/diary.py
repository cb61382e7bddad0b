"""The server's own figures as rows of `system_metrics`, for whoever asks for it.

The trading tables belong to the trading system. This is the one place where the server writes to
one of them, and only when told to. The names say whose they are, and the units put each into its
panel of the System chart.

| metric_name | unit | what |
|---|---|---|
| dashboard_query, dashboard_refresh, dashboard_lateness | ms | p95 of the last five minutes |
| dashboard_on_time | ratio | refreshes since the last row that began within a second |
| dashboard_rows_read | rows/s | rows read from the database since the last row |
| dashboard_cpu | % | of one processor, by the server's process since the last row |
| dashboard_memory | % | of the machine's, in the server's process |
| dashboard_viewers, dashboard_kernels | count | at that moment |
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import psutil
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.server.figures import Figures

EVERY: Final = 10.0
"""Seconds between rows."""

_QUANTILES: Final = {
    "dashboard_query": "query_seconds",
    "dashboard_refresh": "refresh_seconds",
    "dashboard_lateness": "refresh_late_seconds",
}
_COUNTED: Final = ("refreshes", "refreshes_late", "rows_read", "process_cpu_seconds")
_INSERT: Final = sa.insert(tables.system_metrics)

log = logging.getLogger(__name__)


class Diary:
    """Writes the figures every `every` seconds, in a thread of its own.

    Parameters
    ----------
    db: where to; read-only otherwise.
    figures: what.
    server: who, as `host:port`; it goes to the rows' `metadata`.
    now: the clock of the rows.
    """

    def __init__(
        self,
        db: Database,
        figures: Figures,
        server: str,
        *,
        every: float = EVERY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._figures = figures
        self._metadata = {"source": "alphapulse", "server": server}
        self._every = every
        self._now = now
        self._ended = threading.Event()
        self._failing = False
        self._before = self._counted()
        self._at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="alphapulse-diary", daemon=True)

    def start(self) -> None:
        """Begin; the first rows come after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """End it. Waits 2 s at most for a write that is under way."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def write(self) -> None:
        """Write what there is to say now. A failure is counted, and logged once per outage."""
        rows = self.rows()
        try:
            with self._db.connection(write=True) as connection:
                connection.execute(_INSERT, rows)
        except DatabaseError as error:
            self._figures.count("self_metrics_failed")
            if not self._failing:
                log.warning("the server's figures cannot be written to system_metrics: %s", error)
            self._failing = True
            return
        if self._failing:
            log.warning("the server's figures are written to system_metrics again")
        self._failing = False
        self._figures.count("self_metrics_rows", len(rows))

    def rows(self) -> list[dict[str, Any]]:
        """The rows to write; what did not happen since the last call has none."""
        now = self._now()
        return [
            {
                "timestamp": now,
                "metric_name": name,
                "metric_value": value,
                "metric_unit": unit,
                "metadata": self._metadata,
            }
            for name, unit, value in self._values()
            if value is not None
        ]

    def _values(self) -> list[tuple[str, str, float | None]]:
        before, self._before = self._before, self._counted()
        at, self._at = self._at, time.monotonic()
        passed = max(self._at - at, 1e-3)
        refreshes, late, rows, cpu = (self._before[name] - before[name] for name in _COUNTED)
        figure = self._figures.value
        memory = figure("process_resident_memory_bytes") / psutil.virtual_memory().total
        return [
            *((name, "ms", self._p95(of)) for name, of in _QUANTILES.items()),
            ("dashboard_on_time", "ratio", 1 - late / refreshes if refreshes else None),
            ("dashboard_rows_read", "rows/s", rows / passed),
            ("dashboard_cpu", "%", 100 * cpu / passed),
            ("dashboard_memory", "%", 100 * memory),
            ("dashboard_viewers", "count", figure("viewers")),
            ("dashboard_kernels", "count", figure("kernels")),
        ]

    def _p95(self, name: str) -> float | None:
        seconds = self._figures.quantile(name, 0.95)
        return None if seconds is None else 1e3 * seconds

    def _counted(self) -> dict[str, float]:
        return {name: self._figures.value(name) for name in _COUNTED}

    def _run(self) -> None:
        due = time.monotonic() + self._every
        while not self._ended.wait(max(due - time.monotonic(), 0)):
            self.write()
            # A write that took long skips what it missed: rows in a burst would say nothing.
            due = max(due + self._every, time.monotonic())
