"""One page of `/live` open for an hour at one event a second: do page and server stay as they are?

`MINUTES` is how long. The page's heap is measured after a collection, every minute; the exit code
is 1 where the last quarter is higher than the second by more than `PAGE_GROWTH` or `SERVER_GROWTH`
MB, or the page is not live any more.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from alphapulse_nb.db import triggers
from alphapulse_nb.db.connection import connect
from benchmarks import processes, report
from benchmarks.feeds import SYMBOL
from benchmarks.pixels import opened_live
from tests.browser import ARGUMENTS, chromium
from tests.conftest import Desk, new_desk, serve

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

MINUTES = float(os.environ.get("MINUTES", "60"))
EVERY = min(60.0, MINUTES * 60 / 10)
PAGE_GROWTH = 3.0
SERVER_GROWTH = 10.0


def writing(desk: Desk, stop: threading.Event) -> None:
    """A row a second until the end."""
    rng = random.Random(1)  # noqa: S311 - no secret
    while not stop.wait(1):
        desk.run(
            "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
            "VALUES (now(), :symbol, :exchange, :rate)",
            symbol=SYMBOL,
            exchange=rng.choice(("binance", "bybit")),
            rate=rng.gauss(1e-4, 3e-5),
        )


def held(session: CDPSession) -> tuple[float, int]:
    """The page's heap in MB after a collection, and its nodes."""
    session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return found["JSHeapUsedSize"] / 1e6, int(found["Nodes"])


def grown(values: Sequence[float]) -> float:
    """How much higher the last quarter is than the second: the first is for warming up."""
    quarter = max(1, len(values) // 4)
    return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


def main() -> None:
    report.header(f"a page open for {MINUTES:g} minutes at one event a second")
    heaps: list[float] = []
    nodes: list[float] = []
    memory: list[float] = []
    stop = threading.Event()
    with (
        tempfile.TemporaryDirectory() as name,
        new_desk(Path(name)) as desk,
        serve(Path(name), desk.server.url) as served,
        connect(desk.server.url) as db,
        sync_playwright() as play,
    ):
        triggers.install(db)
        browser = play.chromium.launch(executable_path=str(chromium()), args=ARGUMENTS)
        page = opened_live(browser, served, "1h")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        writer = threading.Thread(target=writing, args=(desk, stop))
        writer.start()
        try:
            end = time.monotonic() + MINUTES * 60
            while time.monotonic() < end:
                page.wait_for_timeout(EVERY * 1e3)
                heap, count = held(session)
                heaps.append(heap)
                nodes.append(count)
                memory.append(processes.cost(served.process.pid).own)
                print(f"page {heap:.1f} MB, {count} nodes; server {memory[-1]:.1f} MB", flush=True)
        finally:
            stop.set()
            writer.join()
        badge = page.locator(".ap-badge-text").inner_text()
        browser.close()
    report.line("page's heap", heaps, "MB")
    report.line("page's nodes", nodes, "")
    report.line("server's own memory", memory, "MB")
    print(f"growth: page {grown(heaps):+.2f} MB, server {grown(memory):+.2f} MB; badge: {badge}")
    sys.exit(grown(heaps) > PAGE_GROWTH or grown(memory) > SERVER_GROWTH or badge != "Live")


if __name__ == "__main__":
    main()
