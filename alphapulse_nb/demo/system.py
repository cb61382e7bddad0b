"""This machine and this database, measured while the desk writes. Nothing here is made up.

| metric_name | unit | what |
|---|---|---|
| latency | ms | round trip of a small query, median of five |
| cache_hit_ratio | ratio | share of block reads since the last sample found in cache, or NULL |
| throughput | rows/s | rows the desk wrote since the last sample |
| cpu, memory | % | of the whole machine |
"""

from __future__ import annotations

import statistics
import time
from datetime import datetime

import pandas as pd
import psutil
import sqlalchemy as sa

from alphapulse_nb.db import tables

SOURCE = '{"source": "demo desk"}'
ROUND_TRIPS = 5

_BLOCKS = sa.text(
    "SELECT blks_hit, blks_read FROM pg_stat_database WHERE datname = current_database()"
)


class Meter:
    """Remembers the last sample's counters; the first sample covers the time since it was made.

    `rows` is the desk's count of rows written before that.
    """

    def __init__(self, rows: int = 0) -> None:
        psutil.cpu_percent()  # the first call only starts the measurement and returns 0
        self._at = time.monotonic()
        self._rows = rows
        self._blocks: tuple[int, int] | None = None

    def sample(self, connection: sa.Connection, rows: int, now: datetime) -> pd.DataFrame:
        """Rows of `system_metrics` at `now`; `rows` is the desk's count of rows written so far."""
        at = time.monotonic()
        values = {
            ("latency", "ms"): _latency(connection),
            ("cache_hit_ratio", "ratio"): self._cache_hits(connection),
            ("throughput", "rows/s"): (rows - self._rows) / max(at - self._at, 1e-3),
            ("cpu", "%"): psutil.cpu_percent(),
            ("memory", "%"): psutil.virtual_memory().percent,
        }
        self._at, self._rows = at, rows
        return pd.DataFrame(
            {
                "timestamp": pd.DatetimeIndex([now] * len(values)),
                "metric_name": [name for name, _ in values],
                "metric_value": pd.Series(list(values.values()), dtype="float64"),
                "metric_unit": [unit for _, unit in values],
                "metadata": SOURCE,
            }
        )

    def _cache_hits(self, connection: sa.Connection) -> float | None:
        """Share of block reads since the last sample that found the block in the cache."""
        hit, read = map(int, connection.execute(_BLOCKS).one())
        before, self._blocks = self._blocks, (hit, read)
        if before is None:
            return None
        hits, reads = hit - before[0], read - before[1]
        # A restarted server counts from 0 again.
        return hits / (hits + reads) if hits >= 0 and reads >= 0 and hits + reads > 0 else None


def _latency(connection: sa.Connection) -> float:
    """Milliseconds, median of a few round trips of the query a chart of recent PnL would make."""
    performance = tables.performance_metrics
    query = (
        sa.select(performance.c.timestamp, performance.c.pnl)
        .where(performance.c.symbol == "BTC/USDT")
        .order_by(performance.c.timestamp.desc())
        .limit(20)
    )
    trips = []
    for _ in range(ROUND_TRIPS):
        begin = time.perf_counter()
        connection.execute(query).all()
        trips.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(trips)
