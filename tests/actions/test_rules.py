"""Rules as operators keep them: checked, tried, saved by one at a time; and their alerts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.alerts import store
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db import tables
from alphapulse_nb.errors import Conflict, InputError, RuleError, UnknownName
from alphapulse_nb.people import Person, Role
from alphapulse_nb.state.alert_tables import rules as table
from tests.actions.asking import Asking
from tests.state.test_cli import Commands, alphapulse
from tests.test_cli import Runner

__all__ = ["alphapulse"]

SURE = {
    "name": "sure",
    "source": "signals",
    "where": "confidence > 0.9",
    "title": "{symbol} {confidence} {outcome}",
}
FALL = {
    "name": "fall",
    "source": "performance_metrics",
    "aggregate": "last",
    "field": "drawdown",
    "window": "15m",
    "threshold": "20 %",
    "by": ["strategy_id"],
    "title": "{strategy_id} {value}",
}
OLGA, OTTO = Person("olga", Role.OPERATOR), Person("otto", Role.OPERATOR)

DEEP = "(" * 400 + "confidence" + ")" * 400 + " > 1"
BAD: list[tuple[dict[str, Any], str]] = [
    ({"where": "confidenc > 0.9"}, "where"),
    ({"where": "symbol > 5"}, "where"),
    ({"where": "confidence > " + "1" * 10_000}, "where"),
    ({"where": "confidence > 0" + " or confidence > 0" * 600}, "where"),
    ({"where": DEEP}, "where"),
    ({"where": "[a for a in [1, 2, 3]] == [1]"}, "where"),
    ({"where": "$sum([9, 9]) > confidence"}, "where"),
    ({"where": "symbol =~ '(a+)+$'"}, "where"),
    ({"where": "symbol.length > 3"}, "where"),
    ({"where": "confidence ** 9 ** 9 ** 9 > 1"}, "where"),
    ({"where": "__import__('os')"}, "where"),
    ({"where": 5}, "where"),
    ({"where": ""}, "where"),
    ({"title": "{symbol.__class__}"}, "title"),
    ({"title": "{symbol[0]}"}, "title"),
    ({"title": "{symbol!r}"}, "title"),
    ({"title": "{confidence:>99999999}"}, "title"),
    ({"title": "{"}, "title"),
    ({"message": "{nothing}"}, "message"),
    ({"message": "x" * 100_001}, "message"),
    ({"threshold": 10**400}, "threshold"),
    ({"threshold": float("inf")}, "threshold"),
    ({"threshold": [[[]]]}, "threshold"),
    ({"for": "9" * 30 + "d"}, "for"),
    ({"name": "a\0"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"name": ""}, "name"),
    ({"source": "signal"}, "source"),
    ({"source": ["signals"]}, "source"),
    ({"by": ["symbol"] * 2}, "by"),
    ({"labels": {"X": "y"}}, "labels"),
    ({"labels": {f"l{n}": "" for n in range(21)}}, "labels"),
    ({"priority": "huge"}, "priority"),
    ({"enabled": "yes"}, "enabled"),
    ({"channels": ["nowhere"]}, "channels"),
    ({"constructor": 1}, "constructor"),
]


@pytest.mark.parametrize(("part", "place"), BAD, ids=[str(part)[:50] for part, _ in BAD])
def test_a_rule_that_cannot_work_is_refused_with_its_place_and_not_kept(
    still: Asking, part: dict[str, Any], place: str
) -> None:
    rule = SURE | part
    with pytest.raises(RuleError) as refused:
        still("save", {"rule": rule, "version": 0}, OLGA, name=rule["name"])
    assert place in dict(refused.value.problems)
    assert all(words for _, words in refused.value.problems)
    assert still("rules") == {"rules": []}
    if place != "channels":
        told = still("check", {"rule": rule})
        assert (told["ok"], told["rule"], told["lines"]) == (False, None, [])
        assert [one["place"] for one in told["problems"]] == [
            name for name, _ in refused.value.problems
        ]


@pytest.mark.parametrize("given", [None, 5, "x", [], [SURE]])
def test_what_is_no_rule_at_all_is_refused(still: Asking, given: object) -> None:
    with pytest.raises(RuleError):
        still("save", {"rule": given, "version": 0}, name="sure")
    assert still("check", {"rule": given})["ok"] is False


@pytest.mark.parametrize(
    ("body", "name", "words"),
    [
        ({"rule": SURE, "version": 0}, "other", "is called 'sure'"),
        ({"rule": SURE}, "sure", "no field 'version'"),
        ({"version": 0}, "sure", "no field 'rule'"),
        ({"rule": SURE, "version": -1}, "sure", "version is -1"),
        ({"rule": SURE, "version": 2**70}, "sure", "huge number"),
        ({"rule": SURE, "version": True}, "sure", "version is True"),
        ({"rule": SURE, "version": 0, "force": True}, "sure", "no field 'force'"),
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused(
    still: Asking, body: dict[str, Any], name: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        still("save", body, name=name)


def test_of_two_who_change_a_rule_the_later_is_told(ask: Asking) -> None:
    first = ask("save", {"rule": SURE, "version": 0}, OLGA, name="sure")
    assert (first["version"], first["changed_by"], first["fault"]) == (1, "olga", "")
    with pytest.raises(Conflict, match="by somebody else meanwhile"):
        ask("save", {"rule": SURE, "version": 0}, OTTO, name="sure")
    again = ask("save", {"rule": SURE | {"enabled": False}, "version": 1}, OTTO, name="sure")
    assert (again["version"], again["changed_by"]) == (2, "otto")
    with pytest.raises(Conflict, match="look at it again"):
        ask("save", {"rule": SURE, "version": 1}, OLGA, name="sure")
    assert ask("rules")["rules"] == [again]
    assert ask.hurried == 2
    ask("drop", None, OLGA, name="sure")
    with pytest.raises(Conflict):
        ask("save", {"rule": SURE, "version": 2}, OLGA, name="sure")
    with pytest.raises(UnknownName, match="no rule 'sure'"):
        ask("drop", None, OLGA, name="sure")
    assert ask.hurried == 3


def test_of_eight_who_save_at_once_one_does(ask: Asking) -> None:
    def save(number: int) -> bool:
        rule = SURE | {"about": f"{number}"}
        try:
            ask("save", {"rule": rule, "version": 0}, name="sure")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pages:
        assert sum(pages.map(save, range(8))) == 1
    assert ask("rules")["rules"][0]["version"] == 1


def test_a_full_list_of_rules_takes_no_other_and_can_be_changed(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_RULES", 1)
    ask("save", {"rule": SURE, "version": 0}, name="sure")
    with pytest.raises(InputError, match="remove one first"):
        ask("save", {"rule": FALL, "version": 0}, name="fall")
    assert ask("save", {"rule": SURE, "version": 1}, name="sure")["version"] == 2


def test_a_rule_of_which_nothing_can_be_read_is_listed_with_its_fault(ask: Asking) -> None:
    ask("save", {"rule": SURE, "version": 0}, name="sure")
    ask("save", {"rule": FALL, "version": 0}, name="fall")
    ask.house.run(sa.update(table).where(table.c.name == "sure").values(record={"name": "sure"}))
    fall, sure = ask("rules")["rules"]
    assert (sure["rule"], fall["fault"]) == (None, "")
    assert "source: it is missing" in sure["fault"]


def test_a_rule_that_works_no_more_can_be_turned_off_and_nothing_else(ask: Asking) -> None:
    ask("save", {"rule": SURE, "version": 0}, name="sure")
    gone = SURE | {"where": "gone > 0.9"}
    ask.house.run(sa.update(table).where(table.c.name == "sure").values(record=gone))
    assert "gone" in ask("rules")["rules"][0]["fault"]
    for other in (gone, gone | {"enabled": False, "about": "changed"}):
        with pytest.raises(RuleError, match="no field 'gone'"):
            ask("save", {"rule": other, "version": 1}, name="sure")
    off = ask("save", {"rule": gone | {"enabled": False}, "version": 1}, name="sure")
    assert (off["version"], off["rule"]["enabled"]) == (2, False)


def test_the_vocabulary_has_the_desks_tables_and_the_registered_events(ask: Asking) -> None:
    schema = {"type": "object", "properties": {"price": {"type": "number"}}}
    ask.kinds.register("order", schema)
    ask.house.channel("hook")
    told = ask("vocabulary")
    sources = {one["name"]: one for one in told["sources"]}
    assert {*tables.metadata.tables, "fill", "order"} <= sources.keys()
    assert (sources["signals"]["kind"], sources["order"]["kind"]) == ("table", "event")
    assert {"name": "confidence", "kind": "number", "unit": "%"} in sources["signals"]["fields"]
    assert [one["name"] for one in sources["order"]["fields"]] == ["price"]
    assert sources["fill"]["anything"] is True
    assert told["channels"] == ["hook"]
    assert {"rule", "symbol"} <= {*told["texts"]}
    assert {"value", "threshold"} <= {*told["window_texts"]}


@pytest.fixture
def run(alphapulse: Runner, filled: sa.URL) -> Commands:
    return Commands(alphapulse, filled)


def test_a_trial_says_what_the_command_says(ask: Asking, run: Commands) -> None:
    engine = sa.create_engine(ask.means.db.url)
    now = {"timestamp": ask.now - timedelta(minutes=1), "symbol": "BTC/USDT"}
    with engine.begin() as link:
        for strategy, drawdown in (("alpha", 0.25), ("beta", 0.1)):
            row = {"strategy_id": strategy, "drawdown": drawdown}
            link.execute(sa.insert(tables.performance_metrics).values(now | row))
        for confidence in (0.95, 0.5, None):
            row = {"signal_type": "LONG", "confidence": confidence}
            link.execute(sa.insert(tables.signals).values(now | row))
    engine.dispose()
    for rule in (SURE, FALL):
        told = ask("check", {"rule": rule}, OLGA)
        assert (told["ok"], told["problems"], told["trouble"]) == (True, [], "")
        ask("save", {"rule": told["rule"], "version": 0}, OLGA, name=rule["name"])
        said = run("rules", "test", str(rule["name"])).stdout
        assert len(told["lines"]) >= 2
        for line in told["lines"]:
            assert f"{line['outcome']}: {line['reason']}" in said
            assert line["title"] in said
    fires = next(one for one in ask("check", {"rule": FALL})["lines"] if one["outcome"] == "fires")
    assert (fires["labels"], fires["title"]) == ({"strategy_id": "alpha"}, "alpha 25 %")


def test_a_trial_that_cannot_read_says_why(ask: Asking) -> None:
    engine = sa.create_engine(ask.means.db.url)
    with engine.begin() as link:
        link.exec_driver_sql("DROP TABLE performance_metrics")
    engine.dispose()
    told = ask("check", {"rule": FALL})
    assert (told["ok"], told["lines"]) == (True, [])
    assert "performance_metrics" in told["trouble"]
    assert "SELECT" not in told["trouble"]


def test_of_two_who_look_after_an_alert_one_does(ask: Asking) -> None:
    ask.house.open_alert("alert a")

    def acknowledge(who: Person) -> Any:
        return ask("acknowledge", {"alert": "alert a"}, who)["by"]

    with ThreadPoolExecutor(8) as pages:
        (owner,) = set(pages.map(acknowledge, [OLGA, OTTO] * 4))
    (alert,) = ask("alerts", None, open=True)["alerts"]
    assert alert["acknowledged_by"] == owner in {"olga", "otto"}
    with pytest.raises(UnknownName, match="no such alert"):
        ask("acknowledge", {"alert": "alert b"}, OLGA)


def test_alerts_are_found_by_rule_and_by_whether_they_are_open(ask: Asking) -> None:
    for key in ("a", "b", "c"):
        ask.house.open_alert(key)
    ask.house.close_alert("b")
    assert [one["key"] for one in ask("alerts")["alerts"]] == ["c", "b", "a"]
    assert [one["key"] for one in ask("alerts", None, open=True)["alerts"]] == ["c", "a"]
    assert [one["key"] for one in ask("alerts", None, limit=1)["alerts"]] == ["c"]
    assert ask("alerts", None, rule="other")["alerts"] == []
    assert ask("alerts", None, symbol="BTC/USDT")["alerts"] == []
    assert len(Store(ask.house.state).alerts(rule="rule")) == 3
