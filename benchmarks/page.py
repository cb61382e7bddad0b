"""A page from request to five painted charts, and its bytes: ours beside the same five charts as
`go.FigureWidget`s in plain Voila, in turn, in one run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from playwright.sync_api import sync_playwright

from alphapulse_nb.catalog import OURS
from benchmarks import report
from benchmarks.kernel import add_rows
from tests.browser import ARGUMENTS, chromium
from tests.conftest import Desk, free_port, new_desk, serve, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

ROUNDS = int(os.environ.get("ROUNDS", "5"))
EVERY = 10

THEIRS = f"""
import asyncio
from datetime import UTC, datetime
import ipywidgets
import plotly.graph_objects as go
from alphapulse_nb import Window, connect
from alphapulse_nb.catalog import OURS

db = connect()

def figures():
    window = Window.last("24h", datetime.now(UTC))
    return [spec.figure(db, "BTC/USDT", window) for spec in OURS]

widgets = [go.FigureWidget(figure) for figure in figures()]

async def refresh():
    while True:
        await asyncio.sleep({EVERY})
        for widget, figure in zip(widgets, figures()):
            with widget.batch_update():
                for trace, new in zip(widget.data, figure.data):
                    trace.x, trace.y = new.x, new.y

task = asyncio.ensure_future(refresh())
ipywidgets.VBox(widgets)
"""


@contextlib.contextmanager
def plain_voila(folder: Path, database_url: str, source: str = THEIRS) -> Iterator[tuple[str, int]]:
    """Voila as it comes, with a notebook of one cell; by default one of `FigureWidget`s."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "theirs",
        "execution_count": None,
        "metadata": {},
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [{**cell, "outputs": [], "source": source}],
    }
    path = folder / "theirs.ipynb"
    path.write_text(json.dumps(notebook))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "voila", str(path), f"--port={port}", "--no-browser"],
        env=os.environ | {"DATABASE_URL": database_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until(lambda: _up(url + "voila/static/voila.js"), 60)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Site:
    """A page to visit: its address, its server's process, and what a painted chart looks like."""

    url: str
    pid: int
    chart: str

    def newest_kernel(self) -> psutil.Process:
        kernels = [
            child
            for child in psutil.Process(self.pid).children(recursive=True)
            if any("ipykernel" in part for part in child.cmdline())
        ]
        return max(kernels, key=lambda child: child.create_time())


class Visit:
    """One page load: seconds to the first and to all charts, bytes over the websocket."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        url, chart, count = site.url, site.chart, len(OURS)
        self.site = site
        page = context.new_page()
        self.received = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        begun = time.monotonic()
        page.goto(url, wait_until="commit")
        page.wait_for_selector(chart, timeout=90_000)
        self.first = time.monotonic() - begun
        page.wait_for_function(
            "([chart, count]) => document.querySelectorAll(chart).length >= count",
            arg=[chart, count],
            timeout=90_000,
            polling=20,
        )
        self.all = time.monotonic() - begun
        page.wait_for_timeout(1_000)
        self.load = self.received
        self.page = page

    def _count(self, payload: str | bytes) -> None:
        self.received += len(payload)

    def refresh(self, desk: Desk) -> tuple[float, float]:
        """Bytes and the kernel's CPU seconds of one refresh, with ten new rows."""
        kernel = self.site.newest_kernel()
        before, spent = self.received, sum(kernel.cpu_times()[:2])
        add_rows(desk)
        self.page.wait_for_timeout(EVERY * 1_000)
        return self.received - before, sum(kernel.cpu_times()[:2]) - spent

    def close(self) -> None:
        self.page.close()


def main() -> None:
    browser_path = chromium()
    if browser_path is None:
        raise SystemExit("no Chromium or Chrome found; `python -m tests.browser --install`")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        desk = stack.enter_context(new_desk(folder))
        served = stack.enter_context(serve(folder, desk.server.url))
        url, pid = stack.enter_context(plain_voila(folder, desk.server.url))
        sites = {
            "ours": Site(
                served.url + "?symbol=BTC/USDT",
                served.process.pid,
                ".ap-panel.ap-drawn:not(.ap-busy)",
            ),
            "FigureWidget": Site(url, pid, ".js-plotly-plot .main-svg .xaxislayer-above"),
        }
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=str(browser_path), args=ARGUMENTS)
        measure(browser.new_context(viewport={"width": 1440, "height": 900}), desk, sites)
        browser.close()


def measure(context: BrowserContext, desk: Desk, sites: dict[str, Site]) -> None:
    for site in sites.values():
        Visit(context, site).close()
    figures: dict[str, list[list[float]]] = {name: [] for name in sites}
    for _ in range(ROUNDS):
        for name, site in sites.items():
            visit = Visit(context, site)
            received, spent = visit.refresh(desk)
            figures[name].append(
                [visit.first, visit.all, visit.load / 1e6, received / 1e3, spent * 1e3]
            )
            visit.close()
    report.header("page, warm browser cache, 24 h of one symbol, five charts")
    for place, (what, unit, budget) in enumerate(ROWS):
        medians = {
            name: report.line(
                f"{what}, {name}", [row[place] for row in rows], unit, budget * (name == "ours")
            )
            for name, rows in figures.items()
        }
        report.ratio(f"{what}, FigureWidget", medians["FigureWidget"], medians["ours"])


ROWS = (
    ("first chart", "s", "1.0 s, stretch"),
    ("five charts", "s", "1.5 s"),
    ("websocket at load", "MB", "0.2 MB"),
    ("websocket per refresh", "kB", "12 kB"),
    ("kernel CPU per refresh", "ms", ""),
)


if __name__ == "__main__":
    main()
