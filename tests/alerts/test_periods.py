"""When alerts fired, as the charts are told: which, on what, why, from when to when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb import settings as settings_module
from alphapulse_nb.alerts.periods import LONGEST, MOST, Period, firing, periods
from alphapulse_nb.catalog import catalog
from alphapulse_nb.dashboard import Dashboard
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.errors import DatabaseUnavailable
from alphapulse_nb.state.alert_tables import alerts as table
from alphapulse_nb.widgets.live_chart import LiveChart
from tests.alerts.desk import BTC, Alerts
from tests.db.conftest import empty, execute

__all__ = ["empty"]

ETH = "ETH/USDT"
FUNDING = {"source": "funding_rates", "where": "funding_rate > 0.1 %", "keep_firing_for": "10m"}
LATENCY: dict[str, Any] = {
    "source": "system_metrics",
    "aggregate": "max",
    "field": "metric_value",
    "window": "5m",
    "threshold": 200,
    "by": [],
}


def found(alerts: Alerts, symbol: str = BTC, *whole: str, hours: float = 1) -> list[Period]:
    return periods(alerts.db, symbol, alerts.now - timedelta(hours=hours), alerts.now, whole)


def put(alerts: Alerts, key: str, opened: datetime, closed: datetime | None, **more: Any) -> None:
    """An alert as the evaluator would have kept it."""
    values = {
        "key": key,
        "rule": "rule",
        "labels": {},
        "symbol": BTC,
        "type": "warning",
        "priority": "high",
        "title": "Title",
        "message": "Message",
        "opened_at": opened,
        "closed_at": closed,
    }
    with alerts.state.writing() as link:
        link.execute(sa.insert(table).values(values | more))


def test_an_alert_is_a_period_that_is_open_until_it_ends(alerts: Alerts) -> None:
    alerts.rule(**FUNDING, priority="urgent", title="Rate {funding_rate}", message="Watch {symbol}")
    alerts.look()
    began = alerts.now
    alerts.insert("funding_rates", exchange="binance", funding_rate=0.002)
    alerts.look()
    (one,) = found(alerts)
    assert (one.table, one.symbol, one.rule) == ("funding_rates", BTC, "rule")
    assert (one.title, one.reason) == ("Rate 0.2 %", f"Watch {BTC}")
    assert (one.priority, one.start, one.end, one.by) == ("urgent", began, None, None)
    with alerts.state.writing() as link:
        link.execute(sa.update(table).values(acknowledged_by="ann"))
    alerts.passes(minutes=11)
    (one,) = found(alerts)
    assert one.end == began + timedelta(minutes=10)
    assert one.by == "ann"


@pytest.mark.parametrize(
    ("opened", "closed", "there"),
    [
        (-120, -61, False),
        (-120, -60, True),
        (-120, None, True),
        (-30, -20, True),
        (0, None, True),
        (1, None, False),
    ],
)
def test_what_overlaps_the_window_is_there(
    alerts: Alerts, opened: int, closed: int | None, there: bool
) -> None:
    """In minutes from the end of a window of an hour."""
    end = None if closed is None else alerts.now + timedelta(minutes=closed)
    put(alerts, "key", alerts.now + timedelta(minutes=opened), end)
    assert bool(found(alerts)) is there


@pytest.mark.parametrize(
    ("symbol", "whole", "there"),
    [
        (BTC, [], True),
        (ETH, [], False),
        (None, [], True),
        ("", [], True),
        (ETH, ["anomalies"], False),
        (ETH, ["funding_rates", "anomalies"], True),
    ],
)
def test_it_is_of_the_symbol_or_of_none_or_of_a_chart_of_the_whole_desk(
    alerts: Alerts, symbol: str | None, whole: list[str], there: bool
) -> None:
    put(alerts, "rule\nfunding_rates 7", alerts.now, None, symbol=symbol)
    assert bool(found(alerts, BTC, *whole)) is there
    if there:
        assert found(alerts, BTC, *whole)[0].symbol == (symbol or None)


def test_a_chart_is_named_by_the_tables_it_shows(alerts: Alerts) -> None:
    put(alerts, "a\nfunding_rates 7", alerts.now, None)
    put(alerts, "b\nsignals 8", alerts.now, None, symbol=ETH)
    put(alerts, "c\nsystem_metrics 9", alerts.now, None, symbol=ETH)
    put(alerts, "d\nbacktests 9", alerts.now, None, symbol=None)
    start, end = alerts.now - timedelta(hours=1), alerts.now
    plain = firing(alerts.db, BTC, start, end, catalog().values())
    assert {one["key"].split("\n")[1]: one["charts"] for one in plain} == {
        "funding_rates 7": ["funding_rates"],
        "system_metrics 9": ["system"],
        "backtests 9": [],
    }
    ours = next(one for one in plain if one["charts"] == ["funding_rates"])
    assert ours == {
        "key": "a\nfunding_rates 7",
        "charts": ["funding_rates"],
        "tables": ["funding_rates"],
        "symbol": BTC,
        "rule": "rule",
        "title": "Title",
        "reason": "Message",
        "priority": "high",
        "from": int(alerts.now.timestamp() * 1000),
        "to": None,
        "by": None,
    }
    (other,) = (
        one
        for one in firing(alerts.db, ETH, start, end, catalog().values())
        if one["charts"] == ["predictions"]
    )
    assert other["symbol"] == ETH


def test_a_chart_of_a_symbol_shows_no_other_beside_one_of_the_whole_desk(alerts: Alerts) -> None:
    put(alerts, "a\nfunding_rates 7", alerts.now, None, symbol=ETH)
    own = catalog()["funding_rates"]
    whole = replace(own, name="whole", by_symbol=False)
    start = alerts.now - timedelta(hours=1)
    (one,) = firing(alerts.db, BTC, start, alerts.now, [own, whole])
    assert one["charts"] == ["whole"]


def test_what_a_removed_rule_found_stays_where_its_rows_say_so(alerts: Alerts) -> None:
    alerts.rule("of rows", **FUNDING)
    alerts.rule("of a window", **LATENCY)
    alerts.look()
    alerts.insert("funding_rates", exchange="binance", funding_rate=0.002)
    alerts.insert("system_metrics", metric_name="latency", metric_value=300.0, metric_unit="ms")
    alerts.passes(seconds=2)
    assert {one.rule: one.table for one in found(alerts)} == {
        "of rows": "funding_rates",
        "of a window": "system_metrics",
    }
    alerts.rule("of rows", source="signals", where="confidence > 0.5")
    assert {one.table for one in found(alerts)} == {"funding_rates", "system_metrics"}
    for name in ("of rows", "of a window"):
        alerts.store.remove(name)
    gone = {one.rule: one for one in found(alerts)}
    assert {name: one.table for name, one in gone.items()} == {
        "of rows": "funding_rates",
        "of a window": "",
    }
    assert None not in {one.end for one in gone.values()}
    assert gone["of a window"].plain([])["tables"] == []


@pytest.mark.parametrize(
    ("rule", "key", "reason"),
    [
        (FUNDING, "rule\nfunding_rates 7", "funding_rate > 0.1 %"),
        (LATENCY, "rule\n{}", "max of metric_value over 5m > 200"),
        (
            {"source": "signals", "aggregate": "silence", "window": "1d", "threshold": "15m"},
            "rule\n{}",
            "silence over 1d > 15m",
        ),
        (None, "rule\nsignals 7", ""),
    ],
)
def test_without_a_message_the_reason_is_what_the_rule_compares(
    alerts: Alerts, rule: dict[str, Any] | None, key: str, reason: str
) -> None:
    if rule is not None:
        alerts.rule(**rule)
    put(alerts, key, alerts.now, None, message="", title="")
    (one,) = found(alerts)
    assert one.reason == reason
    assert one.title == "rule"


def test_there_are_so_many_and_open_ones_are_never_left_out(alerts: Alerts) -> None:
    put(alerts, "open", alerts.now - timedelta(days=9), None, message="x" * 2_000)
    for place in range(MOST + 20):
        at = alerts.now - timedelta(seconds=place)
        put(alerts, f"closed {place}", at, at)
    keys = [one.key for one in found(alerts)]
    assert keys == ["open", *(f"closed {place}" for place in range(MOST - 1))]
    assert len(found(alerts)[0].reason) == LONGEST


def test_a_desk_without_our_schema_has_none(empty: sa.URL, alerts: Alerts) -> None:
    with connect(empty) as db:
        assert periods(db, BTC, alerts.now - timedelta(hours=1), alerts.now) == []


def test_who_may_not_read_our_schema_has_none(filled: sa.URL, alerts: Alerts) -> None:
    put(alerts, "key", alerts.now, None)
    execute(filled, "CREATE ROLE nosy LOGIN PASSWORD 'nosy'")
    try:
        with connect(filled.set(username="nosy", password="nosy")) as db:
            assert periods(db, BTC, alerts.now - timedelta(hours=1), alerts.now) == []
            execute(filled, "GRANT USAGE ON SCHEMA alphapulse TO nosy")
            execute(filled, "GRANT SELECT ON ALL TABLES IN SCHEMA alphapulse TO nosy")
            assert len(periods(db, BTC, alerts.now - timedelta(hours=1), alerts.now)) == 1
    finally:
        execute(filled, "DROP OWNED BY nosy", "DROP ROLE nosy")


def test_a_database_that_is_away_is_a_fault(alerts: Alerts) -> None:
    away = Database(sa.make_url("postgresql+psycopg2://nobody@127.0.0.1:1/none"))
    with pytest.raises(DatabaseUnavailable):
        periods(away, BTC, alerts.now - timedelta(hours=1), alerts.now)


def test_a_dashboard_without_a_stream_has_them_on_the_charts_they_are_of(alerts: Alerts) -> None:
    put(alerts, "a\nfunding_rates 7", alerts.now, None)
    put(alerts, "b\nfunding_rates 8", alerts.now, None, symbol=ETH)
    put(alerts, "c\nsystem_metrics 9", alerts.now, None, symbol=None)
    made = Dashboard(alerts.db, symbol=BTC, settings=settings_module.read())
    try:
        made.refresh()
        assert {name: _keys(chart) for name, chart in made.charts.items() if _keys(chart)} == {
            "funding_rates": ["a"],
            "system": ["c"],
        }
        made.select(ETH)
        assert [key for chart in made.charts.values() for key in _keys(chart)] == []
        made.refresh()
        assert _keys(made.charts["funding_rates"]) == ["b"]
    finally:
        made.close()


def _keys(chart: LiveChart) -> list[str]:
    return [period["key"][0] for period in chart._periods]
