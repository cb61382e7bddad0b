"""What one refresh of the dashboard costs a kernel: queries, figures and patches, CPU time."""

from __future__ import annotations

import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from alphapulse_nb import queries
from alphapulse_nb.catalog import OURS
from alphapulse_nb.charts import View
from alphapulse_nb.charts.headline import headline
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.feeds import Feed, Message
from alphapulse_nb.queries import Window
from alphapulse_nb.queries.breaches import breaches
from benchmarks import report
from tests.conftest import Desk, new_desk

ROUNDS = 15
NEW_ROWS = 10


def add_rows(desk: Desk) -> None:
    """What a refresh of ten seconds finds: a few new rows."""
    desk.run(
        "insert into funding_rates (timestamp, symbol, exchange, funding_rate) "
        "select clock_timestamp() - n * interval '1 millisecond', 'BTC/USDT', "
        "case when n % 2 = 0 then 'binance' else 'bybit' end, 0.0001 + random() / 1e5 "
        f"from generate_series(1, {NEW_ROWS}) n"
    )


def size(message: Message | None) -> int:
    return 0 if message is None else len(json.dumps(message.header)) + len(message.buffer)


def figures(db: Database) -> list[go.Figure]:
    window = Window.last("24h", datetime.now(UTC))
    return [spec.figure(db, "BTC/USDT", window) for spec in OURS]


def refresh(db: Database, feeds: list[Feed]) -> int:
    """One refresh as the dashboard does it; the bytes that it would send."""
    with db.session():
        sent = sum(
            size(feed.update(figure)) for feed, figure in zip(feeds, figures(db), strict=True)
        )
        window = Window.last("24h", datetime.now(UTC))
        headline(queries.headline(db, "BTC/USDT", window), View("BTC/USDT", window.label))
        breaches(db, window)
    return sent


def cpu(call: Any) -> tuple[float, Any]:
    begun = time.process_time()
    result = call()
    return (time.process_time() - begun) * 1e3, result


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        new_desk(Path(folder)) as desk,
        connect(desk.server.url) as db,
    ):
        feeds = [Feed() for _ in OURS]
        refresh(db, feeds)
        refresh(db, feeds)
        points = [sum(len(t.y) for t in f.data if t.y is not None) for f in figures(db)]
        report.header(f"kernel, five charts of {points} points")
        ours, patches = [], []
        for _ in range(ROUNDS):
            add_rows(desk)
            spent, sent = cpu(lambda: refresh(db, feeds))
            ours.append(spent)
            patches.append(sent / 1e3)
        report.line("kernel CPU per refresh", ours, "ms", "15 ms")
        report.line("patches per refresh, 10 new rows", patches, "kB", "12 kB")


if __name__ == "__main__":
    main()
