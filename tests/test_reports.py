"""What kernels tell the server about their refreshes."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb import reports
from alphapulse_nb.dashboard import Dashboard
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseError, DatabaseUnavailable, InputError, QueryTimeout
from alphapulse_nb.refresh import Job, Refresher
from alphapulse_nb.reports import VARIABLE, Load, Refresh, Reporter
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.mailbox import Mailbox
from alphapulse_nb.settings import read

SECONDS = st.floats(0, 86_400)
LOADS = st.builds(
    Load,
    st.text(max_size=64),
    SECONDS,
    SECONDS,
    st.integers(0, 10**9),
    st.sampled_from(reports.OUTCOMES),
)
TICK = Refresh(0.2, 0.01, (Load("funding_rates", 0.1, 0.05, 30), Load("anomalies", 0.1)))


async def until(met: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


@given(st.builds(Refresh, SECONDS, SECONDS, st.lists(LOADS, max_size=8).map(tuple)))
def test_a_report_arrives_as_it_was_sent(refresh: Refresh) -> None:
    assert reports.decode(reports.encode(refresh)) == refresh


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(datagram: bytes) -> None:
    with pytest.raises(InputError):
        reports.decode(datagram)


def changed(**fields: Any) -> bytes:
    return json.dumps(asdict(TICK) | fields).encode()


def changed_load(**fields: Any) -> bytes:
    return changed(loads=[asdict(TICK.loads[0]) | fields])


@pytest.mark.parametrize(
    "datagram",
    [
        b"[]",
        b"7",
        b"{}",
        b"[" * 8_000,
        b" " * 9_000,
        changed(seconds=-1),
        changed(seconds=float("nan")),
        changed(seconds=float("inf")),
        changed(seconds=True),
        changed(seconds="1"),
        changed(late=None),
        changed(late=1e9),
        changed(more=1),
        changed(loads={}),
        changed(loads=[1]),
        changed(loads=[asdict(TICK.loads[0])] * 65),
        changed_load(name=7),
        changed_load(name="x" * 65),
        changed_load(query=-0.1),
        changed_load(rows=1.5),
        changed_load(rows=-1),
        changed_load(rows=10**12),
        changed_load(outcome="splendid"),
        changed_load(outcome=["ok"]),
    ],
)
def test_what_is_no_report_is_refused(datagram: bytes) -> None:
    with pytest.raises(InputError):
        reports.decode(datagram)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "ok"),
        (QueryTimeout("slow"), "timeout"),
        (TimeoutError("slow"), "timeout"),
        (DatabaseUnavailable("gone"), "unreachable"),
        (DatabaseError("odd"), "failed"),
        (ValueError("odd"), "failed"),
    ],
)
def test_every_end_of_a_load_has_a_name(error: Exception | None, said: str) -> None:
    assert reports.outcome(error) == said


def test_reports_are_counted_and_strangers_are_refused() -> None:
    async def run() -> None:
        figures = Figures(["funding_rates", "anomalies"])
        mailbox = Mailbox(figures)
        path = mailbox.open()
        assert path is not None
        send = Reporter({VARIABLE: str(path)})
        send(TICK)
        send(Refresh(0.1, 3.0, (Load("made-up", 0.1, 0.0, 0, "failed"),)))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for datagram in (b"\x00rubbish", b"x" * 60_000, b""):
                stranger.sendto(datagram, str(path))
        await until(lambda: figures.value("reports_refused") == 3)
        mailbox.close()
        assert figures.value("reports") == figures.value("refreshes") == 2
        assert figures.value("refreshes_late") == 1
        assert figures.value("rows_read") == 30
        assert figures.value("loads", query="other", outcome="failed") == 1
        assert figures.value("queries") == 1
        assert figures.quantile("query_seconds", 0.5) == pytest.approx(0.05, rel=0.05)

    asyncio.run(run())


def test_the_socket_is_nobody_elses_and_goes_with_the_server() -> None:
    async def run() -> None:
        mailbox = Mailbox(Figures())
        path = mailbox.open()
        assert path is not None
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert len(str(path)) < 100
        mailbox.close()
        mailbox.close()
        assert not path.parent.exists()

    asyncio.run(run())


def test_what_a_killed_server_left_is_removed_and_a_living_ones_stays() -> None:
    async def run() -> None:
        dead = subprocess.Popen(["true"])
        dead.wait()
        left = Path(tempfile.mkdtemp(prefix=f"alphapulse-{dead.pid}-"))
        (left / "reports").touch()
        living = Mailbox(Figures())
        path = living.open()
        other = Mailbox(Figures())
        other.open()
        assert path is not None
        assert path.exists()
        assert not left.exists()
        living.close()
        other.close()

    asyncio.run(run())


def test_what_found_no_room_goes_with_the_next() -> None:
    async def run() -> None:
        figures = Figures()
        mailbox = Mailbox(figures)
        send = Reporter({VARIABLE: str(mailbox.open())})
        sent = 0
        # Nobody reads while this thread sends, until the socket is full.
        while not send._waiting:
            send(TICK)
            sent += 1
        await until(lambda: figures.value("reports") == sent - 1)
        send(TICK)
        await until(lambda: figures.value("reports") == sent + 1)
        mailbox.close()

    asyncio.run(run())


def test_a_flood_leaves_the_loop_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr("alphapulse_nb.server.mailbox._AT_ONCE", 3)
        figures = Figures()
        mailbox = Mailbox(figures)
        send = Reporter({VARIABLE: str(mailbox.open())})
        for _ in range(8):
            send(TICK)
        mailbox._take()
        assert figures.value("reports") == 3
        await until(lambda: figures.value("reports") == 8)
        mailbox.close()

    asyncio.run(run())


def test_a_flood_is_lost_and_delays_nothing() -> None:
    async def run() -> None:
        figures = Figures()
        mailbox = Mailbox(figures)
        path = mailbox.open()
        send = Reporter({VARIABLE: str(path)})
        began = time.perf_counter()
        for _ in range(20_000):
            send(TICK)
        assert time.perf_counter() - began < 5
        await until(lambda: figures.value("reports") > 0)
        mailbox.close()

    asyncio.run(run())


@pytest.mark.parametrize("path", ["", "/nonexistent/reports", "/dev/null", "x" * 300, "a\x00b"])
def test_a_reporter_without_a_server_says_so_once_and_goes_on(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send = Reporter({VARIABLE: path})
    for _ in range(3):
        send(TICK)
    assert len(caplog.records) == (1 if path else 0)


def test_a_tick_tells_what_each_load_cost() -> None:
    async def run() -> None:
        told: list[Refresh] = []
        refresher = Refresher(60, report=told.append)

        def slow() -> None:
            time.sleep(0.05)

        def broken() -> None:
            raise DatabaseUnavailable("gone")

        for name, load in {"slow": slow, "broken": broken}.items():
            refresher.add(Job(name, load, lambda _: None, lambda _: None))
        refresher.start()
        await until(lambda: told)
        refresher.nudge()
        await until(lambda: len(told) == 2)
        refresher.stop()
        for tick in told:
            by_name = {load.name: load for load in tick.loads}
            assert by_name["slow"].seconds >= 0.05
            assert tick.seconds >= 0.05
            assert (by_name["slow"].outcome, by_name["broken"].outcome) == ("ok", "unreachable")
            assert 0 <= tick.late < 1

    asyncio.run(run())


def test_a_tick_that_comes_late_says_how_late() -> None:
    async def run() -> None:
        told: list[Refresh] = []
        now = [0.0]
        refresher = Refresher(10, report=told.append, monotonic=lambda: now[0])
        refresher.add(Job("any", lambda: None, lambda _: None, lambda _: None))
        refresher.start()
        await until(lambda: len(told) == 1)
        now[0] = 13.5
        refresher._signal()
        await until(lambda: len(told) == 2)
        refresher.stop()
        assert told[1].late == 3.5

    asyncio.run(run())


def test_a_load_that_hangs_is_told_as_a_timeout() -> None:
    async def run() -> None:
        told: list[Refresh] = []
        refresher = Refresher(60, report=told.append)
        refresher.patience = 0.05
        refresher.add(Job("hung", lambda: time.sleep(0.5), lambda _: None, lambda _: None))
        refresher.start()
        await until(lambda: told)
        refresher.stop()
        assert told[0].loads == (Load("hung", 0.05, 0.0, 0, "timeout"),)

    asyncio.run(run())


def test_a_dashboards_refresh_reaches_the_server(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        figures = Figures(["funding_rates", "headline", "symbols"])
        mailbox = Mailbox(figures)
        path = mailbox.open()
        monkeypatch.setenv(VARIABLE, str(path))
        dashboard = Dashboard(db, symbol="BTC/USDT", settings=read())
        await until(lambda: figures.value("refreshes"), 30)
        dashboard.close()
        mailbox.close()
        assert figures.value("loads", query="funding_rates", outcome="ok") >= 1
        assert figures.value("queries", query="headline", outcome="ok") >= 1
        assert figures.value("rows_read") > 100

    asyncio.run(run())
