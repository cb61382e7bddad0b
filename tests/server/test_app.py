"""The server over HTTP: its scripts, its page, its token, how it starts and how it stops."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from alphapulse_nb.catalog import OURS
from alphapulse_nb.widgets import assets
from tests.conftest import Desk, Served, serve, wait_until
from tests.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


@pytest.mark.parametrize(
    ("name", "digest", "script"),
    [
        ("plotly", assets.plotly_hash(), assets.plotly_script()),
        ("widgets", assets.bundle_hash(), assets.bundle().encode()),
    ],
)
def test_scripts_are_packed_and_kept_for_good(
    served: Served, name: str, digest: str, script: bytes
) -> None:
    url = f"{served.url}alphapulse/static/{name}-{digest}.js"
    status, headers, body = get(url, **{"Accept-Encoding": "gzip"})
    assert status == 200
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["Content-Type"].startswith("text/javascript")
    assert gzip.decompress(body) == script
    assert get(url)[2] == script


def test_the_page_shows_its_outline_before_any_script_has_run(served: Served) -> None:
    answer = Visitor(served.url).get()
    page = answer.text
    assert answer.status == 200
    outline = page[page.index('id="ap-skeleton"') : page.index('id="rendered_cells"')]
    assert all(f"<h2>{spec.title}</h2>" in outline for spec in OURS)
    assert "jsdelivr" not in page
    assert "cdnjs" not in page


@pytest.mark.browser
def test_a_page_that_is_left_ends_its_kernel(page: Page, served: Served) -> None:
    def kernels() -> set[psutil.Process]:
        return set(psutil.Process(served.process.pid).children(recursive=True))

    before = kernels()
    page.goto(served.url)
    page.wait_for_selector(".ap-drawn")
    own = kernels() - before
    assert own
    page.goto("about:blank")
    wait_until(lambda: not any(kernel.is_running() for kernel in own), 20)


def test_a_port_in_use_is_named_with_the_way_out(desk: Desk, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "alphapulse_nb.cli", "serve", "--port", str(port)],
            env=os.environ | {"DATABASE_URL": desk.server.url},
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "DASHBOARD_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_and_leaves_nothing_running(
    desk: Desk, tmp_path: Path, sent: signal.Signals
) -> None:
    with serve(tmp_path, desk.server.url) as served:
        Visitor(served.url).get()
        children = psutil.Process(served.process.pid).children(recursive=True)
        assert children
        served.process.send_signal(sent)
        assert served.process.wait(15) == 0
        wait_until(lambda: not any(child.is_running() for child in children), 10)
        assert "Traceback" not in served.output()
