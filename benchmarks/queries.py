"""The real queries on ten million rows: by COPY, and on the general path beside it.

Five symbols on two exchanges, a row a minute: 1,000,000 minutes of funding rates; 31 days of the
other tables. One session, as in a dashboard's refresh; each figure is a whole call, thinning and
joining included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb import queries
from alphapulse_nb.db import copy, embedded, tables
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.queries import Window
from benchmarks import report

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
POINTS: Final = 1_000
SYMBOL: Final = "BTC/USDT"
WINDOWS: Final = {"24 h": ("24h", 41, "5 ms"), f"30 days to {POINTS} points": ("30d", 11, "25 ms")}
QUERIES: Final = (
    "funding_rates",
    "anomalies",
    "performance",
    "predictions",
    "signals",
    "system_metrics",
    "backtests",
)

_SYMBOLS: Final = "unnest(array['BTC/USDT', 'ETH/USDT', 'SOL/USDT', 'XRP/USDT', 'DOGE/USDT']) s"


def minutes(count: int, step: int = 1) -> str:
    """SQL for the last `count` moments `t`, numbered `n`, a few minutes apart."""
    return (
        f"generate_series(1, {count}) n, LATERAL (SELECT timestamptz '{NOW}'"
        f" - ({count} - n) * interval '{step} min' AS t) clock"
    )


_MONTH: Final = minutes(31 * 1_440)
_FILL: Final = (
    "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate, next_funding_time,"
    " estimated_rate, metadata) SELECT t, s, x, 2e-4 * sin(n / 300.0) * random(),"
    " date_bin('8 h', t, 'epoch') + interval '8 h', 1e-4 * random(), '{\"source\": \"benchmark\"}'"
    f" FROM {minutes(1_000_000)}, {_SYMBOLS}, unnest(array['binance', 'bybit']) x",
    "INSERT INTO anomalies (timestamp, symbol, data_type, value, z_score)"
    f" SELECT t, s, x, random(), 6 * random() - 3 FROM {_MONTH}, {_SYMBOLS},"
    " unnest(array['price', 'volume']) x",
    "INSERT INTO performance_metrics (timestamp, symbol, strategy_id, pnl, win_rate, drawdown,"
    " trade_count, metadata) SELECT t, s, x, 1000 * sin(n / 500.0) + random(), random(),"
    ' 0.02 * random(), n, \'{"source": "benchmark", "capital": 100000}\''
    f" FROM {_MONTH}, {_SYMBOLS}, unnest(array['trend', 'reversion']) x",
    "INSERT INTO signal_predictions (timestamp, symbol, signal_type, confidence, predicted_pnl)"
    " SELECT t, s, (array['LONG', 'SHORT'])[1 + n % 2], random(), 100 * random() - 40"
    f" FROM {_MONTH}, {_SYMBOLS}",
    "INSERT INTO signals (timestamp, symbol, signal_type, entry_price, outcome, pnl_pct,"
    " evaluated_at) SELECT t, s, (array['LONG', 'SHORT'])[1 + n % 2], 100 * random(),"
    " (array['WIN', 'LOSS'])[1 + n % 2], random(), t + interval '9 min'"
    f" FROM {minutes(31 * 288, 5)}, {_SYMBOLS}",
    "INSERT INTO system_metrics (timestamp, metric_name, metric_value, metric_unit)"
    f" SELECT t, x, random(), 'ms' FROM {_MONTH},"
    " unnest(array['latency', 'cache', 'throughput', 'cpu', 'memory']) x",
    "INSERT INTO backtests (timestamp, symbol, strategy_name, total_return, config)"
    f" SELECT t, s, 'trend', random(), '{{\"bar\": \"1min\"}}' FROM {minutes(600, 60)}, {_SYMBOLS}",
)

# The thinning of `funding_rates`, done in the database instead of after COPY.
_THINNED: Final = sa.text("""
WITH near AS MATERIALIZED (
    SELECT timestamp, exchange, funding_rate, estimated_rate, next_funding_time,
           date_bin('4 h', timestamp, 'epoch') AS bucket
    FROM funding_rates WHERE symbol = :symbol AND timestamp BETWEEN :start AND :end
), ends AS (
    SELECT exchange, bucket, min(timestamp) AS first, max(timestamp) AS last,
           min(funding_rate) AS least, max(funding_rate) AS most
    FROM near GROUP BY 1, 2
)
SELECT timestamp, exchange, funding_rate::float8, estimated_rate::float8, next_funding_time
FROM near JOIN ends USING (exchange, bucket)
WHERE funding_rate IN (least, most) OR timestamp IN (first, last)
""")


def fill(engine: sa.Engine) -> None:
    """Rows first and indexes after, which takes a third of the time."""
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        for one in tables.funding_rates.indexes:
            one.drop(connection)
        connection.exec_driver_sql("ALTER TABLE funding_rates DROP CONSTRAINT funding_rates_pkey")
        for statement in _FILL:
            connection.exec_driver_sql(statement.replace("%", "%%"))
        for one in tables.funding_rates.indexes:
            one.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def spent(call: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each of `times` calls, after two that warm up."""
    taken = []
    for number in range(times + 2):
        begin = time.perf_counter()
        call()
        if number >= 2:
            taken.append(1e3 * (time.perf_counter() - begin))
    return taken


@contextmanager
def general_path() -> Iterator[None]:
    """Every read by psycopg2's own decoding."""
    fast = copy.read_frame

    def general(raw: Any, query: Any, _labels: Any, values: Any) -> Any:
        return copy.read_general(raw, query, values)

    copy.read_frame = general  # type: ignore[assignment]
    try:
        yield
    finally:
        copy.read_frame = fast


def measure(db: Database) -> None:
    for words, (span, times, budget) in WINDOWS.items():
        window = Window.last(span, NOW)
        for name in QUERIES:
            call = partial(getattr(queries, name), db, SYMBOL, window, POINTS)
            ours = report.line(f"{name}, {words}", spent(call, times), "ms", budget)
            with general_path():
                theirs = report.line(
                    f"{name}, {words}, general path", spent(call, max(times // 4, 3)), "ms"
                )
            report.ratio(f"{name}, {words}, general path", theirs, ours)
        call = partial(queries.headline, db, SYMBOL, window)
        report.line(f"headline, {words}", spent(call, times), "ms")
    report.line("symbols", spent(partial(queries.symbols, db), 41), "ms", "5 ms")
    window = Window.last("30d", NOW)
    with db.transaction() as raw, raw.cursor() as cursor:
        values = {"symbol": SYMBOL, "start": window.start, "end": window.end}
        text = copy.statement(raw, _THINNED, values)

        def thinned() -> list[Any]:
            cursor.execute(text)
            return cursor.fetchall()

        report.line("funding_rates, 30 days, thinned in the database", spent(thinned, 11), "ms")


def main() -> None:
    report.header("queries on 10,000,000 funding rates")
    with (
        tempfile.TemporaryDirectory(prefix="alphapulse-") as folder,
        embedded.start(Path(folder) / "postgres") as server,
    ):
        engine = sa.create_engine(server.url)
        begin = time.perf_counter()
        fill(engine)
        engine.dispose()
        report.line("filling", [time.perf_counter() - begin], "s")
        with connect(server.url) as db, db.session():
            measure(db)


if __name__ == "__main__":
    main()
