"""The same widgets in JupyterLab: their scripts and plotly.js come from the kernel."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from alphapulse_nb.alerts import files
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db.connection import connect
from alphapulse_nb.notify import telling
from alphapulse_nb.state import State, prepare
from tests.conftest import Desk, free_port, new_desk, shot, wait_until
from tests.notify.house import AWAKE, House, one
from tests.pages.conftest import TITLES, drawn, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OWN_CHART = """
import numpy as np, plotly.graph_objects as go
from alphapulse_nb import LiveChart
count = [0]

def rising():
    count[0] += 1
    return go.Figure({"data": [{"type": "scatter", "name": "own", "y": np.arange(count[0])}]})

own = LiveChart(rising, "Own chart", every=1)
own
"""

BROKEN = """
def broken():
    raise ZeroDivisionError("division by zero in my chart")

LiveChart(broken, "Broken chart", every=60)
"""


@contextlib.contextmanager
def lab(folder: Path, database_url: str) -> Iterator[str]:
    port = free_port()
    log = folder / "lab.log"
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "ALPHAPULSE_REFRESH_INTERVAL": "2",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    options = [
        f"--port={port}", "--no-browser", "--ServerApp.token=", "--ServerApp.password=",
        f"--ServerApp.root_dir={folder}", "--allow-root", "--ServerApp.port_retries=0",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class="
        "jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_until(lambda: _up(url), 60, log.read_text)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "api", timeout=5):  # noqa: S310
            return True
    except OSError:
        return False


@contextlib.contextmanager
def told(desk: Desk) -> Iterator[House]:
    """People, rules and a notification that nobody has read."""
    with connect(desk.server.url) as db, State(db) as state:
        prepare(state)
        Store(state).save(files.shipped()[0])
        house = House(state)
        house.inbox.prefer(telling.EVERYBODY, AWAKE)
        house.tell(one("told before the page"), now=datetime.now(UTC))
        yield house


def notifications_come_through_the_kernel(page: Page, house: House) -> None:
    area = page.locator(".ap-alerts")
    wait_until(lambda: "1 unread" in area.inner_text(), 40)
    house.tell(one("told to the page", title="told to <b>the page</b>"), now=datetime.now(UTC))
    page.locator(".ap-toast").get_by_text("told to <b>the page</b>").wait_for(timeout=40_000)
    area.get_by_role("button", name="Mark all read").click()
    wait_until(lambda: house.inbox.summary(telling.EVERYBODY, datetime.now(UTC)).unread == 0)
    area.get_by_role("button", name="History").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_text("told before the page").wait_for()
    drawer.get_by_role("tab", name="Rules").click()
    drawer.get_by_text(files.shipped()[0].name, exact=True).first.wait_for()
    shot(page, "jupyterlab-rules")
    page.keyboard.press("Escape")


def test_the_dashboard_and_charts_of_ones_own_are_live_in_jupyterlab(
    page: Page, tmp_path: Path
) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [
        nbformat.v4.new_code_cell("from alphapulse_nb import Dashboard\nDashboard()"),
        nbformat.v4.new_code_cell(OWN_CHART),
        nbformat.v4.new_code_cell(BROKEN),
    ]
    nbformat.write(notebook, tmp_path / "desk.ipynb")
    with new_desk(tmp_path) as desk, told(desk) as house, lab(tmp_path, desk.server.url) as url:
        page.goto(f"{url}lab/tree/desk.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run Selected Cell", exact=True).first.wait_for()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        wait_drawn(page, TITLES, 90)
        for title in TITLES:
            assert drawn(page, title)
        shot(page, "jupyterlab")
        wait_drawn(page, ["Own chart"])
        broken = page.locator('.ap-panel[data-title="Broken chart"]')
        wait_until(lambda: "division by zero in my chart" in broken.inner_text())
        assert "broken" in broken.inner_text()
        assert "Traceback" not in broken.inner_text()
        notifications_come_through_the_kernel(page, house)
        asked = [url for url in page.asked if "127.0.0.1" not in url and "blob:" not in url]  # type: ignore[attr-defined]
        assert [url for url in asked if "alphapulse" in url or "plotly" in url] == []
