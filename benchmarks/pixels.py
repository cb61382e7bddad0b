"""From a row in the database to changed pixels on `/live` in a real browser, with other viewers
beside it, with and without triggers; and how long `/live` and the dashboard take to show charts.

`VIEWERS` are how many watch, `ROWS` how many rows are inserted for each, `ROUNDS` how often a page
is opened. Browser, viewers, server and database share this machine.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from alphapulse_nb.catalog import OURS
from alphapulse_nb.db import triggers
from alphapulse_nb.db.connection import connect
from benchmarks import report
from benchmarks.feeds import SYMBOL, Watcher
from tests.browser import ARGUMENTS, chromium
from tests.conftest import Desk, Served, new_desk, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

VIEWERS = [int(part) for part in os.environ.get("VIEWERS", "1,20,100").split(",") if part]
ROWS = int(os.environ.get("ROWS", "15"))
ROUNDS = int(os.environ.get("ROUNDS", "7"))
KNOWN = 4
"""Visits after which a browser has kept what it keeps."""
PAUSE = 2.3
"""Seconds between two rows: longer than a feed rests."""
TITLE = "Funding rates"

PAINTED = """async ([title, rate]) => {
    const graph = () => document.querySelector(`.ap-panel[data-title="${title}"] .js-plotly-plot`);
    const drawn = () => graph()?.data?.some((t) => Array.from(t.y ?? []).some(
        (y) => Math.abs(y - rate) < 1e-9));
    while (!drawn()) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.timeOrigin + performance.now();
}"""
"""When a rate has been drawn and the next frame has begun, in epoch milliseconds."""

CHARTS = """async (wanted) => {
    const count = () => document.querySelectorAll(".ap-panel.ap-drawn:not(.ap-busy)").length;
    while (count() < wanted) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now();
}"""


@contextmanager
def crowd(served: Served, count: int) -> Iterator[None]:
    """So many viewers of the same charts beside the page, in a thread."""
    port = int(served.url.rsplit(":", 1)[1].strip("/"))
    stop, ready = threading.Event(), threading.Event()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        watchers: list[Watcher] = []
        for _ in range(count):
            _, watcher = await loop.create_connection(lambda: Watcher(port), "127.0.0.1", port)
            watchers.append(watcher)
        while not all(watcher.whole for watcher in watchers):
            await asyncio.sleep(0.05)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.2)
        for watcher in watchers:
            watcher.transport.close()

    thread = threading.Thread(target=lambda: asyncio.run(watch()))
    thread.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the viewers have no charts within 60 s")
        yield
    finally:
        stop.set()
        thread.join()


def pixels(page: Page, desk: Desk) -> list[float]:
    """Milliseconds from the beginning of each insert to its pixels."""
    took = []
    for _ in range(ROWS):
        # A rate that no chart shows yet.
        rate = float(desk.run("SELECT max(funding_rate) FROM funding_rates")) + 1e-8
        began = time.time() * 1e3
        desk.run(
            "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
            "VALUES (now(), :symbol, 'binance', :rate)",
            symbol=SYMBOL,
            rate=rate,
        )
        took.append(page.evaluate(PAINTED, [TITLE, rate * 100]) - began)
        time.sleep(PAUSE)
    return took


def opened(context: BrowserContext, address: str) -> tuple[float, float]:
    """Seconds from the request of a page to its first and to all of its charts."""
    page = context.new_page()
    page.goto(address, wait_until="commit")
    first = page.evaluate(CHARTS, 1) / 1e3
    whole = page.evaluate(CHARTS, len(OURS)) / 1e3
    page.close()
    return first, whole


def pages(play: Playwright, browser: Browser, served: Served) -> None:
    """Each page in a browser that never saw it, and in one that has opened it a few times: that has
    the files, and the code that it has made of them.
    """
    for name, path, budget in (("/live", "live", "0.8, 1.2 s"), ("the dashboard", "", "1.5 s")):
        address = f"{served.url}{path}?symbol={SYMBOL}&range=24h"
        new: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            new.append(opened(context, address))
            context.close()
        with tempfile.TemporaryDirectory() as profile:
            context = play.chromium.launch_persistent_context(
                profile,
                executable_path=str(chromium()),
                args=ARGUMENTS,
                viewport={"width": 1440, "height": 900},
            )
            known = [opened(context, address) for _ in range(ROUNDS + KNOWN)][KNOWN:]
            context.close()
        for how, times in (("first visit", new), ("known", known)):
            wanted = budget if how == "known" else ""
            report.line(f"{name}, {how}: first chart", [first for first, _ in times], "s", wanted)
            report.line(f"{name}, {how}: five charts", [whole for _, whole in times], "s")


def opened_live(browser: Browser, served: Served, span: str) -> Page:
    """A page of `/live` that shows its charts."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{served.url}live?symbol={SYMBOL}&range={span}")
    page.evaluate(CHARTS, len(OURS))
    return page


def told(name: str, values: Sequence[float]) -> None:
    report.line(name, values, "ms")
    print(
        f"  of which nine in ten within {statistics.quantiles(values, n=10)[-1]:.0f} ms", flush=True
    )


def main() -> None:
    report.header("rows to pixels, and pages to charts")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)
    with (
        tempfile.TemporaryDirectory() as name,
        new_desk(Path(name)) as desk,
        serve(Path(name), desk.server.url) as served,
        connect(desk.server.url) as db,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=str(chromium()), args=ARGUMENTS)
        pages(play, browser, served)
        page = opened_live(browser, served, "24h")
        for pushed in (True, False):
            triggers.install(db) if pushed else triggers.remove(db)
            time.sleep(12)  # until the server has noticed
            for count in VIEWERS:
                with crowd(served, count - 1):
                    how = "pushed by triggers" if pushed else "polled"
                    told(f"row to pixels, {count} viewers, {how}", pixels(page, desk))
        browser.close()


if __name__ == "__main__":
    main()
