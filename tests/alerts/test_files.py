from __future__ import annotations

import pytest

from alphapulse_nb.alerts import files
from alphapulse_nb.errors import InputError


def test_the_same_rules_are_the_same_bytes_whatever_their_order() -> None:
    shipped = files.shipped()
    text = files.dump(shipped)
    assert files.dump(reversed(shipped)) == text
    assert files.load(text) == sorted(shipped, key=lambda rule: rule.name)
    assert files.dump(files.load(text)) == text


def test_the_shipped_rules_are_those_that_people_bring_along() -> None:
    by_name = {rule.name: rule for rule in files.shipped()}
    wanted = {
        "high-confidence signal": ("confidence > 0.9", "signal", "high"),
        "strong risk-reward": ("risk_reward_ratio > 2.0", "signal", "medium"),
        "excellent backtest": ("total_return > 15 %", "backtest", "high"),
        "system error": ('status == "error"', "system", "urgent"),
    }
    for name, found in wanted.items():
        rule = by_name[name]
        assert (rule.where, rule.type, rule.priority) == found
    assert len(by_name) == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a list under the one name 'rules'"),
        ("rules: 7", "a list under the one name 'rules'"),
        ("rules: []\nmore: 1", "a list under the one name 'rules'"),
        ("rules:\n- name: a\n  name: b", "line 3, column 3: the name 'name' is there twice"),
        ("rules: &x\n- *x", "line 2, column 3: aliases are not allowed here"),
        ("rules: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("rules:\n- name: [", "line 2"),
        ("rules: \x00", "this is no YAML"),
        ("[" * 5_000, "nested too deeply"),
        ("rules:\n- 7", "rule 1: rule: it is no mapping"),
        ("rules:\n- {name: a, source: signals, whree: 1}", "rule 1: rule 'a': whree"),
        (
            "rules:\n- {name: a, source: signals}\n- {name: a, source: signals}",
            "there are two rules 'a'",
        ),
        ("# " + "x" * (1 << 20), "1,048,576 bytes"),
    ],
)
def test_what_is_no_file_of_rules_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        files.load(text)
    assert words in str(error.value)


def test_all_wrong_rules_of_a_file_are_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        files.load("rules:\n- {name: a}\n- {name: b, source: signals}\n- {source: signals}")
    assert str(error.value).splitlines() == [
        "rule 1: rule 'a': source: it is missing",
        "rule 3: name: it is missing",
    ]
