"""The API when something behind it fails, hangs or has too much to do."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
import sqlalchemy as sa

from alphapulse_nb import catalog, errors
from alphapulse_nb.catalog import ChartSpec
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.errors import (
    ChartError,
    DatabaseError,
    DatabaseUnavailable,
    EmbeddedError,
    InputError,
    PermissionDenied,
    QueryTimeout,
    RuleError,
    SchemaError,
    SettingsError,
)
from alphapulse_nb.server.access import Refused, Rules
from alphapulse_nb.server.answers import CODES, fault_of
from alphapulse_nb.server.api.workers import Workers
from alphapulse_nb.server.parts import Part, Probe, State
from tests.api import KEY, Api, running
from tests.conftest import Desk, free_port, wait_until

SECRET = "postgresql://me:hunter2@10.0.0.1/desk"


@pytest.mark.parametrize(
    ("error", "status", "code", "after"),
    [
        (DatabaseUnavailable(SECRET), 503, "database_unavailable", 5),
        (DatabaseError(SECRET), 503, "database_unavailable", 5),
        (EmbeddedError(SECRET), 503, "database_unavailable", 5),
        (SchemaError(SECRET), 503, "database_incomplete", None),
        (PermissionDenied(SECRET), 503, "database_incomplete", None),
        (QueryTimeout(SECRET), 504, "query_timeout", None),
        (ChartError(SECRET), 500, "chart_failed", None),
        (SettingsError(SECRET), 500, "internal", None),
        (ValueError(SECRET), 500, "internal", None),
        (InputError("span 3 is too short"), 422, "bad_parameter", None),
        (Refused(429, "Too many attempts.", after=7), 429, "too_many_requests", 7),
        (Refused(403, "Not from there."), 403, "refused", None),
        (Refused(418, "A teapot."), 400, "bad_request", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_says_what_to_do_and_nothing_else(
    error: Exception, status: int, code: str, after: float | None
) -> None:
    fault = fault_of(error)
    assert (fault.status, fault.code, fault.after) == (status, code, after)
    assert "hunter2" not in str(fault.body())
    assert fault.body()["error"]["message"].endswith((".", "short"))


def test_every_code_has_one_status_and_every_error_of_ours_such_a_code() -> None:
    assert all(400 <= code.status < 600 for code in CODES.values())
    ours = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert RuleError in ours
    assert {kind.code for kind in ours if issubclass(kind, errors.AlphaPulseError)} <= {*CODES}


@pytest.fixture
def charts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a chart of the test's own into the catalog."""
    listed = dict(catalog.catalog())
    monkeypatch.setattr("alphapulse_nb.server.api.charts.catalog", lambda: listed)

    def add(name: str, load: Callable[[], Any]) -> None:
        def draw(_frame: pd.DataFrame, _view: Any) -> go.Figure:
            return load()

        listed[name] = ChartSpec(name, name, lambda *_: pd.DataFrame(), draw, (), by_symbol=False)

    return add


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError(SECRET), "internal"),
        (ChartError(SECRET), "chart_failed"),
        (QueryTimeout(SECRET), "query_timeout"),
        (DatabaseUnavailable(SECRET), "database_unavailable"),
    ],
)
def test_a_chart_that_fails_tells_its_client_nothing_and_the_log_all(
    api: Api,
    charts: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: str,
) -> None:
    def fail() -> go.Figure:
        raise error

    charts("broken", fail)
    with caplog.at_level(logging.WARNING):
        answered = api.get("/api/chart/broken?hours=3")
    assert answered.error["code"] == code
    assert "hunter2" not in answered.text
    assert "hunter2" in caplog.text
    assert "hours=3" not in caplog.text
    api.conforms(answered, "/api/chart/{chart_type}")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/none"


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_again(desk: Desk) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with connect(url) as db, running(db, desk.now, rules=Rules(key=KEY, no_auth=True)) as api:
        for path in ("/api/symbols", "/api/data/BTC/USDT", "/api/chart/system"):
            answered = api.get(path)
            assert (answered.status, answered.error["code"]) == (503, "database_unavailable")
            assert answered.headers["Retry-After"] == "5"
        assert api.get("/api/health").status == 200
        ready = api.get("/api/health/ready")
        assert ready.status == 503
        api.conforms(ready, "/api/health/ready")
        assert states(ready.json) == {
            "database": "failed",
            "timescaledb": "degraded",
            "tables": "degraded",
        }


def test_readiness_names_the_database_even_to_those_it_cannot_tell_apart(desk: Desk) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with connect(url) as db, running(db, desk.now) as api:
        assert api.get("/api/symbols").error["code"] == "database_unavailable"
        ready = api.get("/api/health/ready")
        api.conforms(ready, "/api/health/ready")
        assert (ready.status, states(ready.json)) == (503, {"database": "failed"})


def states(ready: dict[str, Any]) -> dict[str, str]:
    return {part["name"]: part["state"] for part in ready["parts"]}


def test_a_database_that_says_nothing_makes_readiness_fail_in_time(desk: Desk, silent: str) -> None:
    with connect(silent) as db, running(db, desk.now, rules=Rules(key=KEY, no_auth=True)) as api:
        began = time.monotonic()
        ready = api.get("/api/health/ready")
        assert (ready.status, states(ready.json)["database"]) == (503, "failed")
        assert time.monotonic() - began < 5


def test_a_query_that_takes_too_long_is_a_504(desk: Desk, charts: Callable[..., None]) -> None:
    with connect(desk.server.url, statement_timeout=0.2) as db, running(db, desk.now) as api:

        def slow() -> go.Figure:
            db.scalar(sa.text("SELECT pg_sleep(30)"))
            return go.Figure()

        charts("slow", slow)
        answered = api.get("/api/chart/slow")
        assert (answered.status, answered.error["code"]) == (504, "query_timeout")
        figures = api.shared.figures
        assert figures.value("queries", outcome="timeout", query="other") == 1


def test_readiness_names_the_parts_of_the_database_and_of_the_server(
    desk: Desk, db: Database
) -> None:
    async def zygote() -> Part:
        return Part("zygote", State.DEGRADED, "kernels start the ordinary way")

    with running(db, desk.now, parts=[Probe("zygote", zygote)]) as api:
        ready = api.get("/api/health/ready")
    assert (ready.status, ready.json["status"]) == (200, "degraded")
    assert list(states(ready.json)) == ["database", "timescaledb", "tables", "zygote"]
    assert states(ready.json)["tables"] == "ok"
    assert ready.json["parts"][1]["detail"] == "not installed: plain tables"


def test_a_part_that_fails_or_hangs_makes_readiness_fail(
    desk: Desk, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphapulse_nb.server.parts.PATIENCE", 0.2)

    async def hangs() -> Part:
        await for_ever()
        raise AssertionError

    async def raises() -> Part:
        raise ZeroDivisionError(SECRET)

    probes = [Probe("hangs", hangs), Probe("raises", raises)]
    with running(db, desk.now, parts=probes) as api:
        ready = api.get("/api/health/ready")
    assert (ready.status, ready.json["status"]) == (503, "failed")
    assert states(ready.json) | {"hangs": "failed", "raises": "failed"} == states(ready.json)
    assert "hunter2" not in ready.text


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_missing_tables_degrade_and_no_table_at_all_fails(desk: Desk) -> None:
    desk.run("CREATE SCHEMA empty")
    try:
        with (
            connect(desk.server.url) as db,
            running(db, desk.now) as api,
        ):
            desk.run("ALTER TABLE signals RENAME TO away")
            try:
                assert states(api.get("/api/health/ready").json)["tables"] == "degraded"
            finally:
                desk.run("ALTER TABLE away RENAME TO signals")
        url = f"{desk.server.url}&options=-csearch_path%3Dempty"
        with connect(url) as db, running(db, desk.now) as api:
            ready = api.get("/api/health/ready")
            assert (ready.status, states(ready.json)["tables"]) == (503, "failed")
    finally:
        desk.run("DROP SCHEMA empty")


def test_a_full_queue_is_told_to_come_again_and_empties(
    desk: Desk, db: Database, charts: Callable[..., None]
) -> None:
    gate = threading.Event()

    def wait() -> go.Figure:
        assert gate.wait(20)
        return go.Figure()

    charts("waits", wait)
    with running(db, desk.now) as api, ThreadPoolExecutor(8) as clients:
        api.means.workers.close()
        api.means.workers = Workers(1, 2)
        asked = [clients.submit(api.get, "/api/chart/waits") for _ in range(3)]
        wait_until(lambda: api.means.workers.under_way == 3)
        busy = api.get("/api/symbols")
        assert (busy.status, busy.error["code"]) == (503, "busy")
        assert busy.headers["Retry-After"] == "1"
        assert api.get("/api/health").status == 200
        assert api.get("/api/health/ready").status == 200
        gate.set()
        assert [one.result().status for one in asked] == [200] * 3
        assert api.get("/api/symbols").status == 200


def test_a_client_that_leaves_the_queue_costs_nothing_more(
    desk: Desk, db: Database, charts: Callable[..., None]
) -> None:
    gate, drawn = threading.Event(), []

    def wait() -> go.Figure:
        drawn.append(1)
        assert gate.wait(20)
        return go.Figure()

    charts("waits", wait)
    with running(db, desk.now) as api:
        api.means.workers.close()
        api.means.workers = Workers(1, 10)
        request = b"GET /api/chart/waits HTTP/1.1\r\nHost: localhost\r\n\r\n"
        links = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(5)]
        for link in links:
            link.sendall(request)
        wait_until(lambda: api.means.workers.under_way == 5)
        for link in links:
            link.close()
        # The first has begun and ends unheard; the others have left the queue.
        wait_until(lambda: api.means.workers.under_way == 1)
        gate.set()
        wait_until(lambda: api.means.workers.under_way == 0)
        assert len(drawn) == 1
        assert api.get("/api/symbols").status == 200
