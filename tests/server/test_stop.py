"""How a server ends: asked to, asked twice, killed. Nothing of it may be left."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
from tornado.websocket import WebSocketClientConnection

from alphapulse_nb.server.kernels import process
from tests.conftest import ROOT, Desk, Served, serve, wait_until
from tests.visitor import Visitor

UNIT = (ROOT / "deploy" / "alphapulse.service").read_text()
STOP_SECONDS = float(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0])
"""After this systemd kills whatever is left of a server that it has asked to stop."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a server keeps its temporary files; short, as the names of sockets have to be."""
    made = Path(tempfile.mkdtemp(prefix="ap-"))
    yield made
    shutil.rmtree(made)


@contextlib.contextmanager
def server(desk: Desk, folder: Path, log: Path, **settings: str) -> Iterator[Served]:
    """A server whose kernels can be forked, with its temporary files in the folder."""
    folders = {"TMPDIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "jupyter")}
    with serve(log, desk.server.url, **folders, **settings) as served:
        wait_until(lambda: called(process.ZYGOTE, served), 30, served.output)
        yield served


def called(name: str, served: Served) -> list[psutil.Process]:
    """The server's children of that name."""
    return [one for one in below(served) if one.name() == name]


def below(served: Served) -> list[psutil.Process]:
    return psutil.Process(served.process.pid).children(recursive=True)


def runs(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    return False


def left(folder: Path) -> list[Path]:
    """The files and sockets below the folder."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


def visitors(served: Served, count: int) -> list[tuple[Visitor, str]]:
    """So many visitors who each have a page, and the ids of their kernels."""
    several = [Visitor(served.url) for _ in range(count)]
    return [(one, one.get().kernel_id) for one in several]


async def told(pages: list[tuple[Visitor, str]], pid: int, number: int) -> list[tuple[object, ...]]:
    """The code and reason with which each page's socket is closed after a signal to the server."""
    async with AsyncExitStack() as stack:
        links = [
            await stack.enter_async_context(visitor.socket(kernel_id))
            for visitor, kernel_id in pages
        ]
        os.kill(pid, number)
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(*(_to_the_end(link) for link in links))
        return [(link.close_code, link.close_reason) for link in links]


async def _to_the_end(link: WebSocketClientConnection) -> None:
    while await link.read_message() is not None:
        pass


def test_asked_to_stop_it_tells_every_page_and_leaves_nothing(
    desk: Desk, folder: Path, tmp_path: Path
) -> None:
    with server(desk, folder, tmp_path) as served:
        pages = visitors(served, 3)
        children = below(served)
        assert [child.name() for child in children].count(process.KERNEL) == 3
        assert left(folder)
        began = time.monotonic()
        codes = asyncio.run(told(pages, served.process.pid, signal.SIGTERM))
        assert served.process.wait(STOP_SECONDS) == 0
        assert time.monotonic() - began < STOP_SECONDS
        assert codes == [(1001, "the server is stopping")] * 3
        assert not any(map(runs, children))
        assert left(folder) == []
        assert "Traceback" not in served.output()


def test_a_page_that_is_still_loading_does_not_hold_it_up(
    desk: Desk, folder: Path, tmp_path: Path
) -> None:
    def load() -> None:
        cut_off = (http.client.HTTPException, urllib.error.URLError, ConnectionError)
        with contextlib.suppress(*cut_off):
            Visitor(served.url).get()

    with server(desk, folder, tmp_path) as served:
        # Its kernel runs the notebook, and waits for the table.
        with locked(desk, "funding_rates"):
            loading = threading.Thread(target=load)
            loading.start()
            (kernel,) = wait_until(lambda: called(process.KERNEL, served))
            children = below(served)
            assert loading.is_alive()
            began = time.monotonic()
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(STOP_SECONDS) == 0
            assert time.monotonic() - began < STOP_SECONDS
        loading.join()
        assert kernel in children
        assert not any(map(runs, children))
        assert left(folder) == []
        assert "Traceback" not in served.output()


@contextlib.contextmanager
def locked(desk: Desk, table: str) -> Iterator[None]:
    """Nobody reads the table meanwhile."""
    with desk.engine.connect() as connection:
        connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_second_signal_while_it_says_good_bye_ends_it_at_once(
    desk: Desk, folder: Path, tmp_path: Path
) -> None:
    with server(desk, folder, tmp_path) as served:
        visitors(served, 1)
        children = below(served)
        # Two of the same kind could arrive as one.
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(5) in {128 + signal.SIGTERM, 128 + signal.SIGINT}
        wait_until(lambda: not any(map(runs, children)))


def test_a_second_signal_while_a_query_runs_ends_it_at_once(
    desk: Desk, folder: Path, tmp_path: Path
) -> None:
    def ask() -> None:
        with contextlib.suppress(http.client.HTTPException, ConnectionError, urllib.error.URLError):
            Visitor(served.url).get("api/data/BTC/USDT")

    patient = {"ALPHAPULSE_STATEMENT_TIMEOUT": "60"}
    with server(desk, folder, tmp_path, **patient) as served, locked(desk, "funding_rates"):
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: waiting(desk))
        children = below(served)
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(served))
        with pytest.raises(subprocess.TimeoutExpired):
            served.process.wait(2)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(2) != 0
        asking.join()
        wait_until(lambda: not any(map(runs, children)))


def waiting(desk: Desk) -> int:
    """How many queries of the desk wait for a lock."""
    counted = desk.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return int(counted)


def listens(served: Served) -> bool:
    port = int(served.url.rstrip("/").rpartition(":")[2])
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_the_next_server_clears_up_after_one_that_was_killed(
    desk: Desk, folder: Path, tmp_path: Path
) -> None:
    with server(desk, folder, tmp_path) as served:
        pages = visitors(served, 2)
        children = below(served)
        codes = asyncio.run(told(pages, served.process.pid, signal.SIGKILL))
        assert served.process.wait(5) == -signal.SIGKILL
        assert codes == [(None, None)] * 2
        wait_until(lambda: not any(map(runs, children)))
        assert left(folder)
    with server(desk, folder, tmp_path) as served:
        ((visitor, kernel_id),) = visitors(served, 1)
        assert visitor.get(f"api/kernels/{kernel_id}").status == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(STOP_SECONDS) == 0
        assert left(folder) == []
