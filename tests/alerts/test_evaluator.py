from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.alerts import files
from alphapulse_nb.alerts.check import check
from alphapulse_nb.alerts.store import Overtaken, Round
from alphapulse_nb.errors import DatabaseError
from tests.alerts.desk import BTC, Alerts
from tests.db.conftest import execute

CONFIDENT = {"source": "signals", "where": "confidence > 0.9", "title": "{symbol} {confidence}"}
FALL = {
    "source": "performance_metrics",
    "aggregate": "last",
    "field": "drawdown",
    "window": "15m",
    "threshold": "20 %",
    "title": "{strategy_id} {value}",
    "by": ["symbol", "strategy_id"],
}


def signal(alerts: Alerts, confidence: float | None, **values: Any) -> int:
    return alerts.insert("signals", signal_type="LONG", confidence=confidence, **values)


def fall(alerts: Alerts, drawdown: float | None, strategy: str = "alpha") -> None:
    alerts.insert("performance_metrics", strategy_id=strategy, drawdown=drawdown)


def test_an_event_that_meets_a_rule_is_told_once(alerts: Alerts) -> None:
    alerts.rule(**CONFIDENT, priority="high", type="signal")
    alerts.look()
    signal(alerts, 0.95)
    signal(alerts, 0.5)
    assert alerts.look() == ["BTC/USDT 95 %"]
    assert alerts.look() == []
    (told,) = alerts.told
    assert (told.type, told.priority, told.symbol) == ("signal", "high", BTC)
    assert told.confidence == 0.95
    assert not told.late
    (kept,) = alerts.kept()
    assert kept["title"] == "BTC/USDT 95 %"
    assert kept["opened_at"] == kept["closed_at"] == alerts.start


def test_a_signal_whose_outcome_is_known_later_is_not_told_again(alerts: Alerts) -> None:
    alerts.rule(**CONFIDENT)
    alerts.look()
    row = signal(alerts, 0.95)
    assert len(alerts.look()) == 1
    alerts.post("signal", table="signals", id=row, symbol=BTC, confidence=0.95, outcome="win")
    assert alerts.look() == []
    # A rule for which only the revision is right hears of it.
    alerts.rule("won", source="signals", where='outcome == "win"')
    alerts.post("signal", table="signals", id=row, symbol=BTC, confidence=0.95, outcome="win")
    assert len(alerts.look()) == 1


@pytest.mark.parametrize(("stored", "fires"), [(0.1501, True), (0.15, False), (0.1499, False)])
def test_a_return_of_more_than_fifteen_per_cent(alerts: Alerts, stored: float, fires: bool) -> None:
    (excellent,) = [rule for rule in files.shipped() if rule.name == "excellent backtest"]
    alerts.store.save(excellent)
    alerts.look()
    alerts.insert("backtests", strategy_name="alpha", total_return=stored)
    assert len(alerts.look()) == fires


def test_what_happened_before_there_were_rules_is_history(alerts: Alerts) -> None:
    signal(alerts, 0.95)
    alerts.rule(**CONFIDENT)
    assert alerts.look() == []


def test_what_happened_while_nobody_looked_is_told_late_and_not_lost(alerts: Alerts) -> None:
    alerts.rule(**CONFIDENT)
    alerts.look()
    signal(alerts, 0.95)
    alerts.now += timedelta(hours=3)
    signal(alerts, 0.99)
    alerts.evaluator = alerts.another()
    alerts.made[0].leave()
    while not alerts.look():
        pass
    assert [(one.title, one.late) for one in alerts.told] == [
        ("BTC/USDT 95 %", True),
        ("BTC/USDT 99 %", False),
    ]
    assert alerts.told[0].at == alerts.start


def test_three_signals_within_two_hours(alerts: Alerts) -> None:
    alerts.rule(
        source="signals",
        where="confidence > 0.8",
        aggregate="count",
        window="2h",
        operator=">=",
        threshold=3,
        title="{value} signals of {symbol}",
    )
    for minutes, confidence in ((0, 0.9), (30, 0.7), (60, 0.85)):
        alerts.now = alerts.start + timedelta(minutes=minutes)
        signal(alerts, confidence)
        assert alerts.look() == []
    signal(alerts, 0.95)
    alerts.passes(seconds=5)
    assert alerts.titles == ["3 signals of BTC/USDT"]
    alerts.passes(minutes=65)
    assert alerts.titles[1:] == ["Resolved: 3 signals of BTC/USDT"]


def test_each_strategy_has_an_alert_of_its_own(alerts: Alerts) -> None:
    alerts.rule(**FALL, recovery="18 %")
    fall(alerts, 0.25, "alpha")
    fall(alerts, 0.19, "beta")
    assert alerts.look() == ["alpha 25 %"]
    alerts.now += timedelta(minutes=1)
    fall(alerts, 0.19, "alpha")
    fall(alerts, 0.21, "beta")
    assert alerts.look() == ["beta 21 %"]
    alerts.now += timedelta(minutes=1)
    fall(alerts, 0.17, "alpha")
    assert alerts.look() == ["Resolved: alpha 25 %"]
    assert [row["closed_at"] is None for row in alerts.kept()] == [False, True]


def test_it_has_to_last_as_long_as_the_rule_says(alerts: Alerts) -> None:
    alerts.rule(**FALL, for_="5m", keep_firing_for="5m")
    fall(alerts, 0.25)
    alerts.passes(seconds=0)
    assert set(alerts.phases().values()) == {"pending"}
    alerts.passes(minutes=5)
    assert alerts.titles == ["alpha 25 %"]
    fall(alerts, 0.1)
    alerts.passes(minutes=1)
    assert set(alerts.phases().values()) == {"recovering"}
    alerts.passes(minutes=5)
    assert len(alerts.titles) == 2


def test_a_feed_that_falls_silent(alerts: Alerts) -> None:
    alerts.rule(
        source="performance_metrics",
        aggregate="silence",
        window="1d",
        threshold="15m",
        title="{symbol} silent for {value}",
    )
    fall(alerts, 0.0)
    alerts.insert("performance_metrics", strategy_id="alpha", symbol="ETH/USDT")
    alerts.passes(minutes=14)
    assert alerts.titles == []
    fall(alerts, 0.0)
    alerts.passes(minutes=1, seconds=20)
    assert alerts.titles == ["ETH/USDT silent for 15m20s"]
    # A day later nothing of it is in the window any more, and it is still silent.
    alerts.passes(days=2)
    assert alerts.titles[1:] == ["BTC/USDT silent for 1d"]
    alerts.insert("performance_metrics", strategy_id="alpha", symbol="ETH/USDT")
    alerts.passes(seconds=5)
    assert alerts.titles[2:] == ["Resolved: ETH/USDT silent for 15m20s"]


def test_a_table_without_any_row_is_silent_too(alerts: Alerts) -> None:
    alerts.rule(source="backtests", aggregate="silence", window="1h", threshold="15m", by=[])
    alerts.look()
    assert len(alerts.titles) == 1


def test_a_change_against_the_period_before(alerts: Alerts) -> None:
    alerts.rule(
        source="system_metrics",
        where='metric_name == "latency"',
        aggregate="change",
        field="metric_value",
        window="10m",
        threshold="50 %",
        by=["metric_name"],
        title="{value}",
    )
    for minutes, value in ((0, 100.0), (5, 100.0), (12, 140.0), (15, 180.0)):
        alerts.now = alerts.start + timedelta(minutes=minutes)
        alerts.insert("system_metrics", metric_name="latency", metric_value=value)
        alerts.insert("system_metrics", metric_name="other", metric_value=value * minutes)
    alerts.look()
    assert alerts.titles == ["60 %"]


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_value_that_is_none_holds_nothing_and_ends_nothing(
    alerts: Alerts, nothing: float | None
) -> None:
    alerts.rule(**FALL)
    fall(alerts, 0.25)
    alerts.look()
    for _ in range(3):
        alerts.now += timedelta(minutes=6)
        fall(alerts, nothing)
        alerts.look()
    assert alerts.titles == ["alpha 25 %"]
    assert set(alerts.phases().values()) == {"no_data"}
    tally = alerts.evaluator.tallies["rule"]
    assert tally.unknown
    assert tally.why == "no data"


def test_events_of_no_table_can_be_ruled_over_too(alerts: Alerts) -> None:
    number = {"type": "object", "properties": {"size": {"type": "number"}}}
    alerts.kinds.register("fill", number)
    alerts.rule("large", source="fill", where="size > 10", by=[], title="{size}")
    alerts.rule(
        "many",
        source="fill",
        aggregate="sum",
        field="size",
        window="1h",
        threshold=15,
        by=[],
        title="{value} in all",
    )
    alerts.look()
    alerts.post("fill", size=11)
    alerts.post("fill", size=5)
    alerts.post("fill", size="a text")
    alerts.passes(seconds=5)
    assert sorted(alerts.titles) == ["11", "16 in all"]


def test_a_rule_that_can_no_longer_work_is_in_error_and_says_so_once(
    alerts: Alerts, filled: sa.URL
) -> None:
    alerts.rule(**FALL)
    fall(alerts, 0.25)
    assert len(alerts.look()) == 1
    execute(filled, "ALTER TABLE performance_metrics RENAME COLUMN drawdown TO fall")
    alerts.passes(minutes=1)
    alerts.passes(minutes=1)
    assert alerts.titles[1:] == ["The rule rule cannot be evaluated"]
    assert "drawdown" in alerts.told[1].message
    assert set(alerts.phases().values()) == {"error"}
    execute(filled, "ALTER TABLE performance_metrics RENAME COLUMN fall TO drawdown")
    alerts.passes(minutes=1)
    assert len(alerts.titles) == 2
    assert set(alerts.phases().values()) == {"firing", "normal"} - {"normal"} | {"firing"}


def test_a_rule_whose_source_changed_under_it_is_in_error(alerts: Alerts) -> None:
    schema = {"type": "object", "properties": {"size": {"type": "number"}}}
    alerts.kinds.register("fill", {**schema, "additionalProperties": False})
    alerts.rule(source="fill", where="size > 10", by=[])
    alerts.look()
    other = {"type": "object", "properties": {"amount": {"type": "number"}}}
    alerts.kinds.register("fill", {**other, "additionalProperties": False})
    assert alerts.look() == ["The rule rule cannot be evaluated"]
    assert "size" in alerts.told[0].message
    assert alerts.look() == []
    alerts.kinds.register("fill", {**schema, "additionalProperties": False})
    alerts.look()
    assert alerts.phases() == {}
    alerts.post("fill", size=11)
    assert len(alerts.look()) == 1


def test_a_changed_rule_is_used_at_once_and_a_removed_one_ends(alerts: Alerts) -> None:
    alerts.rule(**FALL)
    fall(alerts, 0.25)
    assert len(alerts.look()) == 1
    alerts.rule(**{**FALL, "threshold": "30 %"})
    alerts.passes(minutes=1)
    assert alerts.titles[1:] == ["Resolved: alpha 25 %"]
    alerts.rule(**FALL)
    alerts.passes(minutes=1)
    assert len(alerts.titles) == 3
    alerts.store.remove("rule")
    alerts.passes(minutes=1)
    assert len(alerts.titles) == 3
    assert alerts.store.held() == {}
    assert all(row["closed_at"] for row in alerts.kept())


def test_only_one_evaluates_and_another_takes_over(alerts: Alerts) -> None:
    alerts.rule(**CONFIDENT)
    alerts.look()
    other = alerts.another()
    signal(alerts, 0.95)
    assert not other.round()
    assert not other.serving
    assert alerts.titles == []
    alerts.made[0].leave()
    while not other.serving:
        other.round()
    assert alerts.titles == ["BTC/USDT 95 %"]


def test_an_evaluator_that_was_overtaken_writes_nothing(alerts: Alerts) -> None:
    alerts.rule(**CONFIDENT)
    alerts.look()
    before = alerts.store.standing()
    alerts.store.write(Round({}), before)
    signal(alerts, 0.95)
    with pytest.raises(Overtaken):
        alerts.evaluator.round()
    assert alerts.titles == []
    assert alerts.kept() == []
    # It goes on from what the other has written.
    assert alerts.look() == ["BTC/USDT 95 %"]


def test_nothing_ends_while_the_database_is_away(
    alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.rule(**FALL)
    fall(alerts, 0.25)
    alerts.look()
    away = DatabaseError("away")

    def fails(*_: Any) -> Any:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(alerts.store.__class__, "edition", fails)
        for _ in range(3):
            alerts.now += timedelta(minutes=1)
            with pytest.raises(DatabaseError):
                alerts.evaluator.round()
    alerts.passes(minutes=1)
    assert alerts.titles == ["alpha 25 %"]
    assert set(alerts.phases().values()) == {"firing"}


def test_every_shipped_rule_can_work_and_is_put_there_once(alerts: Alerts) -> None:
    shipped = files.shipped()
    for rule in shipped:
        check(rule, alerts.kinds)
    assert len(alerts.store.seed(shipped)) == len(shipped) == 8
    alerts.store.remove("drawdown")
    assert alerts.store.seed(shipped) == []
    assert len(alerts.store.listed()) == 7
