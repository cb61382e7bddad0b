"""What the tests share: a Postgres with a desk's data, a served dashboard, a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.demo.desk import write_fixture
from tests.browser import ARGUMENTS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parent.parent
SHOTS = ROOT / "test-results"
SEED = 11
_LARGEST = 4 << 30
"""Bytes of address space that a server, and each of its kernels, may have."""


@dataclass(frozen=True)
class Desk:
    """A database that holds a day of a synthetic desk, up to the moment it was made."""

    server: embedded.EmbeddedPostgres
    engine: sa.Engine
    now: datetime

    def run(self, sql: str, **values: Any) -> Any:
        """Execute and commit; the first column of the first row where there is one."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(sql), values)
            return result.scalar() if result.returns_rows else None


@pytest.fixture(scope="session", autouse=True)
def _tidy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the databases that root's tests made outside of their own folders."""
    yield
    base = tmp_path_factory.getbasetemp().resolve()
    for facts in embedded.ROOT_PLACE.glob("data-*/server.json"):
        if Path(json.loads(facts.read_text()).get("asked", "/")).is_relative_to(base):
            wait_until(lambda place=facts.parent: _removed(place))  # its server may be stopping


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One desk for all tests that only read, or that add rows of a symbol of their own."""
    with new_desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@contextlib.contextmanager
def new_desk(folder: Path, hours: int = 26) -> Iterator[Desk]:
    with embedded.start(folder / "a desk") as server:
        engine = sa.create_engine(server.url)
        tables.metadata.create_all(engine)
        now = datetime.now(UTC)
        write_fixture(engine, SEED, now, hours)
        yield Desk(server, engine, now)
        engine.dispose()


@pytest.fixture(scope="session")
def db(desk: Desk) -> Iterator[Database]:
    with connect(desk.server.url) as opened:
        yield opened


@dataclass(frozen=True)
class Served:
    """A dashboard server in a process of its own."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def output(self) -> str:
        return self.log.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serve(
    folder: Path,
    database_url: str,
    program: str = "alphapulse_nb.cli",
    command: str = "serve",
    **environment: str,
) -> Iterator[Served]:
    """`alphapulse serve` (or `stream`) on a free port, if none is given, stopped at the end.

    It evaluates no rules unless `DASHBOARD_ALERTS` says so: most tests are about something else.
    """
    named = "STREAM_PORT" if command == "stream" else "DASHBOARD_PORT"
    port = int(environment.get(named) or free_port())
    log = folder / f"server-{port}.log"
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DB_", "DATABASE_", "DASHBOARD_", "STREAM_", "ALPHAPULSE_"))
    }
    settings = {"DATABASE_URL": database_url, named: str(port), "DASHBOARD_ALERTS": "false"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", program, command],
            env=clean | settings | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
        if sys.platform == "linux":
            import resource

            # What a stranger sends must not take the machine's memory, whatever goes wrong.
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_LARGEST, _LARGEST))
        served = Served(f"http://127.0.0.1:{port}/", process, log)
        try:
            wait_until(lambda: _answers(served), 60, served.output)
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(served: Served) -> bool:
    if served.process.poll() is not None:
        raise AssertionError(f"the server ended at once:\n{served.output()}")
    try:
        with urllib.request.urlopen(served.url + "alphapulse/static/none", timeout=5):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_until(
    met: Callable[[], Any], seconds: float = 20, said: Callable[[], str] = lambda: ""
) -> Any:
    """What `met` returns once it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := met()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s. {said()}")
        time.sleep(0.1)
    return result


@pytest.fixture(scope="session")
def served(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("served"), desk.server.url, ALPHAPULSE_REFRESH_INTERVAL="2"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module: Playwright keeps a loop running in this thread until it ends."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        pytest.fail("no Chromium or Chrome found; `make test` installs one")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    made = watched(context.new_page())
    yield made
    if not made.is_closed():
        # A page that is left tells the server to end its kernel; a closed context does not.
        made.goto("about:blank")


def watched(page: Page) -> Page:
    """A page that keeps what went wrong in `page.faults` and what it asked for in `page.asked`."""
    page.faults = []  # type: ignore[attr-defined]
    page.asked = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.faults.append(str(error)))  # type: ignore[attr-defined]
    page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
    page.on("websocket", lambda socket: page.asked.append(socket.url))  # type: ignore[attr-defined]
    page.set_default_timeout(30_000)
    return page


def shot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a screenshot with the results of the run."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)


def ago(**parts: float) -> datetime:
    return datetime.now(UTC) - timedelta(**parts)
