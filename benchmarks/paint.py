"""From a frame to pixels, and from a received patch to pixels, in a real browser."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from alphapulse_nb import charts
from alphapulse_nb.charts import View
from alphapulse_nb.feeds import Feed, Message
from alphapulse_nb.widgets import assets
from benchmarks import report
from tests.browser import ARGUMENTS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

ROUNDS = 15
NEW_ROWS = 10
SITE = "http://paint.test/"

SETUP = """async () => {
    const { FeedState } = await import("/feed.js");
    const { Plot } = await import("/plot.js");
    const place = document.body.appendChild(document.createElement("div"));
    Object.assign(place.style, { width: "640px", height: "300px" });
    const plot = new Plot(place,
        { swaps: {}, plotly: async () => globalThis.Plotly, zone: () => "UTC" });
    const state = new FeedState();
    globalThis.paint = async ([header, text]) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const begun = performance.now();
        if (!state.apply(JSON.parse(header), new DataView(bytes.buffer))) throw new Error("a gap");
        await plot.draw(state);
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - begun;
    };
}"""


def frame(rows: int, newest: datetime) -> pd.DataFrame:
    """Funding rates of one exchange, one a minute."""
    stamps = pd.date_range(end=newest, periods=rows, freq="min")
    rate = 1e-4 + 1e-5 * np.sin(np.arange(rows) / 30)
    return pd.DataFrame(
        {
            "timestamp": stamps,
            "exchange": "one",
            "funding_rate": rate,
            "next_funding_time": stamps.ceil("8h"),
        }
    )


def drawn(feed: Feed, rows: int, newest: datetime) -> tuple[Message, float]:
    """A message for the page, and the milliseconds from frame to message."""
    source = frame(rows, newest)
    view = View("BTC/USDT", "", newest - timedelta(minutes=rows), newest)
    begun = time.perf_counter()
    message = feed.update(charts.funding_rates(source, view))
    spent = (time.perf_counter() - begun) * 1e3
    if message is None:
        raise AssertionError("two different frames gave the same figure")
    return message, spent


def paint(page: Page, message: Message) -> float:
    packed = [json.dumps(message.header), base64.b64encode(message.buffer).decode()]
    spent: float = page.evaluate("(message) => paint(message)", packed)
    return spent


def answer(route: Route) -> None:
    name = Path(urlsplit(route.request.url).path).name
    if name == "plotly.js":
        route.fulfill(body=assets.plotly_script(), content_type="text/javascript")
    elif name.endswith(".js"):
        route.fulfill(path=assets.FOLDER / name, content_type="text/javascript")
    else:
        script = '<!doctype html><script src="/plotly.js"></script>'
        route.fulfill(body=script, content_type="text/html")


def measure(page: Page, rows: int) -> None:
    whole, patched = [], []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(ROUNDS):
        page.goto(SITE)
        page.evaluate(SETUP)
        feed = Feed()
        message, spent = drawn(feed, rows, now)
        whole.append(spent + paint(page, message))
        message, _ = drawn(feed, rows, now + timedelta(minutes=NEW_ROWS))
        patched.append(paint(page, message))
    report.line(f"frame to painted, {rows} points", whole, "ms", "100 ms")
    report.line(f"patch received to painted, {rows} points", patched, "ms", "50 ms")


def main() -> None:
    path = chromium()
    if path is None:
        raise SystemExit("no Chromium or Chrome found; `python -m tests.browser --install`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        page: Any = browser.new_page()
        page.route(f"{SITE}**", answer)
        report.header("painting, 640 x 300 pixels, no GPU")
        for rows in (1_440, 8_640):
            measure(page, rows)
        browser.close()


if __name__ == "__main__":
    main()
