"""`alphapulse stream`: how it starts, what it has beside the stream, and how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import Desk, Served, serve
from tests.stream.served import listening
from tests.visitor import Visitor

TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def alone(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("alone")
    with serve(folder, desk.server.url, command="stream", DASHBOARD_TOKEN=TOKEN) as served:
        yield served


def test_it_has_the_api_and_no_pages(alone: Served) -> None:
    visitor = Visitor(alone.url, Authorization=f"Bearer {TOKEN}")
    ready = json.loads(visitor.get("api/health/ready").body)
    assert {"database", "events"} <= {part["name"] for part in ready["parts"]}
    assert "zygote" not in json.dumps(ready)
    assert visitor.get("api/symbols").status == 200
    assert b"alphapulse_streams " in visitor.get("api/metrics", Accept="text/plain").body
    assert visitor.get("live").status == 404
    front = visitor.get()
    assert front.status == 200
    assert "no dashboard" in front.text
    assert "unsafe" not in front.headers["Content-Security-Policy"]


def test_a_stranger_is_refused_and_a_secret_is_in_no_log(alone: Served) -> None:
    assert Visitor(alone.url).get("api/symbols").status == 401
    assert Visitor(alone.url).get("stream", Upgrade="websocket").status == 401
    assert TOKEN not in alone.output()


def test_a_stop_tells_the_clients_why_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    async def scenario(served: Served) -> tuple[int, str]:
        async with listening(served.url) as connection:
            await connection.recv()
            served.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(20):
                    while True:
                        await connection.recv()
            return connection.close_code or 0, connection.close_reason or ""

    with serve(tmp_path, desk.server.url, command="stream") as served:
        assert asyncio.run(scenario(served)) == (1001, "the server is stopping")
        assert served.process.wait(20) == 0
        assert "Traceback" not in served.output()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--no-auth"),
        (["--port", "taken"], "STREAM_PORT"),
        (["--port", "70000"], "STREAM_PORT"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    alone: Served, desk: Desk, tmp_path: Path, arguments: list[str], words: str
) -> None:
    port = alone.url.rsplit(":", 1)[1].strip("/")
    given = [port if argument == "taken" else argument for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "alphapulse_nb.cli", "stream", *given],
        env={**os.environ, "DATABASE_URL": desk.server.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("alphapulse: ")]
    assert words in line
    assert "Traceback" not in done.stderr
