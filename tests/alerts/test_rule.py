from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.alerts import files
from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.check import check
from alphapulse_nb.alerts.rule import Aggregate, Rule, per_cent
from alphapulse_nb.errors import InputError, RuleError
from alphapulse_nb.events import Kinds

EVENT = {"name": "rule", "source": "signals", "where": "confidence > 0.9"}
WINDOW = {
    "name": "rule",
    "source": "performance_metrics",
    "aggregate": "last",
    "field": "drawdown",
    "window": "15m",
    "threshold": "20 %",
}


def refused(**parts: Any) -> tuple[tuple[str, str], ...]:
    """What is wrong with a rule of these parts; None takes one away."""
    base = WINDOW if "aggregate" in parts or "threshold" in parts or "field" in parts else EVENT
    plain = {name: part for name, part in (base | parts).items() if part is not None}
    with pytest.raises(RuleError) as error:
        check(rules.read(plain), Kinds())
    return error.value.problems


@pytest.mark.parametrize(
    ("parts", "place", "words"),
    [
        ({"source": None}, "source", "it is missing"),
        ({"name": ""}, "name", "0 characters"),
        ({"name": "x" * 81}, "name", "81 characters"),
        ({"name": "a\nb"}, "name", "invisible"),
        ({"name": "a\u202eb"}, "name", "invisible"),
        ({"name": 7}, "name", "no text"),
        ({"treshold": 3}, "treshold", "did you mean threshold?"),
        ({"source": "signal"}, "source", "signals"),
        ({"where": None}, "where", "every row would be an alert"),
        ({"where": "confidnce > 0.9"}, "where", "confidence"),
        ({"where": "confidence > 'high'"}, "where", "confidence"),
        ({"where": "x" * 10_000}, "where", "at most 1000 characters"),
        ({"where": "[x for x in [1]] == [1]"}, "where", "character 1"),
        ({"where": "$now() > 1"}, "where", "character 1"),
        ({"where": "symbol =~ 'a'"}, "where", "character 8"),
        ({"title": "{symbol.upper}"}, "title", "attributes"),
        ({"message": "{nothing}"}, "message", "nothing"),
        ({"title": "x" * 10_000}, "title", "200 characters"),
        ({"for": "5m"}, "for", "aggregate"),
        ({"window": "5m"}, "window", "aggregate"),
        ({"cooldown": "soon"}, "cooldown", "90s, 15m"),
        ({"priority": "hihg"}, "priority", "did you mean high?"),
        ({"type": "alarm"}, "type", "none of info"),
        ({"enabled": "yes"}, "enabled", "neither true nor false"),
        ({"by": ["exchange"]}, "by", "exchange"),
        ({"by": "symbol"}, "by", "no list"),
        ({"by": ["symbol", "symbol"]}, "by", "twice"),
        ({"labels": {"Team": "a"}}, "labels", "lower-case"),
        ({"labels": ["a"]}, "labels", "no mapping"),
        ({"channels": [str(number) for number in range(21)]}, "channels", "at most 20"),
        ({"aggregate": "median"}, "aggregate", "did you mean mean?"),
        ({"threshold": "much"}, "threshold", "not a number"),
        ({"threshold": "15m"}, "threshold", "not a number"),
        ({"threshold": float("nan")}, "threshold", "neither a number"),
        ({"threshold": True}, "threshold", "neither a number"),
        (
            {"aggregate": "silence", "field": None, "threshold": "5 %"},
            "threshold",
            "length of time",
        ),
        ({"aggregate": "count"}, "field", "takes no field"),
        ({"aggregate": "mean", "field": None}, "field", "of what?"),
        ({"field": "drawdwn"}, "field", "did you mean drawdown?"),
        ({"field": "strategy_id"}, "field", "not a number"),
        ({"threshold": 1, "window": None}, "window", "how far to look back"),
        ({"threshold": 1, "unit": "ms"}, "unit", "drawdown is in %"),
        ({"threshold": 0.2, "recovery": 0.3}, "recovery", "below the threshold"),
        ({"threshold": 0.2, "operator": "<", "recovery": 0.1}, "recovery", "above the threshold"),
        ({"threshold": 0.2, "operator": "==", "recovery": 0.1}, "recovery", "no side"),
        ({"threshold": 0.2, "operator": "=>"}, "operator", "none of >"),
        ({"threshold": 1, "title": "{confidence}"}, "title", "confidence"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    parts: dict[str, Any], place: str, words: str
) -> None:
    problems = refused(**parts)
    assert place in dict(problems)
    assert words in dict(problems)[place]


def test_all_that_is_wrong_is_told_at_once() -> None:
    problems = refused(where="confidnce > 1", title="{nothing}", by=["exchange"])
    assert [place for place, _ in problems] == ["by", "where", "title"]


@pytest.mark.parametrize("plain", [None, [], "rule", 7])
def test_what_is_no_mapping_is_no_rule(plain: object) -> None:
    with pytest.raises(RuleError):
        rules.read(plain)


def test_a_threshold_is_the_same_as_a_fraction_and_in_per_cent() -> None:
    written = rules.read(WINDOW)
    assert written.threshold == 0.2
    assert rules.read(WINDOW | {"threshold": 0.2}) == written
    assert check(written, Kinds()).rule.plain()["threshold"] == "20 %"


def test_a_silence_is_a_length_of_time() -> None:
    silent = {"name": "a", "source": "signals", "aggregate": "silence", "window": "1d"}
    rule = rules.read(silent | {"threshold": "15m"})
    assert rule.threshold == 900
    assert rule.plain()["threshold"] == "15m"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9))
def test_per_cent_keeps_every_digit(value: float) -> None:
    plain = WINDOW | {"threshold": per_cent(value)}
    try:
        found = rules.read(plain).threshold
    except InputError:
        # More digits than a person writes are no text that is read.
        assert len(per_cent(value)) > 17
    else:
        assert found == value


@pytest.mark.parametrize("rule", files.shipped(), ids=lambda rule: rule.name)
def test_the_plain_form_is_the_rule(rule: Rule) -> None:
    assert rules.read(rule.plain()) == rule
    checked = check(rule, Kinds()).rule
    assert rules.read(checked.plain()) == checked


def test_only_count_and_silence_are_of_rows() -> None:
    assert {one for one in Aggregate if not one.needs_field} == {"count", "silence"}


def test_a_share_of_what_holds_per_cent_itself_is_refused() -> None:
    gain = {
        "name": "a",
        "source": "signals",
        "aggregate": "max",
        "field": "pnl_pct",
        "window": "1d",
    }
    with pytest.raises(RuleError, match=r"pnl_pct holds per cent itself: write '15'"):
        rules.read(gain | {"threshold": "15 %"})
    assert rules.read(gain | {"threshold": 15}).threshold == 15
    assert rules.read(gain | {"aggregate": "change", "threshold": "15 %"}).threshold == 0.15
