"""The dashboard without a browser: what it loads, what it makes of choices and of failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from alphapulse_nb import catalog, dashboard
from alphapulse_nb import settings as settings_module
from alphapulse_nb.catalog import ChartSpec
from alphapulse_nb.dashboard import Dashboard
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseUnavailable, InputError
from alphapulse_nb.settings import Settings


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("QUERY_STRING", raising=False)
    return settings_module.read()


@pytest.fixture
def board(db: Database, config: Settings) -> Iterator[Dashboard]:
    made = Dashboard(db, symbol="BTC/USDT", settings=config)
    yield made
    made.close()


def test_one_refresh_fills_every_chart_card_and_list(board: Dashboard) -> None:
    board.refresh()
    for name, chart in board.charts.items():
        assert not chart._feed.empty, name
        assert chart._fault is None, name
    assert {card["key"] for card in board.cards._cards} >= {"pnl", "win_rate", "drawdown"}
    assert "BTC/USDT" in board.controls.symbols
    assert board.controls._status["fault"] == ""
    assert board.controls._status["newest"] is not None


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("", {}),
        ("symbol=BTC/USDT&range=1h", {"symbol": "BTC/USDT", "range": "1h"}),
        ("symbol=BTC%2FUSDT", {"symbol": "BTC/USDT"}),
        ("symbol=A&symbol=B", {"symbol": "B"}),
        ("token=secret&x=1", {}),
        ("symbol=" + "x" * 101, {}),
        ("&" * 5000, {}),
        ("symbol=%00", {}),
        ("symbol=%ff%fe", {"symbol": "\ufffd\ufffd"}),
    ],
)
def test_the_address_is_read_with_care(query: str, view: dict[str, str]) -> None:
    assert dashboard._asked(query) == view


def test_an_unknown_range_in_the_address_is_the_default_one(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUERY_STRING", "symbol=ETH/USDT&range=99y")
    made = Dashboard(db, settings=settings_module.read())
    assert (made.selection.symbol, made.selection.span) == ("ETH/USDT", "24h")
    made.close()


def test_without_a_symbol_it_takes_the_first_one(db: Database, config: Settings) -> None:
    made = Dashboard(db, settings=config)
    made.refresh()
    assert made.selection.symbol == made.controls.symbols[0]
    made.close()


def test_an_unknown_range_is_refused_with_the_known_ones(board: Dashboard) -> None:
    with pytest.raises(InputError, match="unknown range '2h'; known: 1h, 6h"):
        board.select(span="2h")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("symbol", "", "BTC/USDT"),
        ("symbol", "x" * 10_000, "BTC/USDT"),
        ("symbol", "BTC\x00", "BTC/USDT"),
        ("symbol", "\ud800", "BTC/USDT"),
        ("span", "1y", "24h"),
        ("every", 0.0, 10.0),
        ("every", -1.0, 10.0),
        ("every", 1e9, 10.0),
        ("every", float("nan"), 10.0),
    ],
)
def test_a_choice_that_the_page_may_not_send_is_ignored(
    board: Dashboard, name: str, value: Any, kept: Any
) -> None:
    setattr(board.controls, name, value)
    assert getattr(board.controls, name) == kept
    assert board.selection.symbol == "BTC/USDT"


def test_a_result_of_an_older_choice_is_dropped(board: Dashboard) -> None:
    job = next(job for job in board.refresher._jobs if job.name == "funding_rates")
    old = job.load()
    board.select("ETH/USDT")
    job.done(old)
    assert board.charts["funding_rates"]._busy
    job.done(job.load())
    assert board.charts["funding_rates"]._shown.symbol == "ETH/USDT"


def test_panels_that_fail_for_one_reason_make_one_alert(board: Dashboard) -> None:
    for job in board.refresher._jobs[:4]:
        job.failed(DatabaseUnavailable("The database cannot be reached."))
    board._finished()
    faults = [alert for alert in board.alerts._alerts if alert["type"] == "error"]
    assert [alert["title"] for alert in faults] == ["4 panels have no new data"]
    assert board.controls._status["fault"] == "the database cannot be reached"
    board.refresh()
    assert [alert for alert in board.alerts._alerts if alert["type"] == "error"] == []
    assert board.controls._status["fault"] == ""


def test_a_foreign_chart_that_raises_harms_only_its_own_panel(
    db: Database, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(_frame: pd.DataFrame, _view: Any) -> go.Figure:
        raise KeyError("no such column: basis")

    foreign = ChartSpec("basis", "Basis", lambda *_: pd.DataFrame(), draw, ())
    listed = {**catalog.catalog(), "basis": foreign}
    monkeypatch.setattr(catalog, "catalog", lambda: listed)
    made = Dashboard(db, symbol="BTC/USDT", settings=config)
    made.refresh()
    assert made.charts["basis"]._fault is not None
    assert "no such column: basis" in made.charts["basis"]._fault["message"]
    assert all(made.charts[name]._fault is None for name in listed if name != "basis")
    made.close()


def test_a_live_chart_by_name_knows_its_symbol_and_refuses_an_unknown_name(db: Database) -> None:
    chart = dashboard.live_chart("funding_rates", db, "BTC/USDT")
    assert chart._shown.symbol == "BTC/USDT"
    assert repr(chart) == "LiveChart('Funding rates')"
    with pytest.raises(InputError, match="unknown chart 'nope'; known: funding_rates"):
        dashboard.live_chart("nope", db)
    with pytest.raises(InputError, match="unknown range"):
        dashboard.live_chart("funding_rates", db, span="nope")


def test_closing_a_dashboard_leaves_the_other_widgets_alone(db: Database, config: Settings) -> None:
    first, second = (Dashboard(db, symbol="BTC/USDT", settings=config) for _ in range(2))
    first.close()
    assert second.widget.comm is not None
    assert first.widget.comm is None
    second.refresh()
    second.close()


def test_a_chart_of_its_own_error_does_not_hide_that_the_database_is_away(
    board: Dashboard,
) -> None:
    jobs = board.refresher._jobs
    jobs[1].failed(DatabaseUnavailable("The database cannot be reached."))
    jobs[2].failed(ValueError("mine"))
    board._finished()
    assert board.controls._status["fault"] == "the database cannot be reached"
